package graph

import (
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Norm is a batch-norm with statistics that stay: gamma·(x−mean)/√(variance+epsilon) + beta.
type Norm struct {
	Gamma, Beta    *Node // [channels]
	Mean, Variance []float32
	Epsilon        float32
}

// inverse is 1/√(variance+epsilon) of a channel.
func (n Norm) inverse(c int) float64 {
	return 1 / math.Sqrt(float64(n.Variance[c])+float64(n.Epsilon))
}

// ConvNorm is [Graph.Conv] without a bias, then [Graph.FrozenBatchNorm], as one: the norm's factors go
// into the weights, so that it costs no pass over the maps. If gamma or beta learns, so must the
// weight. With W the weight, d the gradient of the sums and a = gamma/√(variance+epsilon),
//
//	dW = a·(d⋆x), dbeta = Σd, dgamma = (⟨W, d⋆x⟩ − mean·Σd)/√(variance+epsilon)
//
// for each channel, where d⋆x is what the gradient of W would be without the norm: ⟨W, d⋆x⟩ is the
// sum of d times the convolution's output, which is never made.
func (g *Graph) ConvNorm(x, weight *Node, norm Norm, c kernel.Conv, act kernel.Activation) *Node {
	l := g.newConvolution(x, c, act)
	if l == nil {
		return standIn(tensor.Shape{1, 1, 1, 1})
	}
	n := &normedConvolution{convolution: l, norm: norm, learns: g.learns[weight] || g.learns[norm.Gamma] || g.learns[norm.Beta]}
	packed := l.packing(n.learns)
	shift := make([]float32, c.OutC)
	return g.add(operation{
		name:   "convolution and batch-norm",
		output: l.output(),
		forward: func(y []float32, v [][]float32) error {
			for o := range shift {
				shift[o] = float32(float64(v[3][o]) - float64(norm.Mean[o])*float64(v[2][o])*norm.inverse(o))
			}
			return l.run(packed, y, v[0], n.scaled(v[1], v[2]), shift)
		},
		backward: n.gradients,
	}, x, weight, norm.Gamma, norm.Beta)
}

// normedConvolution is a convolution with a norm after it.
type normedConvolution struct {
	*convolution
	norm   Norm
	learns bool
}

// scaled returns the weights times the norm's factors, in scratch memory.
func (l *normedConvolution) scaled(weight, gamma []float32) []float32 {
	s := l.graph.run.scratch
	s.weights = slices.Grow(s.weights[:0], len(weight))[:len(weight)]
	l.scale(s.weights, weight, gamma)
	return s.weights
}

// scale multiplies each filter by its channel's factor. dst may be src.
func (l *normedConvolution) scale(dst, src, gamma []float32) {
	size := len(src) / l.conv.OutC
	for o := range l.conv.OutC {
		factor := float32(float64(gamma[o]) * l.norm.inverse(o))
		row := dst[o*size : (o+1)*size]
		for i, w := range src[o*size : (o+1)*size] {
			row[i] = factor * w
		}
	}
}

func (l *normedConvolution) gradients(v gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
	g := l.graph
	dy, err := g.before(l.act, y, dy)
	if err != nil {
		return nil, err
	}
	gradients := make(gorgonia.Nodes, 4)
	if l.learns {
		if err := l.parameterGradients(gradients, v, dy); err != nil {
			return nil, err
		}
	}
	if g.learns[v[0]] {
		packed := l.gradientPacking(l.learns)
		gradients[0], err = g.apply(operation{
			name:   "convolution and batch-norm, gradient of the input",
			output: l.x,
			forward: func(dx []float32, v [][]float32) error {
				return l.run(packed, dx, v[0], l.scaled(v[1], v[2]), nil)
			},
		}, dy, v[1], v[2])
	}
	return gradients, err
}

// parameterGradients adds those of the weight, gamma and beta.
func (l *normedConvolution) parameterGradients(gradients, v gorgonia.Nodes, dy *Node) (err error) {
	g, channels := l.graph, l.conv.OutC
	dgamma, dbeta := make([]float32, channels), make([]float32, channels)
	gradients[1], err = g.apply(operation{
		name:   "convolution and batch-norm, gradient of the weight",
		output: v[1].Shape().Clone(),
		forward: func(dw []float32, v [][]float32) error {
			dy, x, weight, gamma := v[0], v[1], v[2], v[3]
			if err := l.weightGradient(dw, dbeta, dy, x); err != nil {
				return err
			}
			size := len(dw) / channels
			for o := range channels {
				var product float64
				filter := weight[o*size : (o+1)*size]
				for i, d := range dw[o*size : (o+1)*size] {
					product += float64(d) * float64(filter[i])
				}
				dgamma[o] = float32((product - float64(l.norm.Mean[o])*float64(dbeta[o])) * l.norm.inverse(o))
			}
			l.scale(dw, dw, gamma)
			return nil
		},
	}, dy, v[0], v[1], v[2])
	for i, data := range [][]float32{dgamma, dbeta} {
		if err == nil && g.learns[v[i+2]] {
			gradients[i+2], err = g.aside("convolution and batch-norm, gradient of gamma or beta", tensor.Shape{channels}, data, gradients[1])
		}
	}
	return err
}

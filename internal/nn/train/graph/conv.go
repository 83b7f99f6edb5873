package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Conv is a convolution of maps [batch, height, width, channels] with weight
// [outputs, height, width, channels/groups] and bias [outputs], which may be nil. What is
// convolved is what c says. The activation act, None, ReLU or ReLU6, is applied to the result.
// Weights that do not learn are read at the first run alone.
func (g *Graph) Conv(x, weight, bias *Node, c kernel.Conv, act kernel.Activation) *Node {
	l := g.newConvolution(x, c, act)
	if l == nil {
		return standIn(tensor.Shape{1, 1, 1, 1})
	}
	packed := l.packing(g.learns[weight] || bias != nil && g.learns[bias])
	layer := operation{
		name:   "convolution",
		output: l.output(),
		forward: func(y []float32, v [][]float32) error {
			var bias []float32
			if len(v) > 2 {
				bias = v[2]
			}
			return l.run(packed, y, v[0], v[1], bias)
		},
		backward: l.gradients,
	}
	if bias == nil {
		return g.add(layer, x, weight)
	}
	return g.add(layer, x, weight, bias)
}

// convolution is a convolution of n maps of h×w, whose shape is x.
type convolution struct {
	graph   *Graph
	conv    kernel.Conv
	act     kernel.Activation
	n, h, w int
	x       tensor.Shape
}

// newConvolution returns nil, and lets the graph fail, if the convolution cannot be.
func (g *Graph) newConvolution(x *Node, c kernel.Conv, act kernel.Activation) *convolution {
	if err := c.Validate(); err != nil {
		g.fail(err)
		return nil
	}
	if !g.checkFused("convolution", act) {
		return nil
	}
	n, h, w, _ := mapShape(x)
	return &convolution{graph: g, conv: c, act: act, n: n, h: h, w: w, x: x.Shape().Clone()}
}

func (l *convolution) output() tensor.Shape {
	h, w := l.conv.OutSize(l.h, l.w)
	return tensor.Shape{l.n, h, w, l.conv.OutC}
}

// packing keeps weights packed, anew at each run if they learn.
type packing struct {
	pack   func(weights, bias []float32) (*kernel.PackedConv, error)
	act    kernel.Activation
	learns bool
	packed *kernel.PackedConv
}

func (l *convolution) options() kernel.PackOptions {
	return kernel.PackOptions{N: l.n, H: l.h, W: l.w, BFloat16: l.graph.rounds}
}

// packing is that of the convolution.
func (l *convolution) packing(learns bool) *packing {
	return &packing{act: l.act, learns: learns, pack: func(weights, bias []float32) (*kernel.PackedConv, error) {
		return kernel.PackConvFor(l.conv, weights, bias, l.options())
	}}
}

// gradientPacking is that of the gradient of the input.
func (l *convolution) gradientPacking(learns bool) *packing {
	return &packing{learns: learns, pack: func(weights, _ []float32) (*kernel.PackedConv, error) {
		return kernel.PackConvGradientFor(l.conv, weights, l.options())
	}}
}

// run convolves src, or takes a gradient back through the convolution.
func (l *convolution) run(p *packing, dst, src, weights, bias []float32) (err error) {
	switch {
	case p.packed == nil:
		p.packed, err = p.pack(weights, bias)
	case p.learns:
		err = p.packed.Repack(weights, bias)
	}
	if err != nil {
		return err
	}
	r := l.graph.run
	p.packed.Run(r.pool, dst, src, l.n, l.h, l.w, nil, p.act, &r.scratch.Workspace)
	return nil
}

// weightGradient computes the gradient of the weight and, unless it is nil, of the bias.
func (l *convolution) weightGradient(dw, dbias, dy, x []float32) error {
	r := l.graph.run
	if l.graph.rounds && l.worthRounding() {
		return kernel.ConvBackwardWeightsBFloat16(r.pool, l.conv, dw, dbias, x, dy, l.n, l.h, l.w, &r.scratch.Workspace)
	}
	return kernel.ConvBackwardWeights(r.pool, l.conv, dw, dbias, x, dy, l.n, l.h, l.w, &r.scratch.Workspace)
}

// worthRounding tells whether the gradient of the weight is faster when what it multiplies is rounded:
// each number must be multiplied often enough. Measured on Zen 5.
func (l *convolution) worthRounding() bool {
	c := l.conv
	return c.KernelH*c.KernelW == 1 && min(c.InC, c.OutC)/max(c.Groups, 1) >= 128
}

func (l *convolution) gradients(v gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
	g := l.graph
	dy, err := g.before(l.act, y, dy)
	if err != nil {
		return nil, err
	}
	gradients := make(gorgonia.Nodes, len(v))
	biased := len(v) > 2 && g.learns[v[2]]
	switch {
	case g.learns[v[1]]:
		err = l.parameterGradients(gradients, v, dy, biased)
	case biased:
		gradients[2], err = g.biasGradient(dy)
	}
	if err == nil && g.learns[v[0]] {
		gradients[0], err = l.inputGradient(dy, v[1])
	}
	return gradients, err
}

func (l *convolution) inputGradient(dy, weight *Node) (*Node, error) {
	packed := l.gradientPacking(l.graph.learns[weight])
	return l.graph.apply(operation{
		name:   "convolution, gradient of the input",
		output: l.x,
		forward: func(dx []float32, v [][]float32) error {
			return l.run(packed, dx, v[0], v[1], nil)
		},
	}, dy, weight)
}

// parameterGradients adds those of the weight and, if asked for, of the bias.
func (l *convolution) parameterGradients(gradients, v gorgonia.Nodes, dy *Node, biased bool) (err error) {
	var dbias []float32
	if biased {
		dbias = make([]float32, l.conv.OutC)
	}
	gradients[1], err = l.graph.apply(operation{
		name:   "convolution, gradient of the weight",
		output: v[1].Shape().Clone(),
		forward: func(dw []float32, v [][]float32) error {
			return l.weightGradient(dw, dbias, v[0], v[1])
		},
	}, dy, v[0])
	if err == nil && biased {
		gradients[2], err = l.graph.aside("convolution, gradient of the bias", tensor.Shape{l.conv.OutC}, dbias, gradients[1])
	}
	return err
}

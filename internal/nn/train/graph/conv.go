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
	if !g.checkFused("convolution", act) {
		return standIn(tensor.Shape{1, 1, 1, 1})
	}
	if err := c.Validate(); err != nil {
		g.fail(err)
		return standIn(tensor.Shape{1, 1, 1, 1})
	}
	l := &convolution{graph: g, conv: c, act: act, n: x.Shape()[0], h: x.Shape()[1], w: x.Shape()[2], x: x.Shape().Clone()}
	options := kernel.PackOptions{N: l.n, H: l.h, W: l.w}
	packed := packing{learns: g.learns[weight] || bias != nil && g.learns[bias], pack: func(weights, bias []float32) (*kernel.PackedConv, error) {
		return kernel.PackConvFor(c, weights, bias, options)
	}}
	oh, ow := c.OutSize(l.h, l.w)
	layer := operation{
		name:   "convolution",
		output: tensor.Shape{l.n, oh, ow, c.OutC},
		forward: func(y []float32, v [][]float32) error {
			var bias []float32
			if len(v) > 2 {
				bias = v[2]
			}
			p, err := packed.with(v[1], bias)
			if err != nil {
				return err
			}
			p.Run(g.run.pool, y, v[0], l.n, l.h, l.w, nil, act, &g.run.scratch.Workspace)
			return nil
		},
		backward: l.gradients,
	}
	if bias == nil {
		return g.add(layer, x, weight)
	}
	return g.add(layer, x, weight, bias)
}

// packing keeps weights packed, anew at each run if they learn.
type packing struct {
	pack   func(weights, bias []float32) (*kernel.PackedConv, error)
	learns bool
	packed *kernel.PackedConv
}

func (p *packing) with(weights, bias []float32) (_ *kernel.PackedConv, err error) {
	switch {
	case p.packed == nil:
		p.packed, err = p.pack(weights, bias)
	case p.learns:
		err = p.packed.Repack(weights, bias)
	}
	return p.packed, err
}

// convolution is a convolution of n maps of h×w, whose shape is x.
type convolution struct {
	graph   *Graph
	conv    kernel.Conv
	act     kernel.Activation
	n, h, w int
	x       tensor.Shape
}

func (l *convolution) gradients(v gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
	g := l.graph
	gradients := make(gorgonia.Nodes, len(v))
	dy, err := g.before(l.act, y, dy)
	if err != nil {
		return nil, err
	}
	biased := len(v) > 2 && g.learns[v[2]]
	switch {
	case g.learns[v[1]] && biased:
		gradients[1], gradients[2], err = l.weightAndBiasGradients(dy, v[0], v[1])
	case g.learns[v[1]]:
		gradients[1], err = l.weightGradient(dy, v[0], v[1], nil)
	case biased:
		gradients[2], err = g.biasGradient(dy)
	}
	if err == nil && g.learns[v[0]] {
		gradients[0], err = l.inputGradient(dy, v[1])
	}
	return gradients, err
}

func (l *convolution) inputGradient(dy, weight *Node) (*Node, error) {
	g := l.graph
	options := kernel.PackOptions{N: l.n, H: l.h, W: l.w}
	packed := packing{learns: g.learns[weight], pack: func(weights, _ []float32) (*kernel.PackedConv, error) {
		return kernel.PackConvGradientFor(l.conv, weights, options)
	}}
	return g.apply(operation{
		name:   "convolution, gradient of the input",
		output: l.x,
		forward: func(dx []float32, v [][]float32) error {
			p, err := packed.with(v[1], nil)
			if err != nil {
				return err
			}
			p.Run(g.run.pool, dx, v[0], l.n, l.h, l.w, nil, kernel.None, &g.run.scratch.Workspace)
			return nil
		},
	}, dy, weight)
}

// weightGradient also writes the gradient of the bias to dbias, unless that is nil.
func (l *convolution) weightGradient(dy, x, weight *Node, dbias []float32) (*Node, error) {
	g := l.graph
	return g.apply(operation{
		name:   "convolution, gradient of the weight",
		output: weight.Shape().Clone(),
		forward: func(dw []float32, v [][]float32) error {
			return kernel.ConvBackwardWeights(g.run.pool, l.conv, dw, dbias, v[1], v[0], l.n, l.h, l.w, &g.run.scratch.Workspace)
		},
	}, dy, x)
}

func (l *convolution) weightAndBiasGradients(dy, x, weight *Node) (dw, db *Node, err error) {
	dbias := make([]float32, l.conv.OutC)
	if dw, err = l.weightGradient(dy, x, weight, dbias); err != nil {
		return nil, nil, err
	}
	db, err = l.graph.aside("convolution, gradient of the bias", tensor.Shape{l.conv.OutC}, dbias, dw)
	return dw, db, err
}

package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// MaxPool takes the greatest value of each window of maps [batch, height, width, channels]; the
// gradient goes to the first of equal ones.
func (g *Graph) MaxPool(x *Node, p kernel.Pooling) *Node {
	n, h, w, c := mapShape(x)
	return g.pooling(x, p, "max pooling",
		func(y, x []float32) { kernel.MaxPool(g.run.pool, p, y, x, n, h, w, c) },
		func(dx, dy, x []float32) { kernel.MaxPoolBackward(g.run.pool, p, dx, dy, x, n, h, w, c) })
}

// AveragePool takes the mean of each window.
func (g *Graph) AveragePool(x *Node, p kernel.Pooling) *Node {
	n, h, w, c := mapShape(x)
	return g.pooling(x, p, "average pooling",
		func(y, x []float32) { kernel.AvgPool(g.run.pool, p, y, x, n, h, w, c) },
		func(dx, dy, _ []float32) { kernel.AvgPoolBackward(g.run.pool, p, dx, dy, n, h, w, c) })
}

func (g *Graph) pooling(x *Node, p kernel.Pooling, name string, forward func(y, x []float32), backward func(dx, dy, x []float32)) *Node {
	if err := p.Validate(); err != nil {
		g.fail(err)
		return standIn(tensor.Shape{1, 1, 1, 1})
	}
	n, h, w, c := mapShape(x)
	oh, ow := p.OutSize(h, w)
	return g.add(operation{
		name:   name,
		output: tensor.Shape{n, oh, ow, c},
		forward: func(y []float32, v [][]float32) error {
			forward(y, v[0])
			return nil
		},
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   name + ", gradient",
				output: v[0].Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					backward(dx, v[0], v[1])
					return nil
				},
			}, dy, v[0])
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

// GlobalAveragePool takes the mean of each channel of maps: [batch, height, width, channels] to
// [batch, channels].
func (g *Graph) GlobalAveragePool(x *Node) *Node {
	n, h, w, c := mapShape(x)
	return g.add(operation{
		name:   "global average pooling",
		output: tensor.Shape{n, c},
		forward: func(y []float32, v [][]float32) error {
			kernel.GlobalAvgPool(g.run.pool, y, v[0], n, h*w, c)
			return nil
		},
		backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "global average pooling, gradient",
				output: tensor.Shape{n, h, w, c},
				forward: func(dx []float32, v [][]float32) error {
					kernel.GlobalAvgPoolBackward(g.run.pool, dx, v[0], n, h*w, c)
					return nil
				},
			}, dy)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

// mapShape returns the dimensions of maps [batch, height, width, channels].
func mapShape(x *Node) (n, h, w, c int) {
	s := x.Shape()
	return s[0], s[1], s[2], s[3]
}

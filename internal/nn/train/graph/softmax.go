package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Softmax computes e^x / Σ e^x along the last axis.
func (g *Graph) Softmax(x *Node) *Node {
	columns := x.Shape()[x.Dims()-1]
	rows := x.Shape().TotalSize() / columns
	return g.add(operation{
		name:   "softmax",
		output: x.Shape().Clone(),
		forward: func(y []float32, v [][]float32) error {
			kernel.Softmax(g.run.pool, y, v[0], rows, columns)
			return nil
		},
		over: []int{0},
		backward: func(_ gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "softmax, gradient",
				output: dy.Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					kernel.SoftmaxBackward(g.run.pool, dx, v[0], v[1], rows, columns)
					return nil
				},
				over: []int{0},
			}, dy, y)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

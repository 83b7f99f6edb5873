package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
)

// L2Normalise divides by the length along the last axis, x/max(‖x‖₂, least).
func (g *Graph) L2Normalise(x *Node, least float32) *Node {
	columns := x.Shape()[x.Dims()-1]
	rows := x.Shape().TotalSize() / columns
	forward := func(y []float32, v [][]float32) error {
		kernel.L2Normalise(g.run.pool, y, v[0], least, rows, columns)
		return nil
	}
	return g.add(operation{
		name:    "L2 normalisation",
		output:  x.Shape().Clone(),
		forward: forward, again: forward,
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "L2 normalisation, gradient",
				output: v[0].Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					kernel.L2NormaliseBackward(g.run.pool, dx, v[0], v[1], least, rows, columns)
					return nil
				},
				over: []int{0},
			}, dy, v[0])
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

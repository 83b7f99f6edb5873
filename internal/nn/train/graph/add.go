package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Add sums two nodes of one shape or more.
func (g *Graph) Add(terms ...*Node) *Node {
	return g.add(operation{
		name:   "sum",
		output: terms[0].Shape().Clone(),
		forward: func(y []float32, v [][]float32) error {
			kernel.Add(g.pool, y, v[0], v[1], kernel.None)
			for _, x := range v[2:] {
				kernel.Add(g.pool, y, y, x, kernel.None)
			}
			return nil
		},
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			gradients := make(gorgonia.Nodes, len(v))
			for i, x := range v {
				if g.learns[x] {
					gradients[i] = dy
				}
			}
			return gradients, nil
		},
	}, terms...)
}

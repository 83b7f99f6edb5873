package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Activate applies f to each element.
func (g *Graph) Activate(x *Node, f kernel.Activation) *Node {
	return g.add(operation{
		name:   "activation " + f.String(),
		output: x.Shape().Clone(),
		forward: func(y []float32, v [][]float32) error {
			kernel.Activate(g.pool, y, v[0], f)
			return nil
		},
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "activation " + f.String() + ", gradient",
				output: x.Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					kernel.ActivateBackward(g.pool, dx, v[0], v[1], f)
					return nil
				},
			}, dy, v[0])
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

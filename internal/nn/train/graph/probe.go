package graph

import (
	"math"

	"gorgonia.org/gorgonia"
)

// Probe is x as it is. The norm of the gradient that comes back through it is written to norm in each run; where x does not
// learn, it stays as it is.
func (g *Graph) Probe(x *Node, norm *float64) *Node {
	return g.add(operation{
		name:    "probe",
		output:  x.Shape().Clone(),
		forward: copyFirst, again: copyFirst, over: []int{0}, order: 0,
		backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "probe, gradient",
				output: dy.Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					var sum float64
					for i, d := range v[0] {
						dx[i] = d
						sum += float64(d) * float64(d)
					}
					*norm = math.Sqrt(sum)
					return nil
				},
				over: []int{0},
			}, dy)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

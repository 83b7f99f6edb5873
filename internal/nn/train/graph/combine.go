package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Combine is Σ factor·loss of losses of one element each, a tensor of one element. factors [losses] may be
// filled anew before each run; they do not learn.
func (g *Graph) Combine(factors *Node, losses ...*Node) *Node {
	return g.add(operation{
		name:   "sum of losses",
		output: tensor.Shape{1},
		forward: func(out []float32, v [][]float32) error {
			var sum float64
			for i, loss := range v[1:] {
				sum += float64(v[0][i]) * float64(loss[0])
			}
			out[0] = float32(sum)
			return nil
		},
		backward: func(v gorgonia.Nodes, _, gradient *Node) (gorgonia.Nodes, error) {
			gradients := make(gorgonia.Nodes, len(v))
			for i, loss := range v[1:] {
				if !g.learns[loss] {
					continue
				}
				var err error
				gradients[i+1], err = g.apply(operation{
					name:   fmt.Sprintf("sum of losses, gradient %d", i),
					output: tensor.Shape{1},
					forward: func(d []float32, v [][]float32) error {
						d[0] = v[0][i] * v[1][0]
						return nil
					},
				}, v[0], gradient)
				if err != nil {
					return nil, err
				}
			}
			return gradients, nil
		},
	}, append(gorgonia.Nodes{factors}, losses...)...)
}

package graph

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SquaredError is Σ weight·(x − target)² / total, a tensor of one element. x, target and weight have one
// shape; a weight of 0 leaves a number out. total [1] is what the sum is divided by. Sums are in float64.
func (g *Graph) SquaredError(x, target, weight, total *Node) *Node {
	return g.add(operation{
		name:   "squared error",
		output: tensor.Shape{1},
		forward: func(loss []float32, v [][]float32) error {
			var sum float64
			for i, x := range v[0] {
				d := float64(x) - float64(v[1][i])
				sum += float64(v[2][i]) * d * d
			}
			loss[0] = float32(sum / float64(v[3][0]))
			return nil
		},
		backward: func(v gorgonia.Nodes, _, gradient *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "squared error, gradient",
				output: x.Shape().Clone(),
				forward: func(d []float32, v [][]float32) error {
					factor := 2 * float64(v[4][0]) / float64(v[3][0])
					for i, x := range v[0] {
						d[i] = float32(float64(v[2][i]) * (float64(x) - float64(v[1][i])) * factor)
					}
					return nil
				},
			}, v[0], v[1], v[2], v[3], gradient)
			return gorgonia.Nodes{dx, nil, nil, nil}, err
		},
	}, x, target, weight, total)
}

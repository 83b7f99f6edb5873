package graph

import "gorgonia.org/gorgonia"

// ReverseGradient is x as it is; the gradient is multiplied by −lambda·factor. factor [1] may be filled anew
// before each run.
func (g *Graph) ReverseGradient(x *Node, lambda float32, factor *Node) *Node {
	return g.add(operation{
		name:    "gradient reversal",
		output:  x.Shape().Clone(),
		forward: copyFirst, again: copyFirst, over: []int{0}, order: 1,
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "gradient reversal, gradient",
				output: dy.Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					by := -lambda * v[1][0]
					for i, d := range v[0] {
						dx[i] = by * d
					}
					return nil
				},
				over: []int{0},
			}, dy, v[1])
			return gorgonia.Nodes{dx, nil}, err
		},
	}, x, factor)
}

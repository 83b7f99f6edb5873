package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Flatten makes a vector of each example of the batch: [batch, …] to [batch, features].
func (g *Graph) Flatten(x *Node) *Node {
	batch := x.Shape()[0]
	return g.Reshape(x, batch, x.Shape().TotalSize()/batch)
}

// Reshape gives the elements of x another shape.
func (g *Graph) Reshape(x *Node, shape ...int) *Node {
	from, to := x.Shape().Clone(), tensor.Shape(shape)
	if from.TotalSize() != to.TotalSize() {
		g.fail(fmt.Errorf("reshape: %v has not as many elements as %v", from, to))
	}
	return g.add(operation{
		name:    "reshape",
		output:  to,
		forward: copyFirst, again: copyFirst, over: []int{0},
		backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{name: "reshape, gradient", output: from, forward: copyFirst, over: []int{0}}, dy)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

func copyFirst(out []float32, in [][]float32) error {
	copy(out, in[0])
	return nil
}

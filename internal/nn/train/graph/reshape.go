package graph

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
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

// Transpose puts the axes in another order: axis i of the result is axis axes[i] of x.
func (g *Graph) Transpose(x *Node, axes ...int) *Node {
	from, to := x.Shape().Clone(), make(tensor.Shape, len(axes))
	back := make([]int, len(axes))
	for i, axis := range axes {
		to[i], back[axis] = from[axis], i
	}
	forward := func(y []float32, v [][]float32) error {
		kernel.Permute(g.run.pool, y, v[0], from, axes)
		return nil
	}
	return g.add(operation{
		name:    "transpose",
		output:  to,
		forward: forward, again: forward,
		backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "transpose, gradient",
				output: from,
				forward: func(dx []float32, v [][]float32) error {
					kernel.Permute(g.run.pool, dx, v[0], to, back)
					return nil
				},
			}, dy)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

func copyFirst(out []float32, in [][]float32) error {
	copy(out, in[0])
	return nil
}

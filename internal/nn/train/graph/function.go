package graph

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Function adds a loss of one element that a function computes together with its gradients. of is given the values of
// the inputs, row by row, and memory for the gradient of each input that learns, nil for the others, which it fills; it
// returns the loss. The threads of the pool, which may be nil, are there to share its work. It is called once a run. Losses that look at all rows of a batch at once, such as distances of two
// samples, are built on it.
func (g *Graph) Function(name string, of func(pool *kernel.Pool, values [][]float32, gradients [][]float64) (loss float64, err error), inputs ...*Node) *Node {
	gradients := make([][]float64, len(inputs))
	for i, n := range inputs {
		if g.learns[n] {
			gradients[i] = make([]float64, n.Shape().TotalSize())
		}
	}
	return g.add(operation{
		name:   name,
		output: tensor.Shape{1},
		forward: func(out []float32, v [][]float32) error {
			for _, gradient := range gradients {
				clear(gradient)
			}
			loss, err := of(g.run.pool, v, gradients)
			out[0] = float32(loss)
			return err
		},
		backward: func(v gorgonia.Nodes, loss, gradient *Node) (gorgonia.Nodes, error) {
			out := make(gorgonia.Nodes, len(v))
			for i, x := range v {
				if !g.learns[x] {
					continue
				}
				var err error
				out[i], err = g.apply(operation{ // loss is an input only so that the gradients are computed before
					name:   fmt.Sprintf("%s, gradient %d", name, i),
					output: x.Shape().Clone(),
					forward: func(d []float32, v [][]float32) error {
						by := float64(v[0][0])
						for i, x := range gradients[i] {
							d[i] = float32(by * x)
						}
						return nil
					},
					order: 1,
				}, gradient, loss)
				if err != nil {
					return nil, err
				}
			}
			return out, nil
		},
	}, inputs...)
}

package graph

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// RecurrentWeights are the parameters of a recurrent layer; Inner is nil but for a GRU.
type RecurrentWeights struct{ Input, State, Bias, Inner *Node }

// Recurrent takes the tokens of each example one after the other; see [kernel.Recurrent].
func (g *Graph) Recurrent(x *Node, w RecurrentWeights, layer kernel.Recurrent, sequences Sequences) *Node {
	output := tensor.Shape{len(sequences), layer.Units}
	if err := sequences.fits(x); err != nil {
		g.fail(fmt.Errorf("recurrent layer: %w", err))
		return standIn(output)
	}
	if !layer.Last {
		output = tensor.Shape{len(sequences), x.Shape()[1], layer.Units}
	}
	var trace kernel.RecurrentTrace
	weights := func(v [][]float32) kernel.RecurrentWeights {
		k := kernel.RecurrentWeights{Input: v[0], State: v[1], Bias: v[2]}
		if len(v) > 3 {
			k.Inner = v[3]
		}
		return k
	}
	in := []*Node{x, w.Input, w.State, w.Bias}
	if w.Inner != nil {
		in = append(in, w.Inner)
	}
	return g.add(operation{
		name:   layer.Cell.String(),
		output: output,
		forward: func(y []float32, v [][]float32) error {
			layer.Run(g.run.pool, sequences, y, v[0], weights(v[1:]), &trace, &g.run.scratch.Workspace)
			return nil
		},
		backward: func(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			// All gradients are computed together: the first that is wanted is the operation's own, the others lie aside.
			gradients, lying := make(gorgonia.Nodes, len(in)), make([][]float32, len(in))
			first := -1
			for i, n := range in {
				switch {
				case !g.learns[n]:
				case first < 0:
					first = i
				default:
					lying[i] = make([]float32, n.Shape().TotalSize())
				}
			}
			if first < 0 {
				return gradients, nil
			}
			var err error
			gradients[first], err = g.apply(operation{
				name:   layer.Cell.String() + ", gradient",
				output: in[first].Shape().Clone(),
				forward: func(own []float32, v [][]float32) error {
					lying[first] = own
					layer.Backward(g.run.pool, sequences, lying[0], weights(lying[1:]), v[0], v[1], weights(v[2:]), &trace, &g.run.scratch.Workspace)
					return nil
				},
			}, append(gorgonia.Nodes{dy}, in...)...)
			for i := first + 1; i < len(in) && err == nil; i++ {
				if lying[i] != nil {
					gradients[i], err = g.aside(fmt.Sprintf("%s, gradient %d", layer.Cell, i), in[i].Shape().Clone(), lying[i], gradients[first])
				}
			}
			return gradients, err
		},
	}, in...)
}

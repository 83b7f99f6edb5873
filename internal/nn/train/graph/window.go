package graph

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Window puts size tokens side by side in the place of each; see [kernel.Windows].
func (g *Graph) Window(x *Node, size int, sequences Sequences) *Node {
	output := x.Shape().Clone()
	if err := sequences.fits(x); err != nil {
		g.fail(fmt.Errorf("windows of tokens: %w", err))
		return standIn(output)
	}
	columns := output[2]
	output[2] *= size
	forward := func(y []float32, v [][]float32) error {
		kernel.Windows(g.run.pool, y, v[0], sequences, size, columns)
		return nil
	}
	return g.add(operation{
		name:    "windows of tokens",
		output:  output,
		forward: forward, again: forward,
		backward: func(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "windows of tokens, gradient",
				output: in[0].Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					kernel.WindowsBackward(g.run.pool, dx, v[0], sequences, size, columns)
					return nil
				},
			}, dy)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

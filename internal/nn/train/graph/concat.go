package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Concat joins nodes along the channels, their last dimension.
func (g *Graph) Concat(parts ...*Node) *Node {
	output := parts[0].Shape().Clone()
	last := len(output) - 1
	rows := output.TotalSize() / output[last]
	output[last] = 0
	first, widths := make([]int, len(parts)), make([]int, len(parts))
	for i, x := range parts {
		first[i], widths[i] = output[last], x.Shape()[last]
		output[last] += widths[i]
	}
	total := output[last]
	one, zero := make([]float32, total), make([]float32, total)
	for i := range one {
		one[i] = 1
	}
	forward := func(y []float32, v [][]float32) error {
		for i, x := range v {
			kernel.ScaleShiftView(g.run.pool, y[first[i]:], total, x, widths[i], one, zero, rows, widths[i], kernel.None)
		}
		return nil
	}
	return g.add(operation{
		name:    "concatenation",
		output:  output,
		forward: forward, again: forward,
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			gradients := make(gorgonia.Nodes, len(v))
			for i, x := range v {
				if !g.learns[x] {
					continue
				}
				var err error
				gradients[i], err = g.apply(operation{
					name:   "concatenation, gradient",
					output: x.Shape().Clone(),
					forward: func(dx []float32, v [][]float32) error {
						kernel.ScaleShiftView(g.run.pool, dx, widths[i], v[0][first[i]:], total, one, zero, rows, widths[i], kernel.None)
						return nil
					},
				}, dy)
				if err != nil {
					return nil, err
				}
			}
			return gradients, nil
		},
	}, parts...)
}

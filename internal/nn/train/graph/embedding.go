package graph

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Embedding looks ids up in a table [count, width], which gives [shape…, width]. ids are as many as the shape
// says and as they are at each run: the caller fills them. They are no node, since nothing flows through
// them.
func (g *Graph) Embedding(table *Node, ids []int32, shape ...int) *Node {
	count, width := table.Shape()[0], table.Shape()[1]
	output := append(tensor.Shape(shape).Clone(), width)
	if output.TotalSize() != len(ids)*width {
		g.fail(fmt.Errorf("embedding: %d ids for the shape %v", len(ids), shape))
	}
	forward := func(y []float32, v [][]float32) error {
		for i, id := range ids {
			if id < 0 || int(id) >= count {
				return fmt.Errorf("id %d is %d, of %d there are", i, id, count)
			}
		}
		kernel.Gather(g.run.pool, y, v[0], ids, count, width)
		return nil
	}
	return g.add(operation{
		name:    "embedding",
		output:  output,
		forward: forward, again: forward,
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dtable, err := g.apply(operation{
				name:   "embedding, gradient of the table",
				output: v[0].Shape().Clone(),
				forward: func(dtable []float32, v [][]float32) error {
					kernel.ScatterAdd(g.run.pool, dtable, v[0], ids, count, width)
					return nil
				},
			}, dy)
			return gorgonia.Nodes{dtable}, err
		},
	}, table)
}

package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Add sums two nodes of one shape or more and applies the activation act, None, ReLU or ReLU6, to the
// sum.
func (g *Graph) Add(act kernel.Activation, terms ...*Node) *Node {
	if !g.checkFused("sum", act) {
		return standIn(terms[0].Shape())
	}
	o := g.sum("sum", terms[0].Shape(), len(terms), act)
	o.backward = func(v gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
		dy, err := g.before(act, y, dy)
		gradients := make(gorgonia.Nodes, len(v))
		for i, x := range v {
			if g.learns[x] {
				gradients[i] = dy
			}
		}
		return gradients, err
	}
	return g.add(o, terms...)
}

// sum is the operation that adds up terms, two or more.
func (g *Graph) sum(name string, shape tensor.Shape, terms int, act kernel.Activation) operation {
	return operation{
		name:   name,
		output: shape.Clone(),
		forward: func(y []float32, v [][]float32) error {
			so := v[0]
			for _, x := range v[1 : terms-1] {
				kernel.Add(g.run.pool, y, so, x, kernel.None)
				so = y
			}
			kernel.Add(g.run.pool, y, so, v[terms-1], act)
			return nil
		},
		over: []int{0, 1},
	}
}

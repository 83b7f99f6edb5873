package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Activate applies f to each element.
func (g *Graph) Activate(x *Node, f kernel.Activation) *Node {
	forward := func(y []float32, v [][]float32) error {
		kernel.Activate(g.run.pool, y, v[0], f)
		return nil
	}
	return g.add(operation{
		name:    "activation " + f.String(),
		output:  x.Shape().Clone(),
		forward: forward, again: forward, over: []int{0},
		backward: func(v gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			at := v[0]
			if fusible(f) {
				at = y // the input need not be kept
			}
			dx, err := g.activationGradient(dy, at, f)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

// activationGradient is dy·f′(x); of rectifiers x may be the output.
func (g *Graph) activationGradient(dy, x *Node, f kernel.Activation) (*Node, error) {
	return g.apply(operation{
		name:   "activation " + f.String() + ", gradient",
		output: dy.Shape().Clone(),
		forward: func(dx []float32, v [][]float32) error {
			kernel.ActivateBackward(g.run.pool, dx, v[0], v[1], f)
			return nil
		},
		over: []int{0},
	}, dy, x)
}

// fusible tells whether layers can apply the activation as they store their output: of None, ReLU
// and ReLU6 the output alone gives the gradient, so that what lies between is not kept.
func fusible(f kernel.Activation) bool {
	return f == kernel.None || f == kernel.ReLU || f == kernel.ReLU6
}

// before is the gradient of what a layer had before its fused activation, from those of its output.
func (g *Graph) before(act kernel.Activation, y, dy *Node) (*Node, error) {
	if act == kernel.None {
		return dy, nil
	}
	return g.activationGradient(dy, y, act)
}

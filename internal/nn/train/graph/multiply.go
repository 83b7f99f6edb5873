package graph

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Multiply multiplies two nodes of one shape element by element, or the channels of maps
// [batch, height, width, channels] by factors [batch, channels], as squeeze-and-excitation does.
func (g *Graph) Multiply(a, b *Node) *Node {
	if !a.Shape().Eq(b.Shape()) {
		return g.multiplyChannels(a, b)
	}
	product := func(x, y *Node) (*Node, error) {
		return g.apply(operation{
			name:   "product, gradient",
			output: x.Shape().Clone(),
			forward: func(out []float32, v [][]float32) error {
				kernel.Mul(g.run.pool, out, v[0], v[1])
				return nil
			},
			over: []int{0},
		}, x, y)
	}
	forward := func(y []float32, v [][]float32) error {
		kernel.Mul(g.run.pool, y, v[0], v[1])
		return nil
	}
	return g.add(operation{
		name:    "product",
		output:  a.Shape().Clone(),
		forward: forward, again: forward,
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			gradients := make(gorgonia.Nodes, 2)
			var err error
			for i := range v {
				if g.learns[v[i]] {
					if gradients[i], err = product(dy, v[1-i]); err != nil {
						return nil, err
					}
				}
			}
			return gradients, nil
		},
	}, a, b)
}

func (g *Graph) multiplyChannels(x, factors *Node) *Node {
	n, h, w, c := mapShape(x)
	forward := func(y []float32, v [][]float32) error {
		kernel.MulChannels(g.run.pool, y, v[0], v[1], n, h*w, c)
		return nil
	}
	return g.add(operation{
		name:    "product of channels",
		output:  x.Shape().Clone(),
		forward: forward, again: forward,
		backward: func(v gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dfactors := make([]float32, n*c)
			dx, err := g.apply(operation{
				name:   "product of channels, gradient of the maps",
				output: v[0].Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					kernel.MulChannelsBackward(g.run.pool, dx, dfactors, v[0], v[1], v[2], n, h*w, c)
					return nil
				},
				over: []int{0},
			}, dy, v[0], v[1])
			if err != nil {
				return nil, err
			}
			gradients := gorgonia.Nodes{dx, nil}
			if g.learns[v[1]] {
				gradients[1], err = g.aside("product of channels, gradient of the factors", tensor.Shape{n, c}, dfactors, dx)
			}
			return gradients, err
		},
	}, x, factors)
}

// Scale multiplies each element by a constant.
func (g *Graph) Scale(x *Node, factor float32) *Node {
	scale := make([]float32, x.Shape()[x.Dims()-1])
	for i := range scale {
		scale[i] = factor
	}
	return g.constants("scale", x, scale, make([]float32, len(scale)))
}

// Affine maps each number of the last axis by constants, scale·x + shift.
func (g *Graph) Affine(x *Node, scale, shift []float32) *Node {
	return g.constants("affine map", x, scale, shift)
}

func (g *Graph) constants(name string, x *Node, scale, shift []float32) *Node {
	channels := len(scale)
	rows := x.Shape().TotalSize() / channels
	by := func(shift []float32) func(y []float32, v [][]float32) error {
		return func(y []float32, v [][]float32) error {
			kernel.ScaleShift(g.run.pool, y, v[0], scale, shift, rows, channels, kernel.None)
			return nil
		}
	}
	forward, gradient := by(shift), by(make([]float32, channels))
	return g.add(operation{
		name:    name,
		output:  x.Shape().Clone(),
		forward: forward, again: forward, over: []int{0},
		backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{name: name + ", gradient", output: dy.Shape().Clone(), forward: gradient, over: []int{0}}, dy)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

package graph

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ZeroPad adds lines and columns of zeros around maps [batch, height, width, channels], or takes
// away as many where a number is negative.
func (g *Graph) ZeroPad(x *Node, top, left, bottom, right int) *Node {
	n, h, w, c := mapShape(x)
	output := tensor.Shape{n, h + top + bottom, w + left + right, c}
	forward := func(y []float32, v [][]float32) error {
		pad(y, output, v[0], x.Shape(), top, left)
		return nil
	}
	return g.add(operation{
		name:    "zero padding",
		output:  output,
		forward: forward, again: forward,
		backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := g.apply(operation{
				name:   "zero padding, gradient",
				output: x.Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					pad(dx, x.Shape(), v[0], output, -top, -left)
					return nil
				},
			}, dy)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

// pad copies maps into others, so that the first pixel of src lies at (top, left) of dst, and
// zeros where there is none.
func pad(dst []float32, to tensor.Shape, src []float32, from tensor.Shape, top, left int) {
	channels := to[3]
	clear(dst)
	x0, x1 := max(left, 0), min(left+from[2], to[2])
	if x0 >= x1 {
		return
	}
	for i := range to[0] {
		for y := max(top, 0); y < min(top+from[1], to[1]); y++ {
			line := ((i*from[1]+y-top)*from[2] + x0 - left) * channels
			copy(dst[((i*to[1]+y)*to[2]+x0)*channels:][:(x1-x0)*channels], src[line:])
		}
	}
}

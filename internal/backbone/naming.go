package backbone

import (
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// naming says how a framework's files call a network's tensors and lay them out.
type naming struct {
	title  string
	layer  func(layer string) string
	roles  map[nn.Role]string
	skips  []string // last parts of names of tensors that are not weights
	unused []string // beginnings of names of tensors of parts that are left out here
	native bool     // laid out as in this program
}

// native is the naming of the files that this program writes.
func native() naming {
	roles := map[nn.Role]string{}
	for _, r := range []nn.Role{nn.Weight, nn.Bias, nn.Gamma, nn.Beta, nn.Mean, nn.Variance} {
		roles[r] = string(r)
	}
	return naming{title: "tlpipe", layer: func(l string) string { return l }, roles: roles, native: true}
}

// pyTorch is the naming of a PyTorch module: convolutions are [out, in, height, width], and what is
// flattened has its channels outermost.
func pyTorch(title string, layer func(string) string) naming {
	return naming{
		title: title,
		layer: layer,
		roles: map[nn.Role]string{
			nn.Weight: "weight", nn.Bias: "bias", nn.Gamma: "weight", nn.Beta: "bias",
			nn.Mean: "running_mean", nn.Variance: "running_var",
		},
		skips: []string{"num_batches_tracked"},
	}
}

// tensor returns the name of a parameter's tensor.
func (n naming) tensor(p nn.Parameter) string { return n.layer(p.Layer) + "." + n.roles[p.Role] }

// ignored tells whether a tensor of that name is none of the network's and need not be.
func (n naming) ignored(name string) bool {
	return slices.Contains(n.skips, name[strings.LastIndexByte(name, '.')+1:]) ||
		slices.ContainsFunc(n.unused, func(part string) bool { return strings.HasPrefix(name, part) })
}

// layout says how a parameter lies in a file: with which shape, and which of its axes become the
// parameter's, in order.
type layout struct {
	shape nn.Shape
	axes  []int // nil: as it is
}

// layout returns how a layer's parameter lies in a file.
func (n naming) layout(net *nn.Network, l nn.Layer, p nn.Parameter) layout {
	as := layout{shape: p.Shape}
	if n.native || p.Role != nn.Weight {
		return as
	}
	switch l.Op.(type) {
	case nn.Conv:
		return layout{shape: nn.Shape{p.Shape[0], p.Shape[3], p.Shape[1], p.Shape[2]}, axes: []int{0, 2, 3, 1}}
	case nn.Dense:
		before, ok := net.Find(l.Inputs[0])
		if _, flat := before.Op.(nn.Flatten); !ok || !flat {
			return as
		}
		if in := net.InputShapes(before)[0]; len(in) == 3 {
			return layout{shape: nn.Shape{p.Shape[0], in[2], in[0], in[1]}, axes: []int{0, 2, 3, 1}}
		}
	}
	return as
}

// fits tells whether a tensor of that shape in a file can be read so. Axes of length 1 do not count,
// nor how the axes after the first are grouped: a dense layer may be stored as a 1×1 convolution, and
// one on a flattened map as a matrix.
func (l layout) fits(shape []int) bool {
	want := nn.Shape(shape)
	return len(shape) > 0 && shape[0] == l.shape[0] && want.Size() == l.shape.Size() &&
		(slices.Equal(significant(want), significant(l.shape)) || len(shape) == 2 && l.axes != nil && shape[1] == l.shape.Size()/l.shape[0])
}

func significant(s nn.Shape) nn.Shape {
	return slices.DeleteFunc(slices.Clone(s[1:]), func(n int) bool { return n == 1 })
}

// apply brings the data into the parameter's order.
func (l layout) apply(data []float32) []float32 {
	if l.axes == nil {
		return data
	}
	strides := make([]int, len(l.shape)) // in the file
	step := 1
	for i := len(l.shape) - 1; i >= 0; i-- {
		strides[i] = step
		step *= l.shape[i]
	}
	out := make([]float32, 0, len(data))
	var walk func(axis, at int)
	walk = func(axis, at int) {
		if axis == len(l.axes) {
			out = append(out, data[at])
			return
		}
		for i := range l.shape[l.axes[axis]] {
			walk(axis+1, at+i*strides[l.axes[axis]])
		}
	}
	walk(0, 0)
	return out
}

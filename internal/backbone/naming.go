package backbone

import (
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// naming says how a framework's files call a network's tensors and lay them out.
type naming struct {
	title  string
	layer  func(layer string) string
	roles  map[nn.Role]string
	skips  []string // last parts of names of tensors that are not weights
	unused []string // beginnings of names of tensors of parts that are left out here
	order  order    // of the tensors' axes

	whole  func(layer string) string // the name of the tensor of a layer whose name says no role; "" if it does; nil: all do
	joint  func(layer string) joint  // the tensor that a layer shares with others; nil: each has its own
	grid   grid                      // of positions
	bare   string                    // the layer that has no bias in such a file: it is 0
	turned string                    // the dense layer whose weight is a parameter of that name, [in, out]
}

// joint is a tensor that has the parameters of several layers of a scope, such as queries, keys and values, one after the other.
// The zero value is none.
type joint struct {
	tensor string   // the beginning of its name
	parts  []string // ends of the layers' names, in order
}

// order says in which order tensors lie in a file.
type order int

const (
	torchOrder  order = iota // [out, in, height, width], what is flattened with its channels outermost
	nativeOrder              // as in this program
	kerasOrder               // [height, width, in, out], matrices [in, out]
)

// alone is the naming of files in which a part of a model stands alone, so that its names do not begin with the part's.
func (n naming) alone(part string) naming {
	layer, whole, shared := n.layer, n.whole, n.joint
	n.title += ", " + strings.TrimSuffix(part, ".") + " alone"
	n.layer = func(l string) string { return strings.TrimPrefix(layer(l), part) }
	n.whole = func(l string) string { return strings.TrimPrefix(whole(l), part) }
	if shared != nil {
		n.joint = func(l string) joint {
			j := shared(l)
			j.tensor = strings.TrimPrefix(j.tensor, part)
			return j
		}
	}
	return n
}

// native is the naming of the files that this program writes.
func native() naming {
	roles := map[nn.Role]string{}
	for _, r := range []nn.Role{nn.Weight, nn.Bias, nn.Gamma, nn.Beta, nn.Mean, nn.Variance} {
		roles[r] = string(r)
	}
	return naming{
		title: "tlpipe", layer: func(l string) string { return l }, roles: roles, order: nativeOrder,
		unused: []string{"classifier."}, // the head of a network that was fine-tuned
	}
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

// keras is the naming of a Keras model's weights, layer/variable: conv1_conv/kernel. A layer called
// x/depthwise is the one half of a separable convolution x, whose variable is depthwise_kernel.
func keras(layer func(string) string) naming {
	return naming{
		title: "keras",
		layer: layer,
		roles: map[nn.Role]string{
			nn.Weight: "kernel", nn.Bias: "bias", nn.Gamma: "gamma", nn.Beta: "beta",
			nn.Mean: "moving_mean", nn.Variance: "moving_variance",
		},
		order: kerasOrder,
	}
}

// grid tells how learned positions lie in a file: those of the tokens before the patches, and then those of a square of patches. The
// network has positions of so many tokens before the patches; where the file has none for them, they are 0.
type grid struct{ side, before, here int }

// part tells which part of a joint tensor a layer's parameters are, and of how many.
func (n naming) part(layer string) (tensor string, at, of int) {
	if n.joint == nil {
		return "", 0, 1
	}
	j := n.joint(layer)
	if at = slices.IndexFunc(j.parts, func(end string) bool { return strings.HasSuffix(layer, "."+end) }); at < 0 {
		return "", 0, 1
	}
	return j.tensor, at, len(j.parts)
}

// tensor returns the name of a parameter's tensor.
func (n naming) tensor(p nn.Parameter) string {
	if n.whole != nil {
		if name := n.whole(p.Layer); name != "" {
			return name
		}
	}
	if tensor, _, of := n.part(p.Layer); of > 1 {
		return tensor + n.roles[p.Role]
	}
	if p.Layer == n.turned && p.Role == nn.Weight {
		return n.layer(p.Layer)
	}
	layer, separator := n.layer(p.Layer), "."
	if n.order == kerasOrder {
		separator = "/"
		if strings.Contains(layer, "/") {
			separator = "_"
		}
	}
	return layer + separator + n.roles[p.Role]
}

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

	part, parts int        // the parameter is this of so many parts, along the first axis; 0 parts: all
	places      *placement // of positions; nil of other parameters
}

// layout returns how a layer's parameter lies in a file.
func (n naming) layout(net *nn.Network, l nn.Layer, p nn.Parameter) layout {
	as := layout{shape: p.Shape}
	if _, part, of := n.part(p.Layer); of > 1 {
		as.shape = slices.Clone(p.Shape)
		as.shape[0] *= of
		as.part, as.parts = part, of
		return as
	}
	if _, ok := l.Op.(nn.Positions); ok && n.grid.side > 0 {
		as.shape = nn.Shape{n.grid.before + n.grid.side*n.grid.side, p.Shape[1]}
		as.places = &placement{from: n.grid, width: p.Shape[1]}
		for _, other := range net.Layers() {
			if s := net.Shape(other.Name); len(s) == 3 && s[0]*s[1] == p.Shape[0]-n.grid.here {
				as.places.to = [2]int{s[0], s[1]}
				break
			}
		}
		return as
	}
	if p.Layer == n.turned && p.Role == nn.Weight {
		return layout{shape: nn.Shape{p.Shape[1], p.Shape[0]}, axes: []int{1, 0}}
	}
	if n.order == nativeOrder || p.Role != nn.Weight {
		return as
	}
	if n.order == kerasOrder {
		return kerasLayout(l, p)
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

// kerasLayout returns how a weight lies in a file of Keras; a depthwise one is [height, width,
// channels, 1].
func kerasLayout(l nn.Layer, p nn.Parameter) layout {
	s := p.Shape
	switch op := l.Op.(type) {
	case nn.Conv:
		if op.Groups > 1 {
			return layout{shape: nn.Shape{s[1], s[2], s[0], s[3]}, axes: []int{2, 0, 1, 3}}
		}
		return layout{shape: nn.Shape{s[1], s[2], s[3], s[0]}, axes: []int{3, 0, 1, 2}}
	default:
		return layout{shape: nn.Shape{s[1], s[0]}, axes: []int{1, 0}}
	}
}

// fits tells whether a tensor of that shape in a file can be read so. Axes of length 1 do not count,
// nor how the axes after the first are grouped: a dense layer may be stored as a 1×1 convolution, and
// one on a flattened map as a matrix.
func (l layout) fits(shape []int) bool {
	if l.places != nil {
		return l.places.fits(shape)
	}
	want := nn.Shape(shape)
	if want.Size() != l.shape.Size() {
		return false
	}
	return slices.Equal(significant(want), significant(l.shape)) ||
		len(shape) == 2 && l.axes != nil && shape[0] == l.shape[0] && shape[1] == l.shape.Size()/l.shape[0]
}

func significant(s nn.Shape) nn.Shape {
	return slices.DeleteFunc(slices.Clone(s), func(n int) bool { return n == 1 })
}

// apply returns the data in the parameter's order, in a slice of its own.
func (l layout) apply(data []float32) []float32 {
	if l.places != nil {
		return l.places.apply(data)
	}
	if l.parts > 1 {
		size := len(data) / l.parts
		data = data[l.part*size:][:size]
	}
	if l.axes == nil {
		out := kernel.Memory(len(data))
		copy(out, data)
		return out
	}
	// Axes of length one do not count.
	strides := make([]int, len(l.shape)) // in the file
	step := 1
	for i := len(l.shape) - 1; i >= 0; i-- {
		strides[i] = step
		step *= l.shape[i]
	}
	var lengths, steps []int
	moved := false
	for _, axis := range l.axes {
		if l.shape[axis] != 1 {
			moved = moved || len(steps) > 0 && strides[axis] > steps[len(steps)-1]
			lengths, steps = append(lengths, l.shape[axis]), append(steps, strides[axis])
		}
	}
	out := kernel.Memory(len(data))
	if !moved {
		copy(out, data)
		return out
	}
	out = out[:0]
	var walk func(axis, at int)
	walk = func(axis, at int) {
		n, step := lengths[axis], steps[axis]
		if axis < len(lengths)-1 {
			for i := range n {
				walk(axis+1, at+i*step)
			}
			return
		}
		line := out[len(out) : len(out)+n]
		for i := range line {
			line[i] = data[at+i*step]
		}
		out = out[:len(out)+n]
	}
	walk(0, 0)
	return out
}

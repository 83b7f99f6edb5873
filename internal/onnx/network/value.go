package network

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/onnx"
)

// value is what a node of the file makes.
type value struct {
	shape []int // in the file, for one picture

	// Of constants, one of these is set.
	floats []float32
	whole  []int64

	// Of what layers put out.
	layer nn.Value
	// order tells for each of 4 axes in the file which of batch, height, width, channels it is: 0 to 3. A vector may have 4
	// axes in the file, with 1 for height and width.
	order []int
	// flattened is the map, in its order in the file, that a vector of 2 axes is the numbers of, where the layer has them in another order.
	flattened *flattened
	// gate is what the value is a function of, as in x·σ(x).
	gate *gate
	gelu
}

// gelu is how far a value has come to being x·(1 + erf(x/√2))/2, which files compute in five nodes.
type gelu struct {
	scaled  *value  // the value is this one times a factor
	factor  float32 //
	erf     *value  // the value is erf(x/√2), plus one if it is added: no layer puts it out
	plusOne bool    //
	doubled *value  // the value is twice this one
}

// flattened is a map whose numbers stand in the file as channels, height, width.
type flattened struct{ channels, height, width int }

// gate is a value that another was made of by a function.
type gate struct {
	of       string // layer
	function string // operator
}

func (v *value) fixed() bool { return v.layer.Name == "" }

func (v *value) size() int { return product(v.shape) }

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// mostNumbers bounds a constant.
const mostNumbers = 1 << 30

func constant(t *onnx.Tensor) (*value, error) {
	v := &value{shape: []int{}}
	n, ok := t.Elements()
	if !ok || n > mostNumbers {
		return nil, fmt.Errorf("tensor %q: its shape %v is too large", t.Name, t.Shape)
	}
	if t.External {
		return nil, fmt.Errorf("tensor %q is stored in another file: export the network to a single file (PyTorch: external_data=False)", t.Name)
	}
	for _, d := range t.Shape {
		v.shape = append(v.shape, int(d))
	}
	var err error
	switch t.Type {
	case onnx.Float32, onnx.Float16, onnx.BFloat16, onnx.Float64:
		v.floats, err = t.Float32()
	default:
		v.whole, err = t.Int64()
	}
	return v, err
}

// channelAxis is the axis of the channels in the file.
func (v *value) channelAxis() (int, error) {
	switch {
	case v.flattened != nil:
		return 0, errors.New("its input is a feature map with its axes in another order")
	case len(v.shape) == 2:
		return 1, nil
	case len(v.shape) == 4:
		return slices.Index(v.order, 3), nil
	}
	return 0, fmt.Errorf("its input of shape %v is neither a map nor a vector", v.shape)
}

// perChannel spreads a constant over the channels of a value that it is joined with.
func perChannel(v, c *value) ([]float32, error) {
	if c.floats == nil {
		return nil, errors.New("a constant of integers cannot be combined with a feature map")
	}
	axis, err := v.channelAxis()
	if err != nil {
		return nil, err
	}
	channels := v.layer.Shape.Channels()
	out := make([]float32, channels)
	if len(c.floats) == 1 {
		for i := range out {
			out[i] = c.floats[0]
		}
		return out, nil
	}
	at := axis - (len(v.shape) - len(c.shape))
	if at < 0 || at >= len(c.shape) || c.shape[at] != channels || len(c.floats) != channels {
		return nil, fmt.Errorf("its constant of shape %v is not one number for each channel of %v", c.shape, v.shape)
	}
	copy(out, c.floats)
	return out, nil
}

// spatial tells whether axes are those of height and width.
func (v *value) spatial(axes []int64) bool {
	if len(v.shape) != 4 || len(axes) != 2 {
		return false
	}
	var which []int
	for _, a := range axes {
		if a < 0 {
			a += 4
		}
		if a < 0 || a > 3 {
			return false
		}
		which = append(which, v.order[a])
	}
	slices.Sort(which)
	return slices.Equal(which, []int{1, 2})
}

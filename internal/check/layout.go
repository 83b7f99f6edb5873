package check

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/npy"
)

// Layouts of a batch of pictures or maps.
const (
	NCHW = "nchw"
	NHWC = "nhwc"
)

// batch is pictures as the backbone takes them, [count, height, width, 3].
type batch struct {
	count, height, width int
	data                 []float32
}

// pictures brings a batch into the backbone's layout, and tells which one it had.
func (c Check) pictures(a npy.Array) (_ batch, layout string, err error) {
	if len(a.Shape) != 4 {
		return batch{}, "", fmt.Errorf("its shape is %v, want [pictures, 3, height, width] or [pictures, height, width, 3]", a.Shape)
	}
	switch first, last := a.Shape[1] == 3, a.Shape[3] == 3; {
	case first && last && c.Layout == "":
		return batch{}, "", fmt.Errorf("its shape %v fits both layouts: say which it is with --layout %s or %s", a.Shape, NCHW, NHWC)
	case first && last:
		layout = c.Layout
	case first:
		layout = NCHW
	case last:
		layout = NHWC
	default:
		return batch{}, "", fmt.Errorf("its shape is %v: neither the second nor the last number is 3, the colours", a.Shape)
	}
	if c.Layout != "" && layout != c.Layout {
		return batch{}, "", fmt.Errorf("its shape %v is not %s", a.Shape, c.Layout)
	}
	b := batch{count: a.Shape[0], height: a.Shape[1], width: a.Shape[2], data: a.Data}
	if layout == NCHW {
		b.height, b.width = a.Shape[2], a.Shape[3]
		b.data = channelsLast(a.Data, b.count, 3, b.height*b.width)
	}
	return b, layout, nil
}

// outputs brings what is expected of a layer into the layer's own order. Axes of length 1 do not
// count for a vector; where a map fits both layouts it has the pictures'.
func (c Check) outputs(a npy.Array, count int, shape nn.Shape, layout string) ([]float32, error) {
	wrong := func() error {
		return fmt.Errorf("its shape is %v; the layer gives %v for each of %d pictures", a.Shape, []int(shape), count)
	}
	if len(a.Shape) == 0 || a.Shape[0] != count {
		return nil, wrong()
	}
	each := a.Shape[1:]
	if len(shape) != 3 {
		each = slices.DeleteFunc(slices.Clone(each), func(n int) bool { return n == 1 })
		if !slices.Equal(each, slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })) {
			return nil, wrong()
		}
		return a.Data, nil
	}
	last, first := slices.Equal(each, shape), slices.Equal(each, nn.Shape{shape[2], shape[0], shape[1]})
	switch {
	case last && first:
		if layout == NHWC {
			return a.Data, nil
		}
	case last:
		return a.Data, nil
	case !first:
		return nil, wrong()
	}
	return channelsLast(a.Data, count, shape[2], shape[0]*shape[1]), nil
}

// channelsLast turns [count, channels, places] into [count, places, channels].
func channelsLast(x []float32, count, channels, places int) []float32 {
	out := make([]float32, len(x))
	for i := range count {
		from, to := x[i*channels*places:], out[i*channels*places:]
		for c := range channels {
			for p := range places {
				to[p*channels+c] = from[c*places+p]
			}
		}
	}
	return out
}

// ParseLayout reads a layout, "" for none.
func ParseLayout(text string) (string, error) {
	if text != "" && text != NCHW && text != NHWC {
		return "", errors.New("want " + NCHW + " or " + NHWC)
	}
	return text, nil
}

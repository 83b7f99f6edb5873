package nn

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Conv is a two-dimensional convolution, as the field means it: a cross-correlation. Weights are
// [Out, height, width, inputs/Groups], the bias [Out].
type Conv struct {
	Out      int     `json:"out"`
	Kernel   Pair    `json:"kernel"`
	Stride   Pair    `json:"stride,omitzero"`
	Padding  Padding `json:"padding,omitzero"`
	Dilation Pair    `json:"dilation,omitzero"`
	Groups   int     `json:"groups,omitzero"` // zero means 1; as many as channels: depthwise
	Bias     bool    `json:"bias,omitzero"`
}

// Kind implements [Op].
func (Conv) Kind() string { return "conv" }

// Geometry returns the convolution as the kernels know it, for inputs of so many channels.
func (op Conv) Geometry(channels int) kernel.Conv {
	stride, dilation := op.Stride.orOne(), op.Dilation.orOne()
	return kernel.Conv{
		InC: channels, OutC: op.Out,
		KernelH: op.Kernel[0], KernelW: op.Kernel[1],
		StrideH: stride[0], StrideW: stride[1],
		PadTop: op.Padding[0], PadLeft: op.Padding[1], PadBottom: op.Padding[2], PadRight: op.Padding[3],
		DilationH: dilation[0], DilationW: dilation[1],
		Groups: max(op.Groups, 1),
	}
}

func (op Conv) on(inputs []Shape) (facts, error) {
	in, err := oneMap(inputs)
	if err != nil {
		return facts{}, err
	}
	if err := within(op.Out, op.Kernel, op.Stride, op.Dilation, op.Padding); err != nil {
		return facts{}, err
	}
	if op.Groups < 0 {
		return facts{}, fmt.Errorf("%d groups: must not be negative", op.Groups)
	}
	g := op.Geometry(in[2])
	if err := g.Validate(); err != nil {
		return facts{}, err
	}
	h, w := g.OutSize(in[0], in[1])
	out, err := positions(h, w, op.Out, op.Kernel, in)
	if err != nil {
		return facts{}, err
	}
	window, perGroup := op.Kernel[0]*op.Kernel[1], in[2]/g.Groups
	return facts{
		output: out,
		parameters: withBias(op.Bias, op.Out, Parameter{
			Role: Weight, Shape: Shape{op.Out, op.Kernel[0], op.Kernel[1], perGroup},
			initial: byFans, fanIn: window * perGroup, fanOut: op.Out * window / g.Groups,
		}),
		multiplyAdds: int64(out.Size()) * int64(window) * int64(perGroup),
		expect:       expectUnit,
	}, nil
}

// within refuses numbers so large that arithmetic on them could overflow.
func within(out int, window, stride, dilation Pair, pad Padding) error {
	const most = 1 << 16
	numbers := append(append(append(window[:], stride[:]...), dilation[:]...), pad[:]...)
	for _, n := range numbers {
		if n < 0 || n > most {
			return fmt.Errorf("window %v, stride %v, dilation %v, padding %v: numbers must be from 0 to %d", window, stride, dilation, pad, most)
		}
	}
	if out < 1 || out > maxDimension {
		return fmt.Errorf("%d output channels: must be from 1 to %d", out, maxDimension)
	}
	return nil
}

// positions is the shape of a map with one pixel for each position of a window.
func positions(h, w, channels int, window Pair, in Shape) (Shape, error) {
	if h < 1 || w < 1 {
		return nil, fmt.Errorf("window of %d×%d does not fit into the input of shape %v", window[0], window[1], in)
	}
	return Shape{h, w, channels}, nil
}

package nn

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Op is what a layer does: one of the struct types below, by value.
type Op interface {
	// Kind is the word for the op in JSON and listings.
	Kind() string
	// infer returns the output's shape, or an error if the op cannot take these inputs.
	infer(inputs []Shape) (Shape, error)
}

// Input is where an example enters the network.
type Input struct {
	Shape   Shape   `json:"shape"`
	Element Element `json:"element,omitzero"`
}

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

// BatchNorm normalises each channel: scale·(x−mean)/√(variance+Epsilon) + shift. Frozen, mean and
// variance are the running ones; in training, those of the batch.
type BatchNorm struct {
	Epsilon float32 `json:"epsilon"`
	// Momentum is the share of the old running statistics that a training step keeps, as Keras
	// counts it; PyTorch's momentum is 1 less this.
	Momentum float32 `json:"momentum,omitzero"`
	Unscaled bool    `json:"unscaled,omitzero"` // there is no gamma: it is 1 (Keras, scale=False)
}

// Activation applies a function to each element.
type Activation struct {
	Function kernel.Activation
}

// Add sums its inputs, two or more of one shape.
type Add struct{}

// Multiply multiplies a map [height, width, channels] by a vector [channels], as
// squeeze-and-excitation does, or two inputs of one shape element by element.
type Multiply struct{}

// Scale multiplies by a constant.
type Scale struct {
	Factor float32 `json:"factor"`
}

// Concat joins its inputs along the channels.
type Concat struct{}

// MaxPool takes the greatest value of each window; padding never wins.
type MaxPool struct {
	Kernel  Pair    `json:"kernel"`
	Stride  Pair    `json:"stride,omitzero"`
	Padding Padding `json:"padding,omitzero"`
	Ceil    bool    `json:"ceil,omitzero"` // round the output's size up, as PyTorch's ceil_mode
}

// AveragePool takes the mean of each window.
type AveragePool struct {
	Kernel       Pair    `json:"kernel"`
	Stride       Pair    `json:"stride,omitzero"`
	Padding      Padding `json:"padding,omitzero"`
	Ceil         bool    `json:"ceil,omitzero"`
	CountPadding bool    `json:"count_padding,omitzero"` // padding counts as zeros (PyTorch's default); else it is left out (Keras)
}

// ZeroPad adds zeros around a map, which count as values: they win a max pooling of negative ones. A
// negative number takes away as many lines or columns.
type ZeroPad struct {
	Margins Padding `json:"margins"`
}

// GlobalAveragePool takes the mean of each channel: [height, width, channels] to [channels].
type GlobalAveragePool struct{}

// Dense is a fully connected layer on [features]. Weights are [Out, inputs], the bias [Out].
type Dense struct {
	Out  int  `json:"out"`
	Bias bool `json:"bias,omitzero"`
}

// Dropout sets each element to zero with probability Rate in training, and multiplies the others by
// 1/(1−Rate). Frozen, it does nothing.
type Dropout struct {
	Rate float32 `json:"rate"`
}

// Flatten makes a vector of a map, row by row, the channels of a pixel side by side.
type Flatten struct{}

// Softmax turns logits [classes] into probabilities.
type Softmax struct{}

// Kind implements [Op].
func (Input) Kind() string             { return "input" }
func (Conv) Kind() string              { return "conv" }
func (BatchNorm) Kind() string         { return "batch_norm" }
func (Activation) Kind() string        { return "activation" }
func (Add) Kind() string               { return "add" }
func (Multiply) Kind() string          { return "multiply" }
func (Scale) Kind() string             { return "scale" }
func (Concat) Kind() string            { return "concat" }
func (MaxPool) Kind() string           { return "max_pool" }
func (AveragePool) Kind() string       { return "average_pool" }
func (ZeroPad) Kind() string           { return "zero_pad" }
func (GlobalAveragePool) Kind() string { return "global_average_pool" }
func (Dense) Kind() string             { return "dense" }
func (Dropout) Kind() string           { return "dropout" }
func (Flatten) Kind() string           { return "flatten" }
func (Softmax) Kind() string           { return "softmax" }

// Geometry returns the convolution as the kernels know it, for inputs of so many channels.
func (c Conv) Geometry(channels int) kernel.Conv {
	stride, dilation := c.Stride.orOne(), c.Dilation.orOne()
	return kernel.Conv{
		InC: channels, OutC: c.Out,
		KernelH: c.Kernel[0], KernelW: c.Kernel[1],
		StrideH: stride[0], StrideW: stride[1],
		PadTop: c.Padding[0], PadLeft: c.Padding[1], PadBottom: c.Padding[2], PadRight: c.Padding[3],
		DilationH: dilation[0], DilationW: dilation[1],
		Groups: max(c.Groups, 1),
	}
}

// Geometry returns the pooling as the kernels know it.
func (p MaxPool) Geometry() kernel.Pooling {
	return pooling(p.Kernel, p.Stride, p.Padding, p.Ceil, false)
}

// Geometry returns the pooling as the kernels know it.
func (p AveragePool) Geometry() kernel.Pooling {
	return pooling(p.Kernel, p.Stride, p.Padding, p.Ceil, p.CountPadding)
}

func pooling(window, stride Pair, pad Padding, ceil, count bool) kernel.Pooling {
	stride = stride.orOne()
	return kernel.Pooling{
		KernelH: window[0], KernelW: window[1],
		StrideH: stride[0], StrideW: stride[1],
		PadTop: pad[0], PadLeft: pad[1], PadBottom: pad[2], PadRight: pad[3],
		Ceil: ceil, CountPadding: count,
	}
}

func (op Input) infer(inputs []Shape) (Shape, error) {
	if len(inputs) != 0 {
		return nil, fmt.Errorf("takes no input, has %d", len(inputs))
	}
	if op.Element < Float32 || op.Element > Int32 {
		return nil, fmt.Errorf("unknown element %d", int(op.Element))
	}
	return op.Shape, nil
}

func (op Conv) infer(inputs []Shape) (Shape, error) {
	in, err := oneMap(inputs)
	if err != nil {
		return nil, err
	}
	if err := within(op.Out, op.Kernel, op.Stride, op.Dilation, op.Padding); err != nil {
		return nil, err
	}
	if op.Groups < 0 {
		return nil, fmt.Errorf("%d groups: must not be negative", op.Groups)
	}
	g := op.Geometry(in[2])
	if err := g.Validate(); err != nil {
		return nil, err
	}
	h, w := g.OutSize(in[0], in[1])
	return positions(h, w, op.Out, op.Kernel, in)
}

func (op BatchNorm) infer(inputs []Shape) (Shape, error) {
	if !(op.Epsilon > 0 && op.Epsilon < 1) {
		return nil, fmt.Errorf("epsilon %v: must be above 0 and below 1", op.Epsilon)
	}
	if !(op.Momentum >= 0 && op.Momentum < 1) {
		return nil, fmt.Errorf("momentum %v: must be at least 0 and below 1", op.Momentum)
	}
	return one(inputs)
}

func (op Activation) infer(inputs []Shape) (Shape, error) {
	if op.Function < kernel.None || op.Function > kernel.GELU {
		return nil, fmt.Errorf("unknown function %v", op.Function)
	}
	return one(inputs)
}

func (Add) infer(inputs []Shape) (Shape, error) {
	if len(inputs) < 2 {
		return nil, fmt.Errorf("takes two inputs or more, has %d", len(inputs))
	}
	for _, s := range inputs[1:] {
		if !slices.Equal(s, inputs[0]) {
			return nil, fmt.Errorf("inputs of shapes %v and %v: must be equal", inputs[0], s)
		}
	}
	return inputs[0], nil
}

func (Multiply) infer(inputs []Shape) (Shape, error) {
	if len(inputs) != 2 {
		return nil, fmt.Errorf("takes two inputs, has %d", len(inputs))
	}
	a, b := inputs[0], inputs[1]
	if !slices.Equal(a, b) && !(len(a) == 3 && len(b) == 1 && a[2] == b[0]) {
		return nil, fmt.Errorf("inputs of shapes %v and %v: must be equal, or the second a vector of the first's channels", a, b)
	}
	return a, nil
}

func (op Scale) infer(inputs []Shape) (Shape, error) {
	if f := op.Factor; f-f != 0 {
		return nil, fmt.Errorf("factor %v: must be finite", f)
	}
	return one(inputs)
}

func (Concat) infer(inputs []Shape) (Shape, error) {
	if len(inputs) < 2 {
		return nil, fmt.Errorf("takes two inputs or more, has %d", len(inputs))
	}
	out := slices.Clone(inputs[0])
	last := len(out) - 1
	for _, s := range inputs[1:] {
		if len(s) != len(out) || !slices.Equal(s[:last], out[:last]) {
			return nil, fmt.Errorf("inputs of shapes %v and %v: must be equal but for the channels", inputs[0], s)
		}
		out[last] += s[last]
	}
	return out, nil
}

func (op MaxPool) infer(inputs []Shape) (Shape, error) {
	return inferPooling(inputs, op.Kernel, op.Stride, op.Padding, op.Geometry())
}

func (op AveragePool) infer(inputs []Shape) (Shape, error) {
	return inferPooling(inputs, op.Kernel, op.Stride, op.Padding, op.Geometry())
}

func inferPooling(inputs []Shape, window, stride Pair, pad Padding, g kernel.Pooling) (Shape, error) {
	in, err := oneMap(inputs)
	if err != nil {
		return nil, err
	}
	if err := within(1, window, stride, Pair{}, pad); err != nil {
		return nil, err
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	h, w := g.OutSize(in[0], in[1])
	return positions(h, w, in[2], window, in)
}

func (op ZeroPad) infer(inputs []Shape) (Shape, error) {
	in, err := oneMap(inputs)
	if err != nil {
		return nil, err
	}
	for _, n := range op.Margins {
		if n < -maxDimension || n > maxDimension {
			return nil, fmt.Errorf("margins %v: numbers must be from %d to %d", op.Margins, -maxDimension, maxDimension)
		}
	}
	m := op.Margins
	if h, w := in[0]+min(m[0], 0)+min(m[2], 0), in[1]+min(m[1], 0)+min(m[3], 0); h < 1 || w < 1 {
		return nil, fmt.Errorf("margins %v leave nothing of the input of shape %v", m, in)
	}
	return Shape{in[0] + m[0] + m[2], in[1] + m[1] + m[3], in[2]}, nil
}

func (GlobalAveragePool) infer(inputs []Shape) (Shape, error) {
	in, err := oneMap(inputs)
	if err != nil {
		return nil, err
	}
	return Shape{in[2]}, nil
}

func (op Dense) infer(inputs []Shape) (Shape, error) {
	in, err := one(inputs)
	if err != nil {
		return nil, err
	}
	if len(in) != 1 {
		return nil, fmt.Errorf("input of shape %v: must be a vector; flatten or pool it", in)
	}
	return Shape{op.Out}, nil
}

func (op Dropout) infer(inputs []Shape) (Shape, error) {
	if !(op.Rate >= 0 && op.Rate < 1) {
		return nil, fmt.Errorf("rate %v: must be at least 0 and below 1", op.Rate)
	}
	return one(inputs)
}

func (Flatten) infer(inputs []Shape) (Shape, error) {
	in, err := one(inputs)
	if err != nil {
		return nil, err
	}
	return Shape{in.Size()}, nil
}

func (Softmax) infer(inputs []Shape) (Shape, error) {
	in, err := one(inputs)
	if err != nil {
		return nil, err
	}
	if len(in) != 1 {
		return nil, fmt.Errorf("input of shape %v: must be a vector", in)
	}
	return in, nil
}

func one(inputs []Shape) (Shape, error) {
	if len(inputs) != 1 {
		return nil, fmt.Errorf("takes one input, has %d", len(inputs))
	}
	return inputs[0], nil
}

func oneMap(inputs []Shape) (Shape, error) {
	in, err := one(inputs)
	if err != nil {
		return nil, err
	}
	if len(in) != 3 {
		return nil, fmt.Errorf("input of shape %v: must be [height, width, channels]", in)
	}
	return in, nil
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

func positions(h, w, channels int, window Pair, in Shape) (Shape, error) {
	if h < 1 || w < 1 {
		return nil, fmt.Errorf("window of %d×%d does not fit into the input of shape %v", window[0], window[1], in)
	}
	return Shape{h, w, channels}, nil
}

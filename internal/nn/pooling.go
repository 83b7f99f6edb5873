package nn

import "github.com/tlpipe/tlpipe/internal/kernel"

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

// GlobalAveragePool takes the mean of each channel: [height, width, channels] to [channels].
type GlobalAveragePool struct{}

// Kind implements [Op].
func (MaxPool) Kind() string           { return "max_pool" }
func (AveragePool) Kind() string       { return "average_pool" }
func (GlobalAveragePool) Kind() string { return "global_average_pool" }

// Geometry returns the pooling as the kernels know it.
func (op MaxPool) Geometry() kernel.Pooling {
	return pooling(op.Kernel, op.Stride, op.Padding, op.Ceil, false)
}

// Geometry returns the pooling as the kernels know it.
func (op AveragePool) Geometry() kernel.Pooling {
	return pooling(op.Kernel, op.Stride, op.Padding, op.Ceil, op.CountPadding)
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

func (op MaxPool) on(inputs []Shape) (facts, error) {
	return pooled(inputs, op.Kernel, op.Stride, op.Padding, op.Geometry())
}

func (op AveragePool) on(inputs []Shape) (facts, error) {
	return pooled(inputs, op.Kernel, op.Stride, op.Padding, op.Geometry())
}

func pooled(inputs []Shape, window, stride Pair, pad Padding, g kernel.Pooling) (facts, error) {
	in, err := oneMap(inputs)
	if err != nil {
		return facts{}, err
	}
	if err := within(1, window, stride, Pair{}, pad); err != nil {
		return facts{}, err
	}
	if err := g.Validate(); err != nil {
		return facts{}, err
	}
	h, w := g.OutSize(in[0], in[1])
	out, err := positions(h, w, in[2], window, in)
	return facts{output: out}, err
}

func (GlobalAveragePool) on(inputs []Shape) (facts, error) {
	in, err := oneMap(inputs)
	if err != nil {
		return facts{}, err
	}
	return facts{output: Shape{in[2]}}, nil
}

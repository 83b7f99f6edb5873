package frozen

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// step is one call of a kernel.
type step interface {
	run(f *frame)
	bytes() int // of packed weights
	describe() (class string, flops int)
}

// weightless is part of steps that have no weights.
type weightless struct{}

func (weightless) bytes() int { return 0 }

// convStep computes act(conv(src) + bias + residual); a dense layer is a convolution of one pixel.
type convStep struct {
	packed   *kernel.PackedConv
	h, w     int // of the input
	src, dst view
	residual *view
	act      kernel.Activation
}

func (s *convStep) run(f *frame) {
	v := kernel.ConvView{
		Dst: f.slice(s.dst), DstPitch: s.dst.pitch,
		Src: f.slice(s.src), SrcPitch: s.src.pitch,
		N: f.n, H: s.h, W: s.w,
	}
	if s.residual != nil {
		v.Residual, v.ResidualPitch = f.slice(*s.residual), s.residual.pitch
	}
	s.packed.RunView(f.pool, v, s.act, &f.workspace)
}

func (s *convStep) bytes() int { return s.packed.Bytes() }

func (s *convStep) describe() (string, int) {
	class, flops := describeConv(s.packed.Conv(), s.h, s.w)
	switch {
	case s.packed.Halved():
		class += ", 16-bit weights"
	case s.packed.Rounds():
		class += bfloat16s.suffix()
	}
	return class, flops
}

// scaleShiftStep computes act(src·scale + shift), channel by channel.
type scaleShiftStep struct {
	src, dst     view
	scale, shift []float32
	act          kernel.Activation
}

func (s *scaleShiftStep) run(f *frame) {
	kernel.ScaleShiftView(f.pool, f.slice(s.dst), s.dst.pitch, f.slice(s.src), s.src.pitch,
		s.scale, s.shift, f.n*s.src.pixels, s.src.channels, s.act)
}

func (s *scaleShiftStep) bytes() int { return 4 * (len(s.scale) + len(s.shift)) }

func (*scaleShiftStep) describe() (string, int) { return "batch-norm", 0 }

// The steps below read and write dense tensors.

type activateStep struct {
	weightless
	src, dst view
	act      kernel.Activation
}

func (s *activateStep) run(f *frame) {
	kernel.Activate(f.pool, f.slice(s.dst), f.slice(s.src), s.act)
}

func (*activateStep) describe() (string, int) { return "activation", 0 }

// addStep computes act(a + b).
type addStep struct {
	weightless
	a, b, dst view
	act       kernel.Activation
}

func (s *addStep) run(f *frame) {
	kernel.Add(f.pool, f.slice(s.dst), f.slice(s.a), f.slice(s.b), s.act)
}

func (*addStep) describe() (string, int) { return "add", 0 }

// multiplyStep computes src·by, element by element or with one factor a channel.
type multiplyStep struct {
	weightless
	src, by, dst view
}

func (s *multiplyStep) run(f *frame) {
	dst, src, by := f.slice(s.dst), f.slice(s.src), f.slice(s.by)
	if s.by.pixels*s.by.channels == s.src.pixels*s.src.channels {
		kernel.Mul(f.pool, dst, src, by)
		return
	}
	kernel.MulChannels(f.pool, dst, src, by, f.n, s.src.pixels, s.src.channels)
}

func (*multiplyStep) describe() (string, int) { return "multiply", 0 }

// poolStep computes the greatest or the mean value of windows.
type poolStep struct {
	weightless
	src, dst view
	geometry kernel.Pooling
	h, w     int // of the input
	greatest bool
}

func (s *poolStep) run(f *frame) {
	run := kernel.AvgPool
	if s.greatest {
		run = kernel.MaxPool
	}
	run(f.pool, s.geometry, f.slice(s.dst), f.slice(s.src), f.n, s.h, s.w, s.src.channels)
}

func (s *poolStep) describe() (string, int) {
	if s.greatest {
		return "max pool", 0
	}
	return "average pool", 0
}

// padStep moves a map to its place in one with other margins.
type padStep struct {
	weightless
	src, dst view
	margins  nn.Padding
	from, to nn.Shape
}

func (s *padStep) run(f *frame) {
	src, dst := f.slice(s.src), f.slice(s.dst)
	clear(dst)
	top, left := s.margins[0], s.margins[1]
	columns := min(s.from[1], s.to[1]-left) - max(0, -left)
	for i := range f.n {
		for line := max(0, -top); line < min(s.from[0], s.to[0]-top); line++ {
			to := ((i*s.to[0]+line+top)*s.to[1] + max(0, left)) * s.to[2]
			from := ((i*s.from[0]+line)*s.from[1] + max(0, -left)) * s.to[2]
			copy(dst[to:to+columns*s.to[2]], src[from:])
		}
	}
}

func (*padStep) describe() (string, int) { return "pad", 0 }

type globalPoolStep struct {
	weightless
	src, dst view
}

func (s *globalPoolStep) run(f *frame) {
	kernel.GlobalAvgPool(f.pool, f.slice(s.dst), f.slice(s.src), f.n, s.src.pixels, s.src.channels)
}

func (*globalPoolStep) describe() (string, int) { return "global pool", 0 }

type softmaxStep struct {
	weightless
	src, dst view
}

func (s *softmaxStep) run(f *frame) {
	kernel.Softmax(f.pool, f.slice(s.dst), f.slice(s.src), f.n*s.src.pixels, s.src.channels)
}

func (*softmaxStep) describe() (string, int) { return "softmax", 0 }

// copyStep moves a value between a dense tensor and a band of channels.
type copyStep struct {
	weightless
	src, dst view
}

func (s *copyStep) run(f *frame) {
	switch s.src.element {
	case floats:
		move(f, s, f.slice(s.dst), f.slice(s.src))
	case bfloat16s:
		move(f, s, f.bfloat16s(s.dst), f.bfloat16s(s.src))
	case uint8s:
		move(f, s, f.uint8s(s.dst), f.uint8s(s.src))
	}
}

func (s *copyStep) describe() (string, int) { return "copy" + s.src.element.suffix(), 0 }

func move[E any](f *frame, s *copyStep, dst, src []E) {
	for i := range f.n * s.src.pixels {
		copy(dst[i*s.dst.pitch:][:s.dst.channels], src[i*s.src.pitch:])
	}
}

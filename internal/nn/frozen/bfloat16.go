package frozen

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

func emitBFloat16Conv(n *node, in []view, out view) ([]step, error) {
	op := n.op.(nn.Conv)
	packed, err := kernel.PackConvBFloat16(op.Geometry(in[0].channels), n.weightByFours(op), narrow(n.shift))
	if err != nil {
		return nil, err
	}
	return []step{&bfloat16ConvStep{
		packed: packed, geometry: n.defined(op), h: n.in[0].shape[0], w: n.in[0].shape[1],
		src: in[0], dst: out, residual: n.residualView(), act: n.act,
	}}, nil
}

func emitBFloat16MaxPool(n *node, in []view, out view) ([]step, error) {
	return []step{&bfloat16PoolStep{src: in[0], dst: out, geometry: n.op.(nn.MaxPool).Geometry(), h: n.in[0].shape[0], w: n.in[0].shape[1]}}, nil
}

func emitBFloat16GlobalPool(_ *node, in []view, out view) ([]step, error) {
	return []step{&bfloat16GlobalPoolStep{src: in[0], dst: out}}, nil
}

// bfloat16ConvStep is convStep on bfloat16.
type bfloat16ConvStep struct {
	packed   *kernel.PackedConvBFloat16
	geometry kernel.Conv
	h, w     int
	src, dst view
	residual *view
	act      kernel.Activation
}

func (s *bfloat16ConvStep) run(f *frame) {
	var residual []kernel.BFloat16
	if s.residual != nil {
		residual = f.bfloat16s(*s.residual)
	}
	s.packed.Run(f.pool, f.bfloat16s(s.dst), f.bfloat16s(s.src), f.n, s.h, s.w, residual, s.act, &f.workspace)
}

func (s *bfloat16ConvStep) bytes() int { return s.packed.Bytes() }

func (s *bfloat16ConvStep) describe() (string, int) {
	class, flops := describeConv(s.geometry, s.h, s.w)
	return class + ", bf16", flops
}

// convertStep rounds to bfloat16 or widens to float32.
type convertStep struct {
	weightless
	src, dst view
}

func (s *convertStep) run(f *frame) {
	switch {
	case s.dst.channels != s.src.channels:
		kernel.ToBFloat16Threes(f.pool, f.bfloat16s(s.dst), f.slice(s.src), f.n*s.src.pixels)
	case s.dst.element == bfloat16s:
		kernel.ToBFloat16(f.pool, f.bfloat16s(s.dst), f.slice(s.src))
	default:
		kernel.FromBFloat16(f.pool, f.slice(s.dst), f.bfloat16s(s.src))
	}
}

func (*convertStep) describe() (string, int) { return "convert", 0 }

// bfloat16PoolStep takes the greatest value of windows.
type bfloat16PoolStep struct {
	weightless
	src, dst view
	geometry kernel.Pooling
	h, w     int
}

func (s *bfloat16PoolStep) run(f *frame) {
	kernel.MaxPoolBFloat16(f.pool, s.geometry, f.bfloat16s(s.dst), f.bfloat16s(s.src), f.n, s.h, s.w, s.src.channels, &f.workspace)
}

func (*bfloat16PoolStep) describe() (string, int) { return "max pool, bf16", 0 }

type bfloat16GlobalPoolStep struct {
	weightless
	src, dst view
}

func (s *bfloat16GlobalPoolStep) run(f *frame) {
	kernel.GlobalAvgPoolBFloat16(f.pool, f.slice(s.dst), f.bfloat16s(s.src), f.n, s.src.pixels, s.src.channels, &f.workspace)
}

func (*bfloat16GlobalPoolStep) describe() (string, int) { return "global pool, bf16", 0 }

package frozen

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

func emitUint8Conv(n *node, in []view, dst view) ([]step, error) {
	op, src := n.op.(nn.Conv), in[0]
	g := op.Geometry(src.channels)
	o := kernel.Int8Options{Input: n.in[0].quantizationRange.quantization()}
	if dst.element == uint8s {
		o.Output = n.out.quantizationRange.quantization()
	}
	if n.residual != nil && dst.element == uint8s {
		o.Residual = n.residual.quantizationRange.quantization()
	}
	s := &uint8ConvStep{
		geometry: n.defined(op), h: n.in[0].shape[0], w: n.in[0].shape[1],
		src: src, dst: dst, residual: n.residualView(), act: n.act,
	}
	var err error
	s.packed, err = kernel.PackConvInt8(g, n.weightByFours(op), narrow(n.shift), o)
	return []step{s}, err
}

func emitUint8MaxPool(n *node, in []view, out view) ([]step, error) {
	return []step{&uint8PoolStep{src: in[0], dst: out, geometry: n.op.(nn.MaxPool).Geometry(), h: n.in[0].shape[0], w: n.in[0].shape[1]}}, nil
}

func emitUint8GlobalPool(n *node, in []view, out view) ([]step, error) {
	return []step{&uint8GlobalPoolStep{src: in[0], dst: out, quantization: n.in[0].quantizationRange.quantization()}}, nil
}

// uint8ConvStep is convStep on bytes; it writes bytes or float32.
type uint8ConvStep struct {
	packed   *kernel.PackedConvInt8
	geometry kernel.Conv
	h, w     int
	src, dst view
	residual *view
	act      kernel.Activation
}

func (s *uint8ConvStep) run(f *frame) {
	v := kernel.Int8View{
		Src: f.uint8s(s.src), SrcPitch: s.src.pitch, DstPitch: s.dst.pitch,
		N: f.n, H: s.h, W: s.w,
	}
	if s.residual != nil {
		v.ResidualPitch = s.residual.pitch
	}
	if s.dst.element == uint8s {
		v.Dst = f.uint8s(s.dst)
		if s.residual != nil {
			v.Residual = f.uint8s(*s.residual)
		}
	} else {
		v.Wide = f.slice(s.dst)
		if s.residual != nil {
			v.WideResidual = f.slice(*s.residual)
		}
	}
	s.packed.RunView(f.pool, v, s.act, &f.workspace)
}

func (s *uint8ConvStep) bytes() int { return s.packed.Bytes() }

func (s *uint8ConvStep) describe() (string, int) {
	class, flops := describeConv(s.geometry, s.h, s.w)
	return class + ", int8", flops
}

// quantizeStep turns float32 to bytes or back. Pixels of three channels become pixels of four.
type quantizeStep struct {
	weightless
	src, dst     view
	quantization kernel.Quantization
}

func (s *quantizeStep) run(f *frame) {
	switch {
	case s.src.element == uint8s:
		kernel.Dequantize(f.pool, f.slice(s.dst), f.uint8s(s.src), s.quantization)
	case s.src.channels != s.dst.channels:
		kernel.QuantizeThrees(f.pool, f.uint8s(s.dst), f.slice(s.src), f.n*s.src.pixels, s.quantization)
	default:
		kernel.Quantize(f.pool, f.uint8s(s.dst), f.slice(s.src), s.quantization)
	}
}

func (*quantizeStep) describe() (string, int) { return "convert", 0 }

// uint8PoolStep takes the greatest value of windows.
type uint8PoolStep struct {
	weightless
	src, dst view
	geometry kernel.Pooling
	h, w     int
}

func (s *uint8PoolStep) run(f *frame) {
	kernel.MaxPoolUint8(f.pool, s.geometry, f.uint8s(s.dst), f.uint8s(s.src), f.n, s.h, s.w, s.src.channels, &f.workspace)
}

func (*uint8PoolStep) describe() (string, int) { return "max pool, int8", 0 }

type uint8GlobalPoolStep struct {
	weightless
	src, dst     view
	quantization kernel.Quantization
}

func (s *uint8GlobalPoolStep) run(f *frame) {
	kernel.GlobalAvgPoolUint8(f.pool, f.slice(s.dst), f.uint8s(s.src), s.quantization, f.n, s.src.pixels, s.src.channels, &f.workspace)
}

func (*uint8GlobalPoolStep) describe() (string, int) { return "global pool, int8", 0 }

package frozen

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// halve decides which nodes compute in bfloat16, and puts conversions where their values meet those
// of others.
func (c *compilation) halve() {
	for _, n := range c.nodes {
		n.half = c.worthHalving(n)
		_, vector := n.op.(nn.GlobalAveragePool)
		n.out.half = n.half && !vector
	}
	var nodes []*node
	converted := map[*value]*value{}
	as := func(v *value, half bool, name string) *value {
		if v.half == half {
			return v
		}
		if converted[v] == nil {
			x := &value{shape: v.shape, half: half}
			x.maker = &node{name: name, in: []*value{v}, out: x}
			nodes = append(nodes, x.maker)
			converted[v] = x
		}
		return converted[v]
	}
	for _, n := range c.nodes {
		for i, v := range n.in {
			n.in[i] = as(v, n.half, n.name)
		}
		if n.residual != nil {
			n.residual = as(n.residual, n.half, n.name)
		}
		nodes = append(nodes, n)
	}
	for _, name := range c.outputs {
		c.values[name] = as(c.values[name], false, name)
	}
	c.nodes = nodes
}

// worthHalving tells whether a node, whose inputs are decided on, is faster in bfloat16, conversions
// included.
func (c *compilation) worthHalving(n *node) bool {
	switch op := n.op.(type) {
	case nn.MaxPool, nn.GlobalAveragePool, nn.Concat:
		for _, v := range n.in {
			if !v.half {
				return false
			}
		}
		return true
	case nn.Conv:
		if !n.halvable() {
			return false
		}
		g, shape := op.Geometry(n.in[0].channels()), n.in[0].shape
		flops := float64(g.FLOPs(shape[0], shape[1]))
		float, half := flops/c.floatSpeed(g, shape), flops/halfSpeed
		for _, v := range n.reads() {
			if v.half {
				float += conversion * float64(v.shape.Size())
			} else {
				half += conversion * float64(v.shape.Size())
			}
		}
		size := float64(n.out.shape.Size())
		if wish := c.wish(n.out); wish < 0 {
			half += conversion * size
		} else if wish > 0 {
			float += conversion * size
		}
		return half < float
	}
	return false
}

// The speed of convolutions, that of plain ones in float32 being 1, and how many operations of these
// the conversion of one number is worth. Measured on Zen 5.
const (
	halfSpeed     = 2.3
	winogradSpeed = 3.2
	conversion    = 60
)

// floatSpeed guesses the speed of a convolution in float32: with Winograd's method where that can be
// taken, which is the less fast the more of its squares of 4×4 lie outside.
func (c *compilation) floatSpeed(g kernel.Conv, shape nn.Shape) float64 {
	h, w := g.OutSize(shape[0], shape[1])
	if c.algorithm == kernel.Plain || g.KernelH != 3 || g.KernelW != 3 || g.StrideH != 1 || g.StrideW != 1 ||
		max(g.DilationH, g.DilationW, g.Groups) > 1 || min(g.InC, g.OutC) < 32 {
		return 1
	}
	speed := winogradSpeed * float64(h*w) / float64((h+3)/4*4*((w+3)/4*4))
	if min(g.InC, g.OutC) < 128 {
		speed *= 0.75 // its transforms weigh more
	}
	return speed
}

// wish tells what those who read a value would rather have: bfloat16 if it is positive, float32 if
// it is negative.
func (c *compilation) wish(v *value) int {
	wish := 0
	for _, n := range c.nodes {
		for _, read := range n.reads() {
			if read != v {
				continue
			}
			if !n.halvable() {
				return -1
			}
			if op, ok := n.op.(nn.Conv); ok && c.floatSpeed(op.Geometry(n.in[0].channels()), n.in[0].shape) < halfSpeed {
				wish = 1
			}
		}
	}
	return wish
}

// halvable tells whether there is a way to compute the node in bfloat16 that may be faster.
func (n *node) halvable() bool {
	switch op := n.op.(type) {
	case nn.Conv:
		g := op.Geometry(n.in[0].channels())
		return !g.Depthwise() && g.InC/g.Groups%2 == 0
	case nn.MaxPool, nn.GlobalAveragePool, nn.Concat:
		return true
	}
	return false
}

// emitHalf makes the steps of a node that reads bfloat16.
func (n *node) emitHalf(in []view, out view) ([]step, error) {
	switch op := n.op.(type) {
	case nn.Conv:
		packed, err := kernel.PackConvBFloat16(op.Geometry(in[0].channels), n.scaledWeight(), narrow(n.shift))
		if err != nil {
			return nil, err
		}
		s := &halfConvStep{
			packed: packed, geometry: op.Geometry(in[0].channels), h: n.in[0].shape[0], w: n.in[0].shape[1],
			src: in[0], dst: out, act: n.act,
		}
		if n.residual != nil {
			r := n.residual.view()
			s.residual = &r
		}
		return []step{s}, nil
	case nn.MaxPool:
		return []step{&halfPoolStep{in[0], out, op.Geometry(), n.in[0].shape[0], n.in[0].shape[1]}}, nil
	case nn.GlobalAveragePool:
		return []step{&halfGlobalPoolStep{in[0], out}}, nil
	}
	var steps []step // of a concatenation
	channel := 0
	for _, v := range in {
		steps = append(steps, &halfCopyStep{v, out, channel})
		channel += v.channels
	}
	return steps, nil
}

// halfConvStep is convStep on bfloat16.
type halfConvStep struct {
	packed   *kernel.PackedConvBFloat16
	geometry kernel.Conv
	h, w     int
	src, dst view
	residual *view
	act      kernel.Activation
}

func (s *halfConvStep) run(f *frame) {
	var residual []kernel.BFloat16
	if s.residual != nil {
		residual = f.halves(*s.residual)
	}
	s.packed.Run(f.pool, f.halves(s.dst), f.halves(s.src), f.n, s.h, s.w, residual, s.act, &f.workspace)
}

func (s *halfConvStep) bytes() int { return 2*s.geometry.WeightSize() + 4*s.geometry.OutC }

func (s *halfConvStep) describe() (string, int) {
	class, flops := describeConv(s.geometry, s.h, s.w)
	return class + ", bf16", flops
}

// convertStep rounds to bfloat16 or widens to float32.
type convertStep struct {
	src, dst view
}

func (s *convertStep) run(f *frame) {
	if s.dst.half {
		kernel.ToBFloat16(f.pool, f.halves(s.dst), f.slice(s.src))
	} else {
		kernel.FromBFloat16(f.pool, f.slice(s.dst), f.halves(s.src))
	}
}

// halfPoolStep takes the greatest value of windows.
type halfPoolStep struct {
	src, dst view
	geometry kernel.Pooling
	h, w     int
}

func (s *halfPoolStep) run(f *frame) {
	kernel.MaxPoolBFloat16(f.pool, s.geometry, f.halves(s.dst), f.halves(s.src), f.n, s.h, s.w, s.src.channels, &f.workspace)
}

type halfGlobalPoolStep struct {
	src, dst view
}

func (s *halfGlobalPoolStep) run(f *frame) {
	kernel.GlobalAvgPoolBFloat16(f.pool, f.slice(s.dst), f.halves(s.src), f.n, s.src.pixels, s.src.channels, &f.workspace)
}

// halfCopyStep moves a value to its channels of a concatenation.
type halfCopyStep struct {
	src, dst view
	channel  int
}

func (s *halfCopyStep) run(f *frame) {
	src, dst := f.halves(s.src), f.halves(s.dst)
	for i := range f.n * s.src.pixels {
		copy(dst[i*s.dst.channels+s.channel:], src[i*s.src.channels:][:s.src.channels])
	}
}

func (*convertStep) bytes() int        { return 0 }
func (*halfPoolStep) bytes() int       { return 0 }
func (*halfGlobalPoolStep) bytes() int { return 0 }
func (*halfCopyStep) bytes() int       { return 0 }

func (*convertStep) describe() (string, int)        { return "convert", 0 }
func (*halfPoolStep) describe() (string, int)       { return "max pool, bf16", 0 }
func (*halfGlobalPoolStep) describe() (string, int) { return "global pool, bf16", 0 }
func (*halfCopyStep) describe() (string, int)       { return "copy, bf16", 0 }

package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// BFloat16 is the upper half of a float32: the same range, eight bits of precision.
type BFloat16 uint16

// RoundBFloat16 returns x rounded to the nearest number, ties to even. A NaN stays one.
func RoundBFloat16(x float32) BFloat16 {
	bits := math.Float32bits(x)
	if x != x {
		return BFloat16(bits>>16 | 0x40)
	}
	return BFloat16((bits + 0x7fff + bits>>16&1) >> 16)
}

// Float32 returns the number.
func (b BFloat16) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// ToBFloat16 rounds src to dst, len(dst) elements. The vector instructions take numbers below the
// smallest normal one for zero.
func ToBFloat16(pool *Pool, dst []BFloat16, src []float32) { toBFloat16(active(), pool, dst, src) }

func toBFloat16(set isa, pool *Pool, dst []BFloat16, src []float32) {
	need("to bfloat16", "src", src, len(dst))
	s := takeSpan()
	s.set, s.halves, s.x = set, dst, src
	s.over(pool, len(dst), grainFloats, func(s *span, lo, hi int) {
		roundBFloat16(s.set, s.halves[lo:hi], s.x[lo:hi])
	})
	s.giveBack()
}

// ToBFloat16Threes rounds pixels of three channels to pixels of four, as convolutions want them; the
// fourth is zero.
func ToBFloat16Threes(pool *Pool, dst []BFloat16, src []float32, pixels int) {
	toBFloat16Threes(active(), pool, dst, src, pixels)
}

func toBFloat16Threes(set isa, pool *Pool, dst []BFloat16, src []float32, pixels int) {
	need("to bfloat16", "dst", dst, 4*pixels)
	need("to bfloat16", "src", src, 3*pixels)
	s := takeSpan()
	s.set, s.halves, s.x = set, dst, src
	s.over(pool, pixels, grainFloats/4, func(s *span, lo, hi int) {
		dst, src := s.halves[4*lo:4*hi], s.x[3*lo:3*hi]
		if roundThreesBFloat16Assembly(s.set, dst, src) {
			return
		}
		for i := range hi - lo {
			roundBFloat16(portable, dst[4*i:4*i+3], src[3*i:3*i+3])
			dst[4*i+3] = 0
		}
	})
	s.giveBack()
}

// FromBFloat16 widens src to dst, len(dst) elements.
func FromBFloat16(pool *Pool, dst []float32, src []BFloat16) { fromBFloat16(active(), pool, dst, src) }

func fromBFloat16(set isa, pool *Pool, dst []float32, src []BFloat16) {
	need("from bfloat16", "src", src, len(dst))
	s := takeSpan()
	s.set, s.dst, s.halves = set, dst, src
	s.over(pool, len(dst), grainFloats, func(s *span, lo, hi int) {
		expandBFloat16(s.set, s.dst[lo:hi], s.halves[lo:hi])
	})
	s.giveBack()
}

func roundBFloat16(set isa, dst []BFloat16, src []float32) {
	if len(dst) == 0 || roundBFloat16Assembly(set, dst, src) {
		return
	}
	for i := range dst {
		dst[i] = RoundBFloat16(src[i])
	}
}

func expandBFloat16(set isa, dst []float32, src []BFloat16) {
	if len(dst) == 0 || expandBFloat16Assembly(set, dst, src) {
		return
	}
	for i := range dst {
		dst[i] = src[i].Float32()
	}
}

// activateBFloat16 applies an activation in place.
func activateBFloat16(set isa, act Activation, x []BFloat16) {
	var wide [256]float32
	for len(x) > 0 {
		n := min(len(x), len(wide))
		expandBFloat16(set, wide[:n], x)
		activateInto(set, act, wide[:n], wide[:n])
		roundBFloat16(set, x[:n], wide[:n])
		x = x[n:]
	}
}

// MaxPoolBFloat16 is MaxPool on bfloat16, where the sign decides whether a NaN counts as greatest or as
// least. An odd number of channels is slow; pad it.
func MaxPoolBFloat16(pool *Pool, p Pooling, dst, src []BFloat16, n, h, w, c int, workspace *Workspace) {
	maxPoolBFloat16(active(), pool, p, dst, src, n, h, w, c, workspace)
}

func maxPoolBFloat16(set isa, pool *Pool, p Pooling, dst, src []BFloat16, n, h, w, c int, workspace *Workspace) {
	oh, ow := p.OutSize(h, w)
	need("pooling", "dst", dst, n*oh*ow*c)
	need("pooling", "src", src, n*h*w*c)
	if c%2 == 0 {
		p.forward(set, pool, asFloats(dst), asFloats(src), n, h, w, c/2, opMaximumBFloat16)
		return
	}
	space := workspace.orNew()
	wide, out := space.widened(0, n*h*w*c), space.widened(1, n*oh*ow*c)
	fromBFloat16(set, pool, wide, src)
	maxPool(set, pool, p, out, wide, n, h, w, c)
	toBFloat16(set, pool, dst[:len(out)], out)
}

// GlobalAvgPoolBFloat16 is GlobalAvgPool of bfloat16, to float32.
func GlobalAvgPoolBFloat16(pool *Pool, dst []float32, src []BFloat16, n, pixels, c int, workspace *Workspace) {
	wide := workspace.orNew().widened(0, n*pixels*c)
	FromBFloat16(pool, wide, src)
	GlobalAvgPool(pool, dst, wide, n, pixels, c)
}

// PackedConvBFloat16 is a convolution of bfloat16 numbers, summed in float32. Where the processor
// has no instructions for it, and for depthwise convolutions, it works on tensors widened to
// float32.
type PackedConvBFloat16 struct {
	fast *PackedConv // nil when there are no instructions
	wide *PackedConv // nil otherwise
}

// PackConvBFloat16 rounds the weights [OutC][KernelH][KernelW][InC/Groups] to bfloat16 and lays them
// out. The bias [OutC] may be nil; it stays as it is.
func PackConvBFloat16(c Conv, weights, bias []float32) (*PackedConvBFloat16, error) {
	return packConvBFloat16(active(), c, weights, bias)
}

func packConvBFloat16(set isa, c Conv, weights, bias []float32) (*PackedConvBFloat16, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if len(weights) != c.WeightSize() {
		return nil, fmt.Errorf("convolution: %d weights, want %d×%d×%d×%d", len(weights), c.OutC, c.KernelH, c.KernelW, c.InC/c.Groups)
	}
	if !c.packsBy(set, elementBFloat16) {
		rounded := make([]float32, len(weights))
		for i, w := range weights {
			rounded[i] = RoundBFloat16(w).Float32()
		}
		wide, err := packConv(set, c, rounded, bias, false, PackOptions{})
		return &PackedConvBFloat16{wide: wide}, err
	}
	fours := make([]float32, len(weights)/2)
	for i := range fours {
		low, high := RoundBFloat16(weights[2*i]), RoundBFloat16(weights[2*i+1])
		fours[i] = math.Float32frombits(uint32(low) | uint32(high)<<16)
	}
	fast, err := packConv(set, c.inFours(elementBFloat16), fours, bias, false, PackOptions{})
	if err != nil {
		return nil, err
	}
	fast.kind, fast.stored = elementBFloat16, elementBFloat16
	return &PackedConvBFloat16{fast: fast}, nil
}

// packsBy tells whether a convolution's channels go by fours of bytes for instructions the set has.
func (c Conv) packsBy(set isa, e element) bool {
	return set.multiplies(e) && c.InC/c.Groups%e.together() == 0 && !c.inFours(e).Depthwise()
}

// inFours returns the geometry with the input's channels counted by fours of bytes.
func (c Conv) inFours(e element) Conv {
	c.InC /= e.together()
	return c
}

// Bytes returns the memory of the packed weights.
func (p *PackedConvBFloat16) Bytes() int {
	if p.fast != nil {
		return p.fast.Bytes()
	}
	return p.wide.Bytes()
}

// Run is that of [PackedConv]. An odd number of input channels a group is slow; pad it.
func (p *PackedConvBFloat16) Run(pool *Pool, dst, src []BFloat16, n, h, w int, residual []BFloat16, act Activation, workspace *Workspace) {
	workspace = workspace.orNew()
	if p.fast != nil {
		v := ConvView{Dst: asFloats(dst), Src: asFloats(src), Residual: asFloats(residual), N: n, H: h, W: w}
		p.fast.runFours(pool, &convTask{halves: dst, ConvView: v}, [3]int{len(dst), len(src) / 2, len(residual)}, act, workspace)
		return
	}
	c := p.wide.conv
	oh, ow := c.OutSize(h, w)
	in, out := workspace.widened(0, n*h*w*c.InC), workspace.widened(1, n*oh*ow*c.OutC)
	need("convolution", "dst", dst, len(out))
	fromBFloat16(p.wide.set, pool, in, src)
	var r []float32
	if residual != nil {
		r = workspace.widened(2, len(out))
		fromBFloat16(p.wide.set, pool, r, residual)
	}
	p.wide.Run(pool, out, in, n, h, w, r, act, workspace)
	toBFloat16(p.wide.set, pool, dst[:len(out)], out)
}

// asBytes returns n bytes of the memory of floats.
func asBytes(x []float32, n int) []uint8 {
	return unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(x))), n)
}

// asHalves returns the memory of floats as that of twice as many numbers.
func asHalves(x []float32) []BFloat16 {
	return unsafe.Slice((*BFloat16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}

// asFloat16s returns the memory of floats as that of twice as many numbers.
func asFloat16s(x []float32) []float16 {
	return unsafe.Slice((*float16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}

// asFloats returns memory of other elements as that of floats, for copying and for addresses.
func asFloats[E BFloat16 | uint8](x []E) []float32 {
	if x == nil {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(E(0)))/4)
}

// runFours runs a convolution of elements other than float32. have are the lengths of dst, src and
// residual: src's in fours of bytes, the others' in elements as they are stored.
func (p *PackedConv) runFours(pool *Pool, t *convTask, have [3]int, act Activation, workspace *Workspace) {
	t.PackedConv, t.workspace = p, workspace
	t.inH, t.inW = t.H, t.W
	t.outH, t.outW = p.conv.OutSize(t.H, t.W)
	if t.N*t.outH*t.outW == 0 {
		return
	}
	t.SrcPitch, t.DstPitch, t.ResidualPitch = pitch(t.SrcPitch, p.in), pitch(t.DstPitch, p.out), pitch(t.ResidualPitch, p.out)
	out := t.N * t.outH * t.outW
	want := [3]int{(out-1)*t.DstPitch + p.out, (t.N*t.H*t.W-1)*t.SrcPitch + p.in, (out-1)*t.ResidualPitch + p.out}
	for i, name := range [...]string{"dst", "src", "residual"} {
		if have[i] < want[i] && (i < 2 || t.Residual != nil) {
			panic(fmt.Sprintf("kernel: convolution: %s is too short for its shape: %d of %d", name, have[i], want[i]))
		}
	}
	t.low, t.high, t.rest = act.clamp()
	if p.stored == elementUint8 {
		zero, unit := p.quantization.Zero, p.quantization.Scale
		t.low = max(t.low/unit+float32(zero), 0)
		t.high = min(t.high/unit+float32(zero), 255)
	}
	t.runPhases(pool)
}

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

// Quantization maps bytes to numbers: number = Scale·(byte - Zero).
type Quantization struct {
	Scale float32
	Zero  uint8
}

func (q Quantization) validate(name string) error {
	if !(q.Scale > 0) || math.IsInf(float64(q.Scale), 0) {
		return fmt.Errorf("convolution: scale of %s is %v: must be positive", name, q.Scale)
	}
	return nil
}

// Quantize computes dst = src/Scale + Zero, rounded to the nearest (ties to even) and kept within
// 0 … 255, for len(dst) elements.
func Quantize(pool *Pool, dst []uint8, src []float32, q Quantization) {
	quantize(active(), pool, dst, src, q)
}

func quantize(set isa, pool *Pool, dst []uint8, src []float32, q Quantization) {
	need("quantize", "src", src, len(dst))
	s := takeSpan()
	s.set, s.bytes, s.x, s.low, s.high = set, dst, src, 1/q.Scale, float32(q.Zero)
	s.over(pool, len(dst), grainFloats, func(s *span, lo, hi int) {
		quantizeInto(s.set, s.bytes[lo:hi], s.x[lo:hi], s.low, s.high)
	})
	s.giveBack()
}

func quantizeInto(set isa, dst []uint8, src []float32, scale, shift float32) {
	if len(dst) == 0 || quantizeAssembly(set, dst, src, scale, shift) {
		return
	}
	for i := range dst {
		v := max(min(src[i]*scale+shift, 255), 0)
		dst[i] = uint8(math.RoundToEven(float64(v)))
	}
}

// Dequantize computes dst = Scale·(src - Zero) for len(dst) elements.
func Dequantize(pool *Pool, dst []float32, src []uint8, q Quantization) {
	dequantize(active(), pool, dst, src, q)
}

func dequantize(set isa, pool *Pool, dst []float32, src []uint8, q Quantization) {
	need("dequantize", "src", src, len(dst))
	s := takeSpan()
	s.set, s.dst, s.bytes, s.low, s.high = set, dst, src, q.Scale, -q.Scale*float32(q.Zero)
	s.over(pool, len(dst), grainFloats, func(s *span, lo, hi int) {
		dequantizeInto(s.set, s.dst[lo:hi], s.bytes[lo:hi], s.low, s.high)
	})
	s.giveBack()
}

func dequantizeInto(set isa, dst []float32, src []uint8, scale, shift float32) {
	if len(dst) == 0 || dequantizeAssembly(set, dst, src, scale, shift) {
		return
	}
	for i := range dst {
		dst[i] = float32(src[i])*scale + shift
	}
}

// Lookup computes dst[i] = table[src[i]] for len(dst) elements: any function of one byte, such as an
// activation that is no bound. dst may be src.
func Lookup(pool *Pool, dst, src []uint8, table *[256]uint8) {
	need("lookup", "src", src, len(dst))
	s := takeSpan()
	s.bytes, s.bytes2, s.table = dst, src, table
	s.over(pool, len(dst), grainFloats, func(s *span, lo, hi int) {
		dst, src := s.bytes[lo:hi], s.bytes2[lo:hi]
		for i, v := range src {
			dst[i] = s.table[v]
		}
	})
	s.giveBack()
}

// MaxPoolBFloat16 is MaxPool on bfloat16.
func MaxPoolBFloat16(pool *Pool, p Pooling, dst, src []BFloat16, n, h, w, c int, workspace *Workspace) {
	space := workspace.orNew()
	oh, ow := p.OutSize(h, w)
	wide, out := space.widened(0, n*h*w*c), space.widened(1, n*oh*ow*c)
	need("pooling", "dst", dst, len(out))
	FromBFloat16(pool, wide, src)
	MaxPool(pool, p, out, wide, n, h, w, c)
	ToBFloat16(pool, dst[:len(out)], out)
}

// MaxPoolUint8 is MaxPool on bytes.
func MaxPoolUint8(pool *Pool, p Pooling, dst, src []uint8, n, h, w, c int, workspace *Workspace) {
	space := workspace.orNew()
	oh, ow := p.OutSize(h, w)
	wide, out := space.widened(0, n*h*w*c), space.widened(1, n*oh*ow*c)
	need("pooling", "dst", dst, len(out))
	Dequantize(pool, wide, src, Quantization{Scale: 1})
	MaxPool(pool, p, out, wide, n, h, w, c)
	Quantize(pool, dst[:len(out)], out, Quantization{Scale: 1})
}

// GlobalAvgPoolBFloat16 is GlobalAvgPool of bfloat16, to float32.
func GlobalAvgPoolBFloat16(pool *Pool, dst []float32, src []BFloat16, n, pixels, c int, workspace *Workspace) {
	wide := workspace.orNew().widened(0, n*pixels*c)
	FromBFloat16(pool, wide, src)
	GlobalAvgPool(pool, dst, wide, n, pixels, c)
}

// GlobalAvgPoolUint8 is GlobalAvgPool of bytes, to float32.
func GlobalAvgPoolUint8(pool *Pool, dst []float32, src []uint8, q Quantization, n, pixels, c int, workspace *Workspace) {
	wide := workspace.orNew().widened(0, n*pixels*c)
	Dequantize(pool, wide, src, q)
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
	fast.kind = elementBFloat16
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

// Run is that of [PackedConv]. An odd number of input channels a group is slow; pad it.
func (p *PackedConvBFloat16) Run(pool *Pool, dst, src []BFloat16, n, h, w int, residual []BFloat16, act Activation, workspace *Workspace) {
	workspace = workspace.orNew()
	if p.fast != nil {
		t := convTask{halves: dst, ConvView: ConvView{Dst: asFloats(dst), Src: asFloats(src), Residual: asFloats(residual)}}
		p.fast.runFours(pool, &t, len(dst), len(src)/2, len(residual), n, h, w, act, workspace)
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

// asFloats returns memory of other elements as that of floats, for copying and for addresses.
func asFloats[E BFloat16 | uint8](x []E) []float32 {
	if x == nil {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(E(0)))/4)
}

// runFours runs a convolution of other elements; dst and residual have so many of those, src so
// many fours of bytes.
func (p *PackedConv) runFours(pool *Pool, t *convTask, dst, src, residual, n, h, w int, act Activation, workspace *Workspace) {
	t.PackedConv, t.workspace = p, workspace
	t.N, t.H, t.W = n, h, w
	t.inH, t.inW = h, w
	t.outH, t.outW = p.conv.OutSize(h, w)
	if n*t.outH*t.outW == 0 {
		return
	}
	t.SrcPitch, t.DstPitch, t.ResidualPitch = p.in, p.out, p.out
	for _, x := range [...]struct {
		name       string
		have, want int
	}{{"dst", dst, n * t.outH * t.outW * p.out}, {"src", src, n * h * w * p.in}, {"residual", residual, n * t.outH * t.outW * p.out}} {
		if x.have < x.want && (x.name != "residual" || t.Residual != nil) {
			panic(fmt.Sprintf("kernel: convolution: %s is too short for its shape: %d of %d", x.name, x.have, x.want))
		}
	}
	t.low, t.high, t.rest = act.clamp()
	if p.kind == elementUint8 {
		zero, unit := p.quantization.Zero, p.quantization.Scale
		t.low = max(t.low/unit+float32(zero), 0)
		t.high = min(t.high/unit+float32(zero), 255)
	}
	t.runPhases(pool)
}

// PackedConvInt8 is a convolution of bytes: unsigned activations with one scale and zero point a
// tensor, signed weights with a scale for each output channel. Sums are exact integers; each is
// scaled, bounded and rounded to the output's bytes as it is stored. Where the processor has no
// instructions for it, and for depthwise convolutions, it computes with the numbers the bytes stand
// for; results may then differ in the last bit.
type PackedConvInt8 struct {
	fast, wide          *PackedConv
	input, output, rest Quantization
}

// Int8Options are the quantizations of a convolution's tensors. That of the residual is needed only
// where there is one.
type Int8Options struct {
	Input, Output, Residual Quantization
}

// PackConvInt8 quantizes the weights [OutC][KernelH][KernelW][InC/Groups], each output channel's by
// its largest magnitude, and lays them out. The bias [OutC] may be nil.
func PackConvInt8(c Conv, weights, bias []float32, o Int8Options) (*PackedConvInt8, error) {
	return packConvInt8(active(), c, weights, bias, o)
}

func packConvInt8(set isa, c Conv, weights, bias []float32, o Int8Options) (*PackedConvInt8, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if len(weights) != c.WeightSize() {
		return nil, fmt.Errorf("convolution: %d weights, want %d×%d×%d×%d", len(weights), c.OutC, c.KernelH, c.KernelW, c.InC/c.Groups)
	}
	if bias != nil && len(bias) != c.OutC {
		return nil, fmt.Errorf("convolution: %d biases, want %d", len(bias), c.OutC)
	}
	if err := o.Input.validate("input"); err != nil {
		return nil, err
	}
	if err := o.Output.validate("output"); err != nil {
		return nil, err
	}
	if o.Residual != (Quantization{}) {
		if err := o.Residual.validate("residual"); err != nil {
			return nil, err
		}
	}
	p := &PackedConvInt8{input: o.Input, output: o.Output, rest: o.Residual}
	steps, scales := quantizeWeights(c, weights)
	if !c.packsBy(set, elementUint8) {
		each := len(weights) / c.OutC
		numbers := make([]float32, len(weights))
		for i, s := range steps {
			numbers[i] = float32(s) * scales[i/each]
		}
		var err error
		p.wide, err = packConv(set, c, numbers, bias, false, PackOptions{})
		return p, err
	}
	fours := make([]float32, len(weights)/4)
	for i := range fours {
		var bits uint32
		for j, s := range steps[4*i : 4*i+4] {
			bits |= uint32(uint8(s)) << (8 * j)
		}
		fours[i] = math.Float32frombits(bits)
	}
	// Every sum starts at what takes the input's zero point away; padding is filled with that point.
	start := make([]float32, c.OutC)
	each := len(weights) / c.OutC
	for i := range start {
		var total int32
		for _, s := range steps[i*each : (i+1)*each] {
			total += int32(s)
		}
		start[i] = math.Float32frombits(uint32(-total * int32(o.Input.Zero)))
	}
	fast, err := packConv(set, c.inFours(elementUint8), fours, start, false, PackOptions{})
	if err != nil {
		return nil, err
	}
	fast.kind, fast.quantization = elementUint8, o.Output
	fast.blank = math.Float32frombits(uint32(o.Input.Zero) * 0x01010101)
	fast.scale = aligned(len(fast.bias))
	fast.shift = [2][]float32{aligned(len(fast.bias)), aligned(len(fast.bias))}
	fast.rScale = o.Residual.Scale / o.Output.Scale
	n, padded := c.OutC/c.Groups, len(fast.bias)/c.Groups
	for i := range c.OutC {
		at := i/n*padded + i%n
		fast.scale[at] = o.Input.Scale * scales[i] / o.Output.Scale
		shift := float32(o.Output.Zero)
		if bias != nil {
			shift += bias[i] / o.Output.Scale
		}
		fast.shift[0][at] = shift
		fast.shift[1][at] = shift - fast.rScale*float32(o.Residual.Zero)
	}
	p.fast = fast
	return p, nil
}

// quantizeWeights returns each output channel's weights in steps of -127 … 127, and the steps'
// size.
func quantizeWeights(c Conv, weights []float32) (steps []int8, scales []float32) {
	each := len(weights) / c.OutC
	steps, scales = make([]int8, len(weights)), make([]float32, c.OutC)
	for i := range scales {
		var largest float32
		for _, w := range weights[i*each : (i+1)*each] {
			largest = max(largest, w, -w)
		}
		if scales[i] = largest / 127; scales[i] == 0 {
			scales[i] = 1
		}
		for j, w := range weights[i*each : (i+1)*each] {
			steps[i*each+j] = int8(math.RoundToEven(float64(w / scales[i])))
		}
	}
	return steps, scales
}

// Run is that of [PackedConv], for activations that are bounds: None, ReLU, ReLU6; for others see
// [Lookup]. A number of input channels a group that is no multiple of four is slow; pad it.
func (p *PackedConvInt8) Run(pool *Pool, dst, src []uint8, n, h, w int, residual []uint8, act Activation, workspace *Workspace) {
	if _, _, rest := act.clamp(); rest != None {
		panic("kernel: convolution of bytes: " + act.String() + " is no bound")
	}
	if residual != nil && p.rest.Scale == 0 {
		panic("kernel: convolution of bytes: packed without the residual's quantization")
	}
	workspace = workspace.orNew()
	if p.fast != nil {
		t := convTask{ConvView: ConvView{Dst: asFloats(dst), Src: asFloats(src), Residual: asFloats(residual)}}
		p.fast.runFours(pool, &t, len(dst), len(src)/4, len(residual), n, h, w, act, workspace)
		return
	}
	c, set := p.wide.conv, p.wide.set
	oh, ow := c.OutSize(h, w)
	in, out := workspace.widened(0, n*h*w*c.InC), workspace.widened(1, n*oh*ow*c.OutC)
	need("convolution", "dst", dst, len(out))
	dequantize(set, pool, in, src, p.input)
	var r []float32
	if residual != nil {
		r = workspace.widened(2, len(out))
		dequantize(set, pool, r, residual, p.rest)
	}
	p.wide.Run(pool, out, in, n, h, w, r, act, workspace)
	quantize(set, pool, dst[:len(out)], out, p.output)
}

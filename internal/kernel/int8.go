package kernel

import (
	"fmt"
	"math"
)

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
	for i := quantizeAssembly(set, dst, src, scale, shift); i < len(dst); i++ {
		v := max(min(fma(src[i], scale, shift), 255), 0)
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
	for i := dequantizeAssembly(set, dst, src, scale, shift); i < len(dst); i++ {
		dst[i] = fma(float32(src[i]), scale, shift)
	}
}

// QuantizeThrees quantizes pixels of three channels to pixels of four, as convolutions want them; the
// fourth byte is zero.
func QuantizeThrees(pool *Pool, dst []uint8, src []float32, pixels int, q Quantization) {
	quantizeThrees(active(), pool, dst, src, pixels, q)
}

func quantizeThrees(set isa, pool *Pool, dst []uint8, src []float32, pixels int, q Quantization) {
	need("quantize", "dst", dst, 4*pixels)
	need("quantize", "src", src, 3*pixels)
	s := takeSpan()
	s.set, s.bytes, s.x, s.low, s.high = set, dst, src, 1/q.Scale, float32(q.Zero)
	s.over(pool, pixels, grainFloats/4, func(s *span, lo, hi int) {
		dst, src := s.bytes[4*lo:4*hi], s.x[3*lo:3*hi]
		if quantizeThreesAssembly(s.set, dst, src, s.low, s.high) {
			return
		}
		const together = 64 // pixels
		var threes [3 * together]uint8
		for len(src) > 0 {
			n := min(len(src), len(threes))
			quantizeInto(s.set, threes[:n], src[:n], s.low, s.high)
			for i := range n / 3 {
				dst[4*i], dst[4*i+1], dst[4*i+2], dst[4*i+3] = threes[3*i], threes[3*i+1], threes[3*i+2], 0
			}
			dst, src = dst[n/3*4:], src[n:]
		}
	})
	s.giveBack()
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

// MaxPoolUint8 is MaxPool on bytes. A number of channels that is no multiple of four is slow; pad it.
func MaxPoolUint8(pool *Pool, p Pooling, dst, src []uint8, n, h, w, c int, workspace *Workspace) {
	maxPoolUint8(active(), pool, p, dst, src, n, h, w, c, workspace)
}

func maxPoolUint8(set isa, pool *Pool, p Pooling, dst, src []uint8, n, h, w, c int, workspace *Workspace) {
	oh, ow := p.OutSize(h, w)
	need("pooling", "dst", dst, n*oh*ow*c)
	need("pooling", "src", src, n*h*w*c)
	if c%4 == 0 {
		p.forward(set, pool, asFloats(dst), asFloats(src), n, h, w, c/4, opMaximumUint8)
		return
	}
	space := workspace.orNew()
	wide, out := space.widened(0, n*h*w*c), space.widened(1, n*oh*ow*c)
	dequantize(set, pool, wide, src, Quantization{Scale: 1})
	maxPool(set, pool, p, out, wide, n, h, w, c)
	quantize(set, pool, dst[:len(out)], out, Quantization{Scale: 1})
}

// GlobalAvgPoolUint8 is GlobalAvgPool of bytes, to float32.
func GlobalAvgPoolUint8(pool *Pool, dst []float32, src []uint8, q Quantization, n, pixels, c int, workspace *Workspace) {
	wide := workspace.orNew().widened(0, n*pixels*c)
	Dequantize(pool, wide, src, q)
	GlobalAvgPool(pool, dst, wide, n, pixels, c)
}

// PackedConvInt8 is a convolution of bytes: unsigned activations with one scale and zero point a
// tensor, signed weights with a scale for each output channel. Sums are exact integers. Each is scaled,
// bounded and stored as a byte, or as a float32; with the activations that are bounds the results of
// all instruction sets are the same.
type PackedConvInt8 struct {
	packed   *PackedConv
	residual bool // there may be one
}

// Int8Options are the quantizations of a convolution's tensors. That of the residual is needed only
// where there is one. Without that of the output the convolution writes float32, and its residual is
// float32 too.
type Int8Options struct {
	Input, Output, Residual Quantization
}

// HasInt8 tells whether the instructions in use multiply bytes and sum the products in one step. Where
// they do not, AVX2 multiplies numbers of 16 bits and portable Go one byte at a time, with equal results.
func HasInt8() bool { return active() == avx512 && active().multiplies(elementUint8) }

// PacksInt8 tells whether [PackConvInt8] takes the convolution: the input channels of a group must be a
// multiple of four.
func (c Conv) PacksInt8() bool {
	c = c.withDefaults()
	return c.InC/c.Groups%4 == 0 && !c.inFours(elementUint8).Depthwise()
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
	if !c.PacksInt8() {
		return nil, fmt.Errorf("convolution of bytes: %d input channels in %d groups: those of a group must be a multiple of four", c.InC, c.Groups)
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	if !set.multiplies(elementUint8) {
		set = avx2 // a processor with AVX-512 but without its product of bytes
	}
	steps, scales := quantizeWeights(c, weights)
	each := len(steps) / c.OutC
	// Every sum starts at what takes the input's zero point away; padding is filled with that point.
	start := make([]float32, c.OutC)
	for i := range start {
		var total int32
		for _, s := range steps[i*each : (i+1)*each] {
			total += int32(s)
		}
		start[i] = math.Float32frombits(uint32(-total * int32(o.Input.Zero)))
	}
	packed, err := packSteps(set, c, steps, start)
	if err != nil {
		return nil, err
	}
	packed.kind, packed.quantization = elementUint8, o.Output
	packed.blank = math.Float32frombits(uint32(o.Input.Zero) * 0x01010101)
	unit, zero := float32(1), float32(0) // what one of the output is worth
	if o.Output.Scale > 0 {
		packed.stored = elementUint8
		unit, zero = o.Output.Scale, float32(o.Output.Zero)
	}
	packed.scale = aligned(len(packed.bias))
	packed.shift = [2][]float32{aligned(len(packed.bias)), aligned(len(packed.bias))}
	packed.rScale = o.Residual.Scale / unit
	n, padded := c.OutC/c.Groups, len(packed.bias)/c.Groups
	for i := range c.OutC {
		at := i/n*padded + i%n
		packed.scale[at] = o.Input.Scale * scales[i] / unit
		shift := zero
		if bias != nil {
			shift += bias[i] / unit
		}
		packed.shift[0][at] = shift
		packed.shift[1][at] = shift - packed.rScale*float32(o.Residual.Zero)
	}
	return &PackedConvInt8{packed, o.Residual.Scale > 0 || packed.stored == elementFloat32}, nil
}

func (o Int8Options) validate() error {
	if err := o.Input.validate("input"); err != nil {
		return err
	}
	if o.Output != (Quantization{}) {
		if err := o.Output.validate("output"); err != nil {
			return err
		}
	}
	if o.Residual != (Quantization{}) {
		return o.Residual.validate("residual")
	}
	return nil
}

// packSteps lays out quantized weights: four bytes together or, for AVX2, two pairs of numbers of 16
// bits (see words in asm/tile.go).
func packSteps(set isa, c Conv, steps []int8, start []float32) (*PackedConv, error) {
	if set == avx2 {
		pairs := make([]float32, len(steps)/2)
		pair := func(low, high int8) float32 {
			return math.Float32frombits(uint32(uint16(low)) | uint32(uint16(high))<<16)
		}
		for i := 0; i < len(pairs); i += 2 {
			s := steps[2*i:][:4]
			pairs[i], pairs[i+1] = pair(s[0], s[2]), pair(s[1], s[3])
		}
		c.InC /= 2
		p, err := packConv(set, c, pairs, start, false, PackOptions{})
		if err == nil {
			p.conv.InC /= 2 // of the input four go together
			p.in /= 2
		}
		return p, err
	}
	fours := make([]float32, len(steps)/4)
	for i := range fours {
		var bits uint32
		for j, s := range steps[4*i : 4*i+4] {
			bits |= uint32(uint8(s)) << (8 * j)
		}
		fours[i] = math.Float32frombits(bits)
	}
	return packConv(set, c.inFours(elementUint8), fours, start, false, PackOptions{})
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

// Bytes returns the memory of the packed weights.
func (p *PackedConvInt8) Bytes() int {
	return p.packed.Bytes() + 4*(len(p.packed.scale)+2*len(p.packed.shift[0]))
}

// Int8View says where a convolution of bytes reads and writes, as [ConvView] does. Src's pitch is a
// multiple of four. Dst and Residual are those of a convolution that writes bytes, Wide and
// WideResidual those of one that writes float32.
type Int8View struct {
	Src                               []uint8
	Dst, Residual                     []uint8
	Wide, WideResidual                []float32
	DstPitch, SrcPitch, ResidualPitch int
	N, H, W                           int // of the convolution's input
}

// Run is RunView on dense bytes.
func (p *PackedConvInt8) Run(pool *Pool, dst, src []uint8, n, h, w int, residual []uint8, act Activation, workspace *Workspace) {
	p.RunView(pool, Int8View{Dst: dst, Src: src, Residual: residual, N: n, H: h, W: w}, act, workspace)
}

// RunView is that of [PackedConv]. Where bytes are written the activation must be a bound: None, ReLU,
// ReLU6; for others see [Lookup].
func (p *PackedConvInt8) RunView(pool *Pool, v Int8View, act Activation, workspace *Workspace) {
	t := convTask{ConvView: ConvView{
		Dst: v.Wide, Src: asFloats(v.Src), Residual: v.WideResidual,
		DstPitch: v.DstPitch, SrcPitch: v.SrcPitch / 4, ResidualPitch: v.ResidualPitch, N: v.N, H: v.H, W: v.W,
	}}
	have := [3]int{len(v.Wide), len(v.Src) / 4, len(v.WideResidual)}
	if p.packed.stored == elementUint8 {
		if _, _, rest := act.clamp(); rest != None {
			panic("kernel: convolution of bytes: " + act.String() + " is no bound")
		}
		t.Dst, t.Residual = asFloats(v.Dst), asFloats(v.Residual)
		have[0], have[2] = len(v.Dst), len(v.Residual)
	}
	if t.Residual != nil && !p.residual {
		panic("kernel: convolution of bytes: packed without the residual's quantization")
	}
	p.packed.runFours(pool, &t, have, act, workspace.orNew())
}

// tileUint8Portable is the micro-kernel of bytes in plain Go, for one group of rows and panels of four
// columns.
func tileUint8Portable(m int, t *tile) {
	for i := range m {
		a0, c0, r0 := t.a0+i*t.aRow, t.c0+i*t.cRow, t.r0+i*t.rRow
		for p, j := 0, 0; j < t.n; p, j = p+1, j+4 {
			b := t.b[t.b0+p*t.bPanel:]
			var sums [4]int32
			for k := range sums {
				sums[k] = int32(math.Float32bits(t.bias[t.bias0+j+k]))
			}
			for _, tap := range t.taps {
				for k, v := range t.a[a0+tap : a0+tap+t.run] {
					a := math.Float32bits(v)
					a0, a1, a2, a3 := int32(a&255), int32(a>>8&255), int32(a>>16&255), int32(a>>24)
					for column, w := range b[4*k : 4*k+4] {
						w := math.Float32bits(w)
						sums[column] += a0*int32(int8(w)) + a1*int32(int8(w>>8)) + a2*int32(int8(w>>16)) + a3*int32(int8(w>>24))
					}
				}
				b = b[4*t.run:]
			}
			t.storeSums(c0+j, r0+j, j, min(t.n-j, 4), sums)
		}
	}
}

// storeSums ends up to four columns of a row of sums.
func (t *tile) storeSums(c0, r0, column, n int, sums [4]int32) {
	column += t.bias0
	for j := range n {
		v := fma(float32(sums[j]), t.scale[column+j], t.shift[column+j])
		if t.stored == elementFloat32 {
			if t.r != nil {
				v += t.r[r0+j]
			}
			t.c[c0+j] = bound(v, t.low, t.high)
			continue
		}
		if t.r != nil {
			v = fma(float32(asBytes(t.r, r0+n)[r0+j]), t.rScale, v)
		}
		asBytes(t.c, c0+n)[c0+j] = uint8(math.RoundToEven(float64(bound(v, t.low, t.high))))
	}
}

// fma returns a·b+c, rounded once, as the vector instructions do.
func fma(a, b, c float32) float32 {
	product := float64(a) * float64(b) // exact
	sum := product + float64(c)
	// What the sum has lost (Knuth 1997, 4.2.2, theorem B) decides between two float32 where the sum lies
	// half-way: it is rounded to odd (Boldo and Melquiond 2008), so that it does not.
	back := sum - product
	lost := (product - (sum - back)) + (float64(c) - back)
	if bits := math.Float64bits(sum); lost != 0 && bits&1 == 0 && !math.IsInf(sum, 0) {
		if (lost > 0) == (sum > 0) {
			bits++
		} else {
			bits--
		}
		sum = math.Float64frombits(bits)
	}
	return float32(sum)
}

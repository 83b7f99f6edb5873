package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// bfloat16s returns bfloat16 numbers around zero, in a guarded buffer.
func (g *guard) bfloat16s(r *rand.Rand, n int) []BFloat16 {
	b := g.bytes(2 * n)
	x := unsafe.Slice((*BFloat16)(unsafe.Pointer(unsafe.SliceData(b))), n)
	for i := range x {
		x[i] = RoundBFloat16(float32(r.NormFloat64()))
	}
	return x
}

func (g *guard) randomBytes(r *rand.Rand, n int) []uint8 {
	x := g.bytes(n)
	for i := range x {
		x[i] = uint8(r.IntN(256))
	}
	return x
}

func widen(x []BFloat16) []float32 {
	wide := make([]float32, len(x))
	for i, v := range x {
		wide[i] = v.Float32()
	}
	return wide
}

// drawFours draws a convolution; usually its channels go by the given number.
func drawFours(t *rapid.T, together int) (c Conv, n, h, w int) {
	c, n, h, w = drawConv(t, rapid.IntRange(0, 6).Draw(t, "depthwise") == 0)
	if !c.Depthwise() && rapid.IntRange(0, 4).Draw(t, "together") > 0 {
		c.InC = roundUp(c.InC, together*max(c.Groups, 1))
	}
	return c, n, h, w
}

func TestConvBFloat16AgainstDefinition(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		c, n, h, w := drawFours(t, 2)
		oh, ow := c.OutSize(h, w)
		weights, bias := fill(r, g.floats(c.WeightSize())), fill(r, g.floats(c.OutC))
		p, err := packConvBFloat16(set, c, weights, bias)
		if err != nil {
			t.Fatal(err)
		}
		src, dst := g.bfloat16s(r, n*h*w*c.InC), g.bfloat16s(r, n*oh*ow*c.OutC)
		var residual []BFloat16
		if rapid.Bool().Draw(t, "residual") {
			residual = g.bfloat16s(r, len(dst))
		}
		act := rapid.SampledFrom(activations).Draw(t, "activation")
		for i, v := range weights {
			weights[i] = RoundBFloat16(v).Float32()
		}
		want := convolve(c, weights, bias, widen(src), n, h, w, nil)
		for i := range want {
			if residual != nil {
				want[i] += float64(residual[i].Float32())
			}
			want[i] = activation64(act, want[i])
		}
		p.Run(all[0], dst, src, n, h, w, residual, act, nil)
		// The output has eight bits; an activation sees a sum of eight bits.
		scale := 1.0 / 64
		if _, _, curve := act.clamp(); curve != None {
			scale = 1
		}
		near(t, "dst", widen(dst), want, 1.0/128, scale)
		for _, pool := range all[1:] {
			again := g.bfloat16s(r, len(dst))
			copy(again, residual)
			in := residual
			if residual != nil {
				in = again
			}
			p.Run(pool, again, src, n, h, w, in, act, nil)
			same(t, "dst by threads", widen(again), widen(dst))
		}
	})
}

func TestConversions(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		n := rapid.IntRange(0, 100).Draw(t, "n")
		x := fill(r, g.floats(n))
		h := g.bfloat16s(r, n)
		toBFloat16(set, nil, h, x)
		back := g.floats(n)
		fromBFloat16(set, nil, back, h)
		for i, v := range x {
			if h[i] != RoundBFloat16(v) || math.Float32bits(back[i]) != uint32(h[i])<<16 {
				t.Fatalf("%v became %x and %v", v, h[i], back[i])
			}
			if d := math.Abs(float64(back[i] - v)); d > math.Abs(float64(v))/256 {
				t.Fatalf("%v became %v", v, back[i])
			}
		}
		q := Quantization{0.013, rapid.Uint8().Draw(t, "zero")}
		b := g.randomBytes(r, n)
		quantize(set, nil, b, x, q)
		dequantize(set, nil, back, b, q)
		for i, v := range x {
			low, high := -q.Scale*float32(q.Zero), q.Scale*float32(255-int(q.Zero))
			if d := math.Abs(float64(back[i] - bound(v, low, high))); d > 0.501*float64(q.Scale) {
				t.Fatalf("%v became %d and %v", v, b[i], back[i])
			}
		}
	})
	if v := RoundBFloat16(float32(math.NaN())).Float32(); v == v {
		t.Error("a NaN became a number")
	}
	if v := RoundBFloat16(1 + 1.0/256); v != 0x3f80 {
		t.Errorf("a tie went to %x, not to even", v)
	}
}

func TestMaximaOfReducedNumbers(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		p := drawPooling(t)
		n, h, w, c := rapid.IntRange(0, 2).Draw(t, "n"), rapid.IntRange(1, 7).Draw(t, "h"), rapid.IntRange(1, 7).Draw(t, "w"), rapid.IntRange(1, 80).Draw(t, "c")
		oh, ow := p.OutSize(h, w)
		bfloat16s, bfloat16sOut := g.bfloat16s(r, n*h*w*c), g.bfloat16s(r, n*oh*ow*c)
		want := make([]float32, n*oh*ow*c)
		MaxPool(nil, p, want, widen(bfloat16s), n, h, w, c)
		maxPoolBFloat16(set, nil, p, bfloat16sOut, bfloat16s, n, h, w, c, nil)
		same(t, "bfloat16", widen(bfloat16sOut), want)

		bytes, bytesOut := g.randomBytes(r, n*h*w*c), g.randomBytes(r, n*oh*ow*c)
		numbers := make([]float32, len(bytes))
		for i, v := range bytes {
			numbers[i] = float32(v)
		}
		maxPoolUint8(set, nil, p, bytesOut, bytes, n, h, w, c, nil)
		MaxPool(nil, p, want, numbers, n, h, w, c)
		for i, v := range want {
			if float32(bytesOut[i]) != max(v, 0) { // a window of padding alone has no greatest
				t.Fatalf("bytes: element %d is %d, want %v", i, bytesOut[i], v)
			}
		}
	})
}

func TestReducedPools(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	p := Pooling{KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}
	x := fill(r, make([]float32, 2*9*9*5))
	want, mean := make([]float32, 2*5*5*5), make([]float32, 2*5)
	h, hOut := make([]BFloat16, len(x)), make([]BFloat16, len(want))
	ToBFloat16(nil, h, x)
	FromBFloat16(nil, x, h)
	MaxPool(nil, p, want, x, 2, 9, 9, 5)
	MaxPoolBFloat16(nil, p, hOut, h, 2, 9, 9, 5, nil)
	same(t, "max bfloat16", widen(hOut), want)
	GlobalAvgPool(nil, mean, x, 2, 81, 5)
	got := make([]float32, len(mean))
	GlobalAvgPoolBFloat16(nil, got, h, 2, 81, 5, nil)
	same(t, "mean bfloat16", got, mean)

	q := Quantization{0.02, 100}
	b, bOut := make([]uint8, len(x)), make([]uint8, len(want))
	Quantize(nil, b, x, q)
	Dequantize(nil, x, b, q)
	MaxPool(nil, p, want, x, 2, 9, 9, 5)
	MaxPoolUint8(nil, p, bOut, b, 2, 9, 9, 5, nil)
	wide := make([]float32, len(want))
	Dequantize(nil, wide, bOut, q)
	same(t, "max bytes", wide, want)
	GlobalAvgPool(nil, mean, x, 2, 81, 5)
	GlobalAvgPoolUint8(nil, got, b, q, 2, 81, 5, nil)
	same(t, "mean bytes", got, mean)

	var table [256]uint8
	for i := range table {
		table[i] = uint8(255 - i)
	}
	Lookup(nil, bOut, b, &table)
	for i, v := range bOut {
		if v != 255-b[i] {
			t.Fatalf("lookup of %d gives %d", b[i], v)
		}
	}
}

func TestReducedErrors(t *testing.T) {
	c := square(4, 4, 1, 1, 1)
	w := make([]float32, 16)
	q := Quantization{Scale: 1}
	if _, err := PackConvInt8(c, w, nil, Int8Options{Input: q, Output: Quantization{Scale: -1}}); err == nil {
		t.Error("packed with a negative scale of the output")
	}
	if _, err := PackConvInt8(square(8, 8, 1, 1, 4), w, nil, Int8Options{Input: q}); err == nil {
		t.Error("packed groups of two channels")
	}
	if _, err := PackConvInt8(c, w, nil, Int8Options{Output: q}); err == nil {
		t.Error("packed without a scale of the input")
	}
	if _, err := PackConvInt8(c, w[1:], nil, Int8Options{Input: q, Output: q}); err == nil {
		t.Error("packed too few weights")
	}
	if _, err := PackConvBFloat16(c, w[1:], nil); err == nil {
		t.Error("packed too few weights")
	}
	p, err := PackConvInt8(c, w, nil, Int8Options{Input: q, Output: q})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []func(){
		func() { p.Run(nil, make([]uint8, 4), make([]uint8, 4), 1, 1, 1, nil, SiLU, nil) },
		func() { p.Run(nil, make([]uint8, 4), make([]uint8, 4), 1, 1, 1, make([]uint8, 4), None, nil) },
		func() { p.Run(nil, make([]uint8, 3), make([]uint8, 4), 1, 1, 1, nil, None, nil) },
		func() { p.Run(nil, make([]uint8, 4), make([]uint8, 3), 1, 1, 1, nil, None, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		}()
	}
}

func TestReducedAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	pool := NewPool(2)
	defer pool.Close()
	c := square(16, 40, 3, 2, 1)
	weights := fill(r, make([]float32, c.WeightSize()))
	q := Quantization{Scale: 0.1, Zero: 3}
	b, err := PackConvInt8(c, weights, nil, Int8Options{Input: q, Output: q})
	if err != nil {
		t.Fatal(err)
	}
	h, err := PackConvBFloat16(c, weights, nil)
	if err != nil {
		t.Fatal(err)
	}
	var w Workspace
	src, dst := make([]uint8, 2*14*14*16), make([]uint8, 2*7*7*40)
	nothingAllocated(t, "int8", func() { b.Run(pool, dst, src, 2, 14, 14, nil, ReLU, &w) })
	srcH, dstH := make([]BFloat16, len(src)), make([]BFloat16, len(dst))
	nothingAllocated(t, "bfloat16", func() { h.Run(pool, dstH, srcH, 2, 14, 14, nil, SiLU, &w) })
}

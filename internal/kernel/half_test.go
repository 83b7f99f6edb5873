package kernel

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestConvHalfAgainstDefinition(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		c, n, h, w := drawFours(t, 2)
		o := PackOptions{Half: true, N: 1, H: h, W: w, Algorithm: Plain}
		if rapid.Bool().Draw(t, "winograd") {
			c = Conv{InC: 16 * rapid.IntRange(1, 5).Draw(t, "in"), OutC: 16 * rapid.IntRange(1, 5).Draw(t, "out"), KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}
			o.Algorithm = rapid.SampledFrom([]Algorithm{Winograd2, Winograd4}).Draw(t, "algorithm")
		}
		oh, ow := c.OutSize(h, w)
		weights, bias, src := fill(r, g.floats(c.WeightSize())), fill(r, g.floats(c.OutC)), fill(r, g.floats(n*h*w*c.InC))
		if rapid.Bool().Draw(t, "scale") {
			o.Scale = fill(r, g.floats(c.OutC))
		}
		p, err := packConv(set, c, weights, bias, false, o)
		if err != nil {
			t.Fatal(err)
		}
		dst := g.floats(n * oh * ow * c.OutC)
		var residual []float32
		if rapid.Bool().Draw(t, "residual") {
			residual = fill(r, g.floats(len(dst)))
		}
		act := rapid.SampledFrom(activations).Draw(t, "activation")
		p.Run(all[0], dst, src, n, h, w, residual, act, nil)

		// Plain convolutions multiply rounded weights, Winograd's method rounds what it makes of them.
		rounded := scaledRows(weights, o.Scale)
		if o.Algorithm == Plain && !c.Depthwise() {
			rounded = append([]float32(nil), rounded...)
			for i, v := range rounded {
				rounded[i] = RoundBFloat16(v).Float32()
			}
		}
		want := convolve(c, rounded, bias, src, n, h, w, nil)
		sizes := magnitudes(c, rounded, src, n, h, w)
		var largest float64
		for _, size := range sizes {
			largest = max(largest, size)
		}
		for i := range want {
			if residual != nil {
				want[i] += float64(residual[i])
			}
			tolerance := 1e-5 * (1 + sizes[i])
			if o.Algorithm != Plain { // what is rounded is seen by all outputs of a square, and by the last most
				tolerance = 2e-2 * (1 + largest)
			}
			if got := float64(dst[i]); !(math.Abs(got-activation64(act, want[i])) <= tolerance) {
				t.Fatalf("dst[%d] = %v, want %v", i, got, activation64(act, want[i]))
			}
		}
		if o.Algorithm != Plain { // the transforms' last bits differ, and with them a few roundings
			twin, err := packConv(portable, c, weights, bias, false, o)
			if err != nil {
				t.Fatal(err)
			}
			other := make([]float32, len(dst))
			twin.Run(nil, other, src, n, h, w, residual, act, nil)
			near(t, "portable", other, toFloat64(dst), 1e-3, 1+largest)
		}
		for _, pool := range all[1:] {
			again := g.floats(len(dst))
			p.Run(pool, again, src, n, h, w, residual, act, nil)
			same(t, "dst by threads", again, dst)
		}
		if wide, err := packConv(set, c, weights, bias, false, PackOptions{N: 1, H: h, W: w, Algorithm: o.Algorithm}); err != nil {
			t.Fatal(err)
		} else if kept := p.Bytes() - 4*len(p.bias); set.multiplies(elementHalf) && !c.Depthwise() && c.InC/max(c.Groups, 1)%2 == 0 && 2*kept != wide.Bytes()-4*len(wide.bias) {
			t.Fatalf("weights take %d bytes, %d in float32", kept, wide.Bytes()-4*len(wide.bias))
		}
	})
}

// magnitudes are the sums of |input·weight|, which errors are measured against.
func magnitudes(c Conv, weights, src []float32, n, h, w int) []float64 {
	absolute := func(x []float32) []float32 {
		y := make([]float32, len(x))
		for i, v := range x {
			y[i] = float32(math.Abs(float64(v)))
		}
		return y
	}
	return convolve(c, absolute(weights), nil, absolute(src), n, h, w, nil)
}

func TestFloat16(t *testing.T) {
	for _, c := range []struct {
		x    float64
		want float16
	}{
		{0, 0}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519, 0x7bff}, {65520, 0x7c00}, {1e10, 0x7c00}, {math.Inf(-1), 0xfc00},
		{1 + 1.0/2048, 0x3c00}, {1 + 3.0/2048, 0x3c02}, {1.0 / (1 << 24), 1}, {1.0 / (1 << 25), 0}, {1.5 / (1 << 24), 2}, {1.0 / (1 << 14), 0x400}, {-1e-10, 0x8000},
	} {
		if got := roundFloat16(float32(c.x)); got != c.want {
			t.Errorf("%v became %#x, want %#x", c.x, got, c.want)
		}
	}
	every := make([]float16, 1<<16)
	for i := range every {
		every[i] = float16(i)
	}
	for _, set := range sets() {
		wide, back := make([]float32, len(every)), make([]float16, len(every))
		expandFloat16s(set, wide, every)
		roundFloat16s(set, back, wide)
		between := make([]float32, len(every))
		for i, x := range every {
			if v := x.float32(); math.Float32bits(v) != math.Float32bits(wide[i]) {
				t.Fatalf("%v: %#x is %v, want %v", set, i, wide[i], v)
			}
			if wide[i] == wide[i] && back[i] != x {
				t.Fatalf("%v: %#x came back as %#x", set, i, back[i])
			}
			if between[i] = wide[i]; i%0x400 < 0x3ff && i&0x7fff < 0x7c00 {
				between[i] = (wide[i] + float16(i+1).float32()) / 2
			}
			between[i] *= 1 + float32(i%3-1)/(1<<20)
		}
		roundFloat16s(set, back, between)
		for i, v := range between {
			if v == v && back[i] != roundFloat16(v) {
				t.Fatalf("%v: %v became %#x, want %#x", set, v, back[i], roundFloat16(v))
			}
		}
	}
}

func toFloat64(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

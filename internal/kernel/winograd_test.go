package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestWinogradError holds the method to the error its description states: relative to the largest
// sum of magnitudes of an output.
func TestWinogradError(t *testing.T) {
	limits := map[Algorithm]float64{Plain: 1e-6, Winograd2: 2e-6, Winograd4: 2e-5}
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		num := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		c := Conv{InC: 16 * num("inC", 1, 4), OutC: 16 * num("outC", 1, 5), KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1,
			PadTop: num("top", 0, 2), PadLeft: num("left", 0, 2), PadBottom: num("bottom", 0, 2), PadRight: num("right", 0, 2)}
		n, h, w := num("n", 0, 3), num("h", 1, 14), num("w", 1, 14)
		oh, ow := c.OutSize(h, w)
		weights, bias := fill(r, g.floats(c.WeightSize())), fill(r, g.floats(c.OutC))
		src := fill(r, g.floats(n*h*w*c.InC))
		var residual []float32
		if rapid.Bool().Draw(t, "residual") {
			residual = fill(r, g.floats(n*oh*ow*c.OutC))
		}
		act := rapid.SampledFrom(activations).Draw(t, "activation")
		want := convolve(c, weights, bias, src, n, h, w, nil)
		magnitude := make([]float64, len(want))
		convolve(c, weights, bias, src, n, h, w, func(out, in, weight int) {
			magnitude[out] += math.Abs(float64(src[in]) * float64(weights[weight]))
		})
		var largest float64
		for i := range want {
			largest = max(largest, magnitude[i])
			if residual != nil {
				want[i] += float64(residual[i])
			}
			want[i] = activation64(act, want[i])
		}
		for algorithm, limit := range limits {
			p, err := packConv(set, c, weights, bias, false, PackOptions{Algorithm: algorithm})
			if err != nil {
				t.Fatal(err)
			}
			if (p.winograd != nil) != (algorithm != Plain) {
				t.Fatal("not the algorithm asked for")
			}
			dst := g.floats(len(want))
			p.Run(all[0], dst, src, n, h, w, residual, act, nil)
			for i, v := range dst {
				if d := math.Abs(float64(v) - want[i]); !(d <= limit*(largest+10)) {
					t.Fatalf("algorithm %d: dst[%d] = %v, want %v: %.1e of the largest sum", algorithm, i, v, want[i], d/largest)
				}
			}
			for _, pool := range all[1:] {
				again := g.floats(len(dst))
				copy(again, residual)
				in := residual
				if residual != nil {
					in = again
				}
				p.Run(pool, again, src, n, h, w, in, act, nil)
				same(t, "dst by threads", again, dst)
			}
		}
	})
}

// The gradient by Winograd's method is that of the definition, as closely.
func TestWinogradGradient(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		num := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		c := Conv{InC: 16 * num("inC", 1, 4), OutC: 16 * num("outC", 1, 4), KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1,
			PadTop: num("top", 0, 2), PadLeft: num("left", 0, 2), PadBottom: num("bottom", 0, 2), PadRight: num("right", 0, 2)}
		n, h, w := num("n", 0, 3), num("h", 1, 14), num("w", 1, 14)
		oh, ow := c.OutSize(h, w)
		weights := fill(r, g.floats(c.WeightSize()))
		src, ddst := make([]float32, n*h*w*c.InC), fill(r, g.floats(n*oh*ow*c.OutC))
		want, magnitude := make([]float64, len(src)), make([]float64, len(src))
		convolve(c, weights, nil, src, n, h, w, func(out, in, weight int) {
			v := float64(ddst[out]) * float64(weights[weight])
			want[in] += v
			magnitude[in] += math.Abs(v)
		})
		var largest float64
		for _, m := range magnitude {
			largest = max(largest, m)
		}
		p, err := packConv(set, c, weights, nil, true, PackOptions{Algorithm: Winograd4})
		if err != nil {
			t.Fatal(err)
		}
		dsrc := fill(r, g.floats(len(src)))
		p.Run(all[1], dsrc, ddst, n, h, w, nil, None, nil)
		for i, v := range dsrc {
			if d := math.Abs(float64(v) - want[i]); d > 2e-5*(largest+10) {
				t.Fatalf("dsrc[%d] = %v, want %v", i, v, want[i])
			}
		}
	})
}

func TestWinogradIsChosen(t *testing.T) {
	c := square(64, 64, 3, 1, 1).withDefaults()
	for _, v := range []struct {
		c    Conv
		o    PackOptions
		want int
	}{
		{c, PackOptions{}, 0},
		{c, PackOptions{N: 1, H: 56, W: 56}, 4},
		{c, PackOptions{N: 1, H: 7, W: 7}, 2},
		{c, PackOptions{N: 1, H: 4, W: 4}, 0},
		{c, PackOptions{N: 8, H: 7, W: 7}, 4},
		{c, PackOptions{N: 8, H: 56, W: 56, Algorithm: Plain}, 0},
		{c, PackOptions{Algorithm: Winograd2}, 2},
		{square(64, 64, 3, 2, 1).withDefaults(), PackOptions{N: 1, H: 56, W: 56}, 0},
		{square(64, 64, 1, 1, 1).withDefaults(), PackOptions{Algorithm: Winograd4}, 0},
	} {
		if got := v.o.choose(v.c); got != v.want {
			t.Errorf("%+v, %+v: %d, want %d", v.c, v.o, got, v.want)
		}
	}
}

func TestWinogradAllocatesNothing(t *testing.T) {
	c := square(32, 48, 3, 1, 1)
	p, err := PackConvFor(c, fill(rand.New(rand.NewPCG(1, 1)), make([]float32, c.WeightSize())), nil, PackOptions{Algorithm: Winograd4})
	if err != nil {
		t.Fatal(err)
	}
	pool := NewPool(2)
	defer pool.Close()
	src, dst := make([]float32, 2*14*14*32), make([]float32, 2*14*14*48)
	var w Workspace
	weights := make([]float32, c.WeightSize())
	nothingAllocated(t, "repack", func() {
		if err := p.Repack(weights, nil); err != nil {
			t.Fatal(err)
		}
	})
	nothingAllocated(t, "winograd", func() { p.Run(pool, dst, src, 2, 14, 14, nil, SiLU, &w) })
}

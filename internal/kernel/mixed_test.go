package kernel

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// rounded returns x as it is after rounding to bfloat16, where the set has instructions for that.
func rounded(set isa, x []float32) []float32 {
	out := append([]float32(nil), x...)
	if set.multiplies(elementBFloat16) {
		for i, v := range out {
			out[i] = RoundBFloat16(v).Float32()
		}
	}
	return out
}

// TestMixedConvolutions holds convolutions and their gradients that round what they multiply against
// the definition on rounded numbers.
func TestMixedConvolutions(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		c, n, h, w := drawConv(t, false)
		if rapid.IntRange(0, 2).Draw(t, "even") > 0 {
			c.InC, c.OutC = 2*c.InC, 2*c.OutC
		}
		in, out := c.InC/max(c.Groups, 1), c.OutC/max(c.Groups, 1)
		oh, ow := c.OutSize(h, w)
		weights, src, ddst := fill(r, g.floats(c.WeightSize())), fill(r, g.floats(n*h*w*c.InC)), fill(r, g.floats(n*oh*ow*c.OutC))
		bias := fill(r, g.floats(c.OutC))
		// What is summed over goes by twos, and must not then look like a depthwise convolution.
		roundedIf := func(even bool, halved Conv, x []float32) []float32 {
			if !even || c.withDefaults().Depthwise() || halved.Depthwise() {
				return x
			}
			return rounded(set, x)
		}
		forward := func(x []float32) []float32 {
			halved := c
			halved.InC /= 2
			return roundedIf(in%2 == 0, halved, x)
		}
		backward := func(x []float32) []float32 {
			halved := c
			halved.OutC /= 2
			return roundedIf(out%2 == 0, halved, x)
		}
		check := func(what string, run func(pool *Pool) []float32, want []float64) {
			got := run(all[0])
			near(t, what, got, want, 5e-5, 10)
			for _, pool := range all[1:] {
				same(t, what+" by threads", run(pool), got)
			}
		}
		o := PackOptions{BFloat16: true}
		p, err := packConv(set, c, weights, bias, false, o)
		if err != nil {
			t.Fatal(err)
		}
		again := fill(r, g.floats(len(weights)))
		for _, x := range [][]float32{again, weights} { // packed anew, it is as if new
			if err := p.Repack(x, bias); err != nil {
				t.Fatal(err)
			}
		}
		check("dst", func(pool *Pool) []float32 {
			dst := g.floats(len(ddst))
			p.Run(pool, dst, src, n, h, w, nil, None, nil)
			return dst
		}, convolve(c, forward(weights), bias, forward(src), n, h, w, nil))
		q, err := packConv(set, c, weights, nil, true, o)
		if err != nil {
			t.Fatal(err)
		}
		wantData, wantWeights := make([]float64, len(src)), make([]float64, len(weights))
		dataWeights, dataGradient := backward(weights), backward(ddst)
		gradient, input := rounded(set, ddst), rounded(set, src)
		if c.withDefaults().Depthwise() {
			gradient, input = ddst, src
		}
		convolve(c, weights, nil, src, n, h, w, func(out, in, weight int) {
			wantData[in] += float64(dataGradient[out]) * float64(dataWeights[weight])
			wantWeights[weight] += float64(gradient[out]) * float64(input[in])
		})
		check("dsrc", func(pool *Pool) []float32 {
			dsrc := g.floats(len(src))
			q.Run(pool, dsrc, ddst, n, h, w, nil, None, nil)
			return dsrc
		}, wantData)
		check("dweights", func(pool *Pool) []float32 {
			dweights := g.floats(len(weights))
			convBackwardWeights(set, elementBFloat16, pool, c.withDefaults(), dweights, nil, src, ddst, n, h, w, nil)
			return dweights
		}, wantWeights)
	})
}

func TestMixedGemm(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		m, n, k := rapid.IntRange(1, 40).Draw(t, "m"), rapid.IntRange(1, 70).Draw(t, "n"), rapid.SampledFrom([]int{0, 1, 2, 7, 33, 512, 513, 1030}).Draw(t, "k")
		ta, tb := rapid.Bool().Draw(t, "transA"), rapid.Bool().Draw(t, "transB")
		beta := rapid.SampledFrom([]float32{0, 1, 0.5}).Draw(t, "beta")
		lda, ldb := k, n
		if ta {
			lda = m
		}
		if tb {
			ldb = k
		}
		a, b, c := fill(r, g.floats(m*k)), fill(r, g.floats(k*n)), fill(r, g.floats(m*n))
		ra, rb := rounded(set, a), rounded(set, b)
		want := make([]float64, len(c))
		for i := range m {
			for j := range n {
				sum := float64(beta) * float64(c[i*n+j])
				for l := range k {
					x, y := i*lda+l, l*ldb+j
					if ta {
						x = l*lda + i
					}
					if tb {
						y = j*ldb + l
					}
					sum += float64(ra[x]) * float64(rb[y])
				}
				want[i*n+j] = sum
			}
		}
		start := append([]float32(nil), c...)
		gemm(set, elementBFloat16, all[0], ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, n, nil)
		near(t, "c", c, want, 5e-5, 10)
		for _, p := range all[1:] {
			other := g.floats(len(c))
			copy(other, start)
			gemm(set, elementBFloat16, p, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, other, n, nil)
			same(t, "c by threads", other, c)
		}
	})
}

// BenchmarkMixed is a layer of ResNet50: forward, back to the input and to the weights.
func BenchmarkMixed(b *testing.B) {
	for _, c := range []Conv{
		{InC: 256, OutC: 64, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1},
		{InC: 1024, OutC: 256, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1},
		{InC: 128, OutC: 128, KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1},
	} {
		size := map[int]int{256: 56, 1024: 14, 128: 56}[c.InC]
		const n = 8
		oh, ow := c.OutSize(size, size)
		r := rand.New(rand.NewPCG(1, 2))
		weights, src, dst := fill(r, make([]float32, c.WeightSize())), fill(r, make([]float32, n*size*size*c.InC)), fill(r, make([]float32, n*oh*ow*c.OutC))
		pool := NewPool(2)
		defer pool.Close()
		var w Workspace
		for _, half := range []bool{false, true} {
			name := map[bool]string{false: "float32", true: "bfloat16"}[half]
			o := PackOptions{BFloat16: half}
			p, _ := PackConvFor(c, weights, nil, o)
			q, _ := PackConvGradientFor(c, weights, o)
			kind := elementFloat32
			if half {
				kind = elementBFloat16
			}
			for what, run := range map[string]func(){
				"forward": func() { p.Run(pool, dst, src, n, size, size, nil, None, &w) },
				"input":   func() { q.Run(pool, src, dst, n, size, size, nil, None, &w) },
				"weights": func() {
					convBackwardWeights(active(), kind, pool, c.withDefaults(), weights, nil, src, dst, n, size, size, &w)
				},
				"packing":          func() { _ = p.Repack(weights, nil) },
				"gradient packing": func() { _ = q.Repack(weights, nil) },
			} {
				b.Run(name+" "+what, func(b *testing.B) {
					for b.Loop() {
						run()
					}
					b.ReportMetric(float64(n*c.FLOPs(size, size))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}

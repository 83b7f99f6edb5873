package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkTransformer measures what the blocks of transformers consist of: go test -bench Transformer/bert. The products of training are of
// 2,048 tokens, those of inference of 512.
func BenchmarkTransformer(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) []float32 { return fill(r, make([]float32, n)) }
	const threads = 2
	pool := NewPool(threads)
	defer pool.Close()
	var w Workspace
	bench := func(name string, flops float64, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			if flops > 0 {
				b.ReportMetric(flops*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			}
		})
	}
	for _, s := range []struct {
		model     string
		in, out   int
		heads     int
		tokens    int
		inference int
	}{{"minilm", 384, 384, 12, 1024, 512}, {"minilm", 384, 1536, 12, 1024, 512}, {"minilm", 1536, 384, 12, 1024, 512}, {"bert", 768, 768, 12, 2048, 512}, {"bert", 768, 3072, 12, 2048, 512}, {"bert", 3072, 768, 12, 2048, 512}} {
		x, y, weight := draw(s.tokens*s.in), draw(s.tokens*s.out), draw(s.in*s.out)
		flops := 2 * float64(s.in) * float64(s.out) * float64(s.tokens)
		prefix := fmt.Sprintf("%s/%d-%d/", s.model, s.in, s.out)
		bench(prefix+"train/output", flops, func() { Gemm(pool, false, true, s.tokens, s.out, s.in, 1, x, s.in, weight, s.in, 0, y, s.out, &w) })
		bench(prefix+"train/input", flops, func() { Gemm(pool, false, false, s.tokens, s.in, s.out, 1, y, s.out, weight, s.in, 0, x, s.in, &w) })
		bench(prefix+"train/weight", flops, func() { Gemm(pool, true, false, s.out, s.in, s.tokens, 1, y, s.out, x, s.in, 0, weight, s.in, &w) })
		weight = draw(s.in * s.out)
		x, y = draw(s.inference*s.in), draw(s.inference*s.out)
		flops = 2 * float64(s.in) * float64(s.out) * float64(s.inference)
		g := denseGeometry(s.in, s.out)
		for _, reduced := range []bool{false, true} {
			p, err := PackConvFor(g, weight, nil, PackOptions{BFloat16: reduced})
			if err != nil {
				b.Fatal(err)
			}
			bench(prefix+map[bool]string{false: "fp32", true: "bf16"}[reduced], flops, func() { p.Run(pool, y, x, s.inference, 1, 1, nil, None, &w) })
		}
		d, err := PackDenseInt8(s.in, s.out, weight, nil)
		if err != nil {
			b.Fatal(err)
		}
		bench(prefix+"int8", flops, func() { d.RunView(pool, DenseView{Dst: y, Src: x, Rows: s.inference}, None, &w) })
		bench(prefix+"int8 with gelu", flops, func() { d.RunView(pool, DenseView{Dst: y, Src: x, Rows: s.inference}, GELU, &w) })
		if s.in != s.out {
			continue
		}
		gamma := draw(s.in)
		bench(prefix+"layer-norm", 0, func() { LayerNorm(pool, y, nil, nil, x, gamma, gamma, 1e-5, s.inference, s.in) })
		for _, length := range []int{8, 16, 32, 128} {
			sequences := make([]Sequence, s.inference/length)
			for i := range sequences {
				sequences[i] = Sequence{First: i * length, Length: length, Rows: length}
			}
			qkv := draw(s.inference * 3 * s.in)
			part := func(i int) Tokens { return Tokens{qkv[i*s.in:], 3 * s.in} }
			a := Attention{Heads: s.heads, Width: s.in / s.heads}
			bench(fmt.Sprintf("%sattention of %d", prefix, length), float64(4*s.inference*length*s.in), func() {
				a.Run(pool, sequences, Tokens{y, s.in}, part(0), part(1), part(2), nil, &w)
			})
		}
	}
}

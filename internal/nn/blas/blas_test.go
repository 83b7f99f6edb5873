package blas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"
)

func normal(random *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	return x
}

func near(a, b []float32) bool {
	for i := range b {
		if math.Abs(float64(a[i]-b[i])) > 1e-4*(1+math.Abs(float64(b[i]))) {
			return false
		}
	}
	return len(a) == len(b)
}

// TestSgemm holds products, and what is refused, against Gonum's.
func TestSgemm(t *testing.T) {
	fast := New()
	rapid.Check(t, func(t *rapid.T) {
		size := func(name string, least int) int { return rapid.IntRange(least, 40).Draw(t, name) }
		m, n, k := size("m", 0), size("n", 0), size("k", 0)
		transposes := []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans, 'X'}
		ta, tb := rapid.SampledFrom(transposes).Draw(t, "ta"), rapid.SampledFrom(transposes).Draw(t, "tb")
		lda, ldb, ldc := size("lda", 0), size("ldb", 0), size("ldc", 0)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		a, b, c := normal(random, 1600), normal(random, 1600), normal(random, rapid.SampledFrom([]int{100, 1600}).Draw(t, "length of c"))
		beta := rapid.SampledFrom([]float32{0, 1, 0.5}).Draw(t, "beta")
		multiply := func(sgemm func(ta, tb blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int)) (out []float32, refused string) {
			defer func() {
				if p := recover(); p != nil {
					refused = fmt.Sprint(p)
				}
			}()
			out = append(out, c...)
			sgemm(ta, tb, m, n, k, 0.7, a, lda, b, ldb, beta, out, ldc)
			return out, ""
		}
		want, refusal := multiply(gonum.Implementation{}.Sgemm)
		got, refused := multiply(fast.Sgemm)
		if refused != refusal || refusal == "" && !near(got, want) {
			t.Fatalf("refused %q, by Gonum %q; or the products differ", refused, refusal)
		}
	})
}

// TestGorgoniaMultipliesWithIt runs a product on Gorgonia's tape machine.
func TestGorgoniaMultipliesWithIt(t *testing.T) {
	before := gorgonia.WhichBLAS()
	defer gorgonia.Use(before)
	product := func(b gorgonia.BLAS) []float32 {
		gorgonia.Use(b)
		random := rand.New(rand.NewPCG(1, 2))
		g := gorgonia.NewGraph()
		matrix := func(name string, rows, columns int) *gorgonia.Node {
			return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName(name), gorgonia.WithShape(rows, columns),
				gorgonia.WithValue(tensor.New(tensor.WithShape(rows, columns), tensor.WithBacking(normal(random, rows*columns)))))
		}
		y := gorgonia.Must(gorgonia.Mul(matrix("a", 70, 50), matrix("b", 50, 33)))
		machine := gorgonia.NewTapeMachine(g)
		defer machine.Close()
		if err := machine.RunAll(); err != nil {
			t.Fatal(err)
		}
		return y.Value().Data().([]float32)
	}
	if got, want := product(New()), product(before); !near(got, want) {
		t.Error("the products differ")
	}
}

func BenchmarkSgemm(b *testing.B) {
	const n = 512
	random := rand.New(rand.NewPCG(1, 2))
	x, y, c := normal(random, n*n), normal(random, n*n), make([]float32, n*n)
	for name, implementation := range map[string]gorgonia.BLAS{"kernel": New(), "gonum": gonum.Implementation{}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				implementation.Sgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, x, n, y, n, 0, c, n)
			}
			b.ReportMetric(2*n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

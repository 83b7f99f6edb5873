package kernel

import (
	"testing"

	"pgregory.net/rapid"
)

func TestGemmAgainstDefinition(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		m, n, k := rapid.IntRange(0, 40).Draw(t, "m"), rapid.IntRange(0, 70).Draw(t, "n"), rapid.IntRange(0, 40).Draw(t, "k")
		switch rapid.IntRange(0, 8).Draw(t, "large") {
		case 0:
			k += 500
		case 1:
			n += 500
		case 2:
			m += 200
		}
		ta, tb := rapid.Bool().Draw(t, "transA"), rapid.Bool().Draw(t, "transB")
		alpha := rapid.SampledFrom([]float32{1, 0, -0.5}).Draw(t, "alpha")
		beta := rapid.SampledFrom([]float32{0, 1, 0.5}).Draw(t, "beta")
		lead := func(rows, columns int, transposed bool) int {
			if transposed {
				columns = rows
			}
			return columns + rapid.IntRange(0, 3).Draw(t, "lead")
		}
		lda, ldb, ldc := lead(m, k, ta), lead(k, n, tb), lead(m, n, false)
		if k == 512 && !ta {
			lda = 512
		}
		a := fill(r, g.floats(matrixSize(m, k, lda, ta)))
		b := fill(r, g.floats(matrixSize(k, n, ldb, tb)))
		c := fill(r, g.floats(matrixSize(m, n, ldc, false)))
		at := func(x []float32, lead, i, j int, transposed bool) float64 {
			if transposed {
				i, j = j, i
			}
			return float64(x[i*lead+j])
		}
		want := make([]float64, len(c))
		for i := range c {
			want[i] = float64(c[i])
		}
		for i := range m {
			for j := range n {
				var sum float64
				for l := range k {
					sum += at(a, lda, i, l, ta) * at(b, ldb, l, j, tb)
				}
				old := float64(beta) * want[i*ldc+j]
				want[i*ldc+j] = float64(alpha)*sum + old
			}
		}
		start := append([]float32(nil), c...)
		gemm(set, elementFloat32, all[0], ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, nil)
		near(t, "c", c, want, 3e-5, 10)
		for _, p := range all[1:] {
			other := g.floats(len(c))
			copy(other, start)
			gemm(set, elementFloat32, p, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, other, ldc, nil)
			same(t, "c by threads", other, c)
		}
	})
}

func TestDense(t *testing.T) {
	weights := []float32{1, 2, 3, 4, 5, 6}
	d, err := PackDense(3, 2, weights, []float32{0.5, -40})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 4)
	d.Run(nil, dst, []float32{1, 1, 1, 0, 1, 2}, 2, ReLU, nil)
	same(t, "dst", dst, []float32{6.5, 0, 8.5, 0})
}

func TestGemmAllocatesNothing(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	a, b, c := make([]float32, 100*300), make([]float32, 300*70), make([]float32, 100*70)
	var w Workspace
	nothingAllocated(t, "gemm", func() {
		Gemm(pool, true, true, 100, 70, 300, 1, a, 100, b, 300, 0, c, 70, &w)
	})
}

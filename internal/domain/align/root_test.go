package align

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// The iteration gives the roots that eigenvectors give, also of matrices whose eigenvalues differ by four orders.
func TestIteratedRoot(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	const n = 300
	for _, spread := range []float64{1, 30, 1e4} {
		random := rand.New(rand.NewPCG(1, 1))
		a := make([]float64, n*n)
		for range 2 * n {
			row := make([]float64, n)
			size := math.Sqrt(math.Pow(spread, random.Float64()) / n)
			for j := range row {
				row[j] = size * random.NormFloat64()
			}
			for i := range n {
				for j := range n {
					a[i*n+j] += row[i] * row[j]
				}
			}
		}
		for i := range n {
			a[i*n+i]++
		}
		root, inverse := roots(pool, append([]float64(nil), a...), n)
		for _, c := range []struct {
			inverse bool
			want    []float64
		}{{false, root}, {true, inverse}} {
			got := iteratedRoot(pool, a, n, 1, c.inverse)
			largest, off := 0.0, 0.0
			for i, w := range c.want {
				largest, off = max(largest, math.Abs(w)), max(off, math.Abs(w-float64(got[i]))) // a NaN stays
			}
			t.Logf("spread %v, inverse %v: off by %.2g of %.2g", spread, c.inverse, off, largest)
			if !(off <= 1e-5*largest) {
				t.Errorf("spread %v, inverse %v: off by %.2g of %.2g", spread, c.inverse, off, largest)
			}
		}
	}
}

// What is below the diagonal is computed, what is above it copied, of any size.
func TestSymmetricProduct(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, n := range []int{1, 65, 300, 513} {
		const depth = 37
		x := make([]float32, depth*n)
		for i := range x {
			x[i] = float32(i*i%17) - 8 // products are exact
		}
		got, want := make([]float32, n*n), make([]float32, n*n)
		product := symmetricProduct{pool: pool, n: n}
		product.of(true, depth, x, x, got)
		kernel.Gemm(pool, true, false, n, n, depth, 1, x, n, x, n, 0, want, n, nil)
		for i, w := range want {
			if got[i] != w {
				t.Fatalf("%d columns: element %d is %v, not %v", n, i, got[i], w)
			}
		}
	}
}

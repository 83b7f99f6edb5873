package eigen_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/eigen"
	"github.com/tlpipe/tlpipe/internal/kernel"
)

// scatter of random rows, of a rank.
func scatter(n, rank int) []float64 {
	random := rand.New(rand.NewPCG(uint64(n), uint64(rank)))
	a := make([]float64, n*n)
	row := make([]float64, n)
	for r := range rank {
		for i := range row {
			row[i] = random.NormFloat64() / float64(1+r)
		}
		for i := range n {
			for j := range n {
				a[i*n+j] += row[i] * row[j]
			}
		}
	}
	return a
}

// held checks that vectors are orthonormal and that A v = λ v.
func held(t *testing.T, a, values, vectors []float64, n int) {
	t.Helper()
	for i := range values {
		v := vectors[i*n : (i+1)*n]
		for j := range i + 1 {
			sum := 0.0
			for l, x := range vectors[j*n : (j+1)*n] {
				sum += x * v[l]
			}
			if want := map[bool]float64{true: 1}[i == j]; math.Abs(sum-want) > 1e-10 {
				t.Fatalf("%d dimensions: the product of vectors %d and %d is %v", n, i, j, sum)
			}
		}
		for r := range n {
			sum := 0.0
			for l, x := range a[r*n : (r+1)*n] {
				sum += x * v[l]
			}
			if math.Abs(sum-values[i]*v[r]) > 1e-8*math.Abs(values[0])+1e-300 {
				t.Fatalf("%d dimensions: vector %d of eigenvalue %v, element %d: %v, want %v", n, i, values[i], r, sum, values[i]*v[r])
			}
		}
		if i > 0 && values[i] > values[i-1] {
			t.Fatalf("eigenvalues are not sorted: %v", values)
		}
	}
}

func TestSymmetric(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, size := range [][2]int{{1, 1}, {2, 2}, {3, 1}, {7, 7}, {40, 40}, {60, 9}, {5, 0}} {
		n := size[0]
		a := scatter(n, size[1])
		values, vectors := eigen.Symmetric(pool, slices.Clone(a), n)
		held(t, a, values, vectors, n)
	}
	// Equal eigenvalues, and a matrix that is tridiagonal already.
	a := []float64{2, 1, 0, 1, 2, 1, 0, 1, 2}
	values, vectors := eigen.Symmetric(nil, slices.Clone(a), 3)
	held(t, a, values, vectors, 3)
	for i, want := range []float64{2 + math.Sqrt2, 2, 2 - math.Sqrt2} {
		if math.Abs(values[i]-want) > 1e-14 {
			t.Errorf("eigenvalue %d is %v, want %v", i, values[i], want)
		}
	}
	one := make([]float64, 16)
	for i := range 4 {
		one[5*i] = 3
	}
	values, vectors = eigen.Symmetric(nil, slices.Clone(one), 4)
	held(t, one, values, vectors, 4)
}

// Lanczos' method finds what the decomposition in full does, and does not depend on threads.
func TestLeading(t *testing.T) {
	const n, k = eigen.ExactDims + 10, 6
	a := scatter(n, 60)
	pool := kernel.NewPool(3)
	defer pool.Close()
	values, vectors := eigen.Leading(pool, a, n, k)
	if len(values) != k {
		t.Fatalf("%d values", len(values))
	}
	held(t, a, values, vectors, n)
	again, alike := eigen.Leading(nil, a, n, k)
	if !slices.Equal(values, again) || !slices.Equal(vectors, alike) {
		t.Error("one thread and three give different eigenvectors")
	}
	// The trace of the whole bounds them: 60 rows of n numbers with variance 1/(1+r)² have about n/(1+r)² each.
	for i, v := range values {
		if want := float64(n) / float64((1+i)*(1+i)); math.Abs(v/want-1) > 0.3 {
			t.Errorf("eigenvalue %d is %v, about %v expected", i, v, want)
		}
	}
	// A matrix of few dimensions with rank below what is asked for.
	values, _ = eigen.Leading(nil, scatter(12, 2), 12, 5)
	if len(values) != 5 || values[1] <= 1e-9 || values[2] > 1e-9 {
		t.Errorf("eigenvalues %v of a matrix of rank 2", values)
	}
}

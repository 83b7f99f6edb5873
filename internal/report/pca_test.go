package report

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// Against the singular values and vectors of the whole matrix.
func TestProjectionAgainstSVD(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, size := range []struct{ n, d int }{{60, 9}, {12, 40}, {200, 3}, {5, 5}, {8, 2}} {
		rows := make([][]float32, size.n)
		for i := range rows {
			rows[i] = make([]float32, size.d)
			for j := range rows[i] {
				// Directions of different spread, and a mean that is not 0.
				rows[i][j] = float32(random.NormFloat64()*4/float64(1+j) + 7)
			}
		}
		centred := mat.NewDense(size.n, size.d, nil)
		total := 0.0
		for j := range size.d {
			mean := 0.0
			for i := range rows {
				mean += float64(rows[i][j]) / float64(size.n)
			}
			for i := range rows {
				x := float64(rows[i][j]) - mean
				centred.Set(i, j, x)
				total += x * x
			}
		}
		var svd mat.SVD
		if !svd.Factorize(centred, mat.SVDThin) {
			t.Fatal("the reference failed")
		}
		var u mat.Dense
		svd.UTo(&u)
		sigma := svd.Values(nil)

		got := project(rows)
		for k, c := range []struct {
			values []float64
			share  float64
		}{{got.x, got.shareX}, {got.y, got.shareY}} {
			if want := sigma[k] * sigma[k] / total; math.Abs(c.share-want) > 1e-6 {
				t.Errorf("%d×%d: component %d has share %v, want %v", size.n, size.d, k, c.share, want)
			}
			same, opposite, largest := 0.0, 0.0, 0.0
			for i, x := range c.values {
				want := u.At(i, k) * sigma[k]
				same = max(same, math.Abs(x-want))
				opposite = max(opposite, math.Abs(x+want))
				if math.Abs(x) > math.Abs(largest) {
					largest = x
				}
			}
			if min(same, opposite) > 1e-3*sigma[k] {
				t.Errorf("%d×%d: component %d is off by %v", size.n, size.d, k, min(same, opposite))
			}
			if largest < 0 {
				t.Errorf("%d×%d: the largest coordinate of component %d is negative", size.n, size.d, k)
			}
		}
	}
}

func TestProjectionOfDegenerateData(t *testing.T) {
	for name, rows := range map[string][][]float32{
		"nothing":       nil,
		"one row":       {{1, 2, 3}},
		"all alike":     {{1, 2}, {1, 2}, {1, 2}},
		"one dimension": {{1}, {2}, {4}},
		"on a line":     {{1, 1, 1}, {2, 2, 2}, {3, 3, 3}},
		"not a number":  {{1, float32(math.NaN())}, {2, 3}},
	} {
		p := project(rows)
		if len(p.x) != len(rows) || len(p.y) != len(rows) {
			t.Errorf("%s: %d and %d coordinates of %d rows", name, len(p.x), len(p.y), len(rows))
		}
		for i := range p.x {
			if math.IsNaN(p.x[i]) || math.IsNaN(p.y[i]) {
				t.Errorf("%s: row %d lies at %v, %v", name, i, p.x[i], p.y[i])
			}
		}
		if math.IsNaN(p.shareX) || math.IsNaN(p.shareY) || p.shareX+p.shareY > 1+1e-9 {
			t.Errorf("%s: shares %v and %v", name, p.shareX, p.shareY)
		}
	}
	if p := project([][]float32{{1}, {2}, {4}}); p.shareX < 1-1e-9 || math.Abs(p.x[2]-5.0/3) > 1e-6 {
		t.Errorf("one dimension: %+v", p)
	}
}

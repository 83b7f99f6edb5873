package metrics_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tlpipe/tlpipe/internal/metrics"
)

func TestCKA(t *testing.T) {
	const n, width = 60, 90 // fewer examples than numbers
	random := rand.New(rand.NewPCG(1, 1))
	draw := func(width int) []float32 {
		x := make([]float32, n*width)
		for i := range x {
			x[i] = float32(random.NormFloat64())
		}
		return x
	}
	a := draw(width)
	// Rotated in the plane of each pair of numbers, scaled and shifted, it is the same.
	turned := make([]float32, len(a))
	for i := 0; i < len(a); i += 2 {
		turned[i], turned[i+1] = 3*(0.6*a[i]-0.8*a[i+1])+7, 3*(0.8*a[i]+0.6*a[i+1])+7
	}
	if got := metrics.CKA(a, turned, n); math.Abs(got-1) > 1e-4 {
		t.Errorf("of a representation and itself, rotated: %v", got)
	}
	if got := metrics.CKA(a, draw(40), n); math.Abs(got) > 0.1 {
		t.Errorf("of two that have nothing in common: %v", got)
	}
	// Half of it noise: the shared half's share of the variance, squared less one power.
	mixed := draw(width)
	for i := range mixed {
		mixed[i] += a[i]
	}
	if got := metrics.CKA(a, mixed, n); got < 0.3 || got > 0.8 {
		t.Errorf("of one and the same with noise: %v", got)
	}
	if got := metrics.CKA(a, make([]float32, n), n); !math.IsNaN(got) {
		t.Errorf("of one that is the same for all: %v", got)
	}
}

// The definition, written out over all quadruples of different examples (Song et al. 2012).
func TestCKAAgainstItsDefinition(t *testing.T) {
	const n = 6
	random := rand.New(rand.NewPCG(2, 2))
	a, b := make([]float32, n*3), make([]float32, n*2)
	for i := range a {
		a[i] = float32(random.NormFloat64())
	}
	for i := range b {
		b[i] = a[i] + float32(random.NormFloat64())
	}
	kernel := func(x []float32, i, j int) (sum float64) {
		width := len(x) / n
		for c := range width {
			sum += float64(x[i*width+c]) * float64(x[j*width+c])
		}
		return sum
	}
	dependence := func(x, y []float32) float64 {
		var sum, count float64
		for i := range n {
			for j := range n {
				for q := range n {
					for r := range n {
						if i == j || i == q || i == r || j == q || j == r || q == r {
							continue
						}
						sum += kernel(x, i, j) * (kernel(y, i, j) + kernel(y, q, r) - 2*kernel(y, i, q))
						count++
					}
				}
			}
		}
		return sum / count
	}
	want := dependence(a, b) / math.Sqrt(dependence(a, a)*dependence(b, b))
	if got := metrics.CKA(a, b, n); math.Abs(got-want) > 1e-9 {
		t.Errorf("CKA %v, want %v", got, want)
	}
}

package kernel

import (
	"math"
	"testing"
)

func TestExponentials(t *testing.T) {
	const rows, n, scale = 3, 37, 14.3
	x, y := make([]float32, rows*n), make([]float32, n)
	for i := range x {
		x[i] = float32(i%17)/8 - 1
	}
	for i := range y {
		y[i] = float32(i) / 40
	}
	x[5] = -1e4
	got := make([]float32, len(x))
	Exponentials(got, x, y, rows, scale)
	for i, v := range got {
		want := math.Max(math.Exp(scale*(float64(x[i])-float64(y[i%n]))), math.Exp2(-125))
		if math.Abs(float64(v)-want) > 3e-6*want {
			t.Errorf("%d: %v, want %v", i, v, want)
		}
	}
}

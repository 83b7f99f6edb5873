package vector

import "testing"

func TestProducts(t *testing.T) {
	x, y := []float64{1, 2, 3, 4, 5, 6}, []float64{2, 0, -1, 3, 1, 0.5, 99}
	if got := Dot(x, y); got != 2-3+12+5+3 {
		t.Errorf("product %v", got)
	}
	Axpy(2, x, y)
	for i, want := range []float64{4, 4, 5, 11, 11, 12.5, 99} {
		if y[i] != want {
			t.Errorf("sum %v at %d, want %v", y[i], i, want)
		}
	}
}

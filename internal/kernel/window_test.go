package kernel_test

import (
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Windows end with their sequence, and padding is not looked at.
func TestWindows(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	sequences := []kernel.Sequence{{First: 0, Length: 2, Rows: 3}, {First: 3, Length: 1, Rows: 1}}
	dst := make([]float32, 4*3)
	kernel.Windows(pool, dst, []float32{1, 2, 9, 4}, sequences, 3, 1)
	if want := []float32{0, 1, 2, 1, 2, 0, 0, 0, 0, 0, 4, 0}; !slices.Equal(dst, want) {
		t.Errorf("%v, want %v", dst, want)
	}
	back := make([]float32, 4)
	kernel.WindowsBackward(pool, back, []float32{1, 1, 1, 1, 1, 1, 5, 5, 5, 1, 1, 1}, sequences, 3, 1)
	if want := []float32{2, 2, 0, 1}; !slices.Equal(back, want) {
		t.Errorf("gradient %v, want %v", back, want)
	}
}

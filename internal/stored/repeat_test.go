package stored_test

import (
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Four bytes do not become gigabytes by a stride of 0.
func TestRepeatedNumbers(t *testing.T) {
	x := stored.Tensor{Name: "x", Type: stored.F32, Shape: []int{1 << 20, 1 << 10}, Strides: []int{0, 0}, Content: stored.Raw{0, 0, 128, 63}}
	if _, err := x.Float32(); err == nil || !strings.Contains(err.Error(), "more than 67 MB of memory") {
		t.Error(err)
	}
	x.Shape = []int{1 << 10, 3}
	if got, err := x.Float32(); err != nil || len(got) != 3<<10 || got[5] != 1 {
		t.Errorf("%d numbers, %v", len(got), err)
	}
}

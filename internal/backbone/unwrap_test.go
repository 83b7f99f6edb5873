package backbone

import (
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// A name of a megabyte of wrappers is not taken apart a hundred thousand times.
func TestNamesOfWrappersAlone(t *testing.T) {
	b, err := Find("mobilenet_v2")
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("net.", 1<<18)
	budgettest.Within(t, len(name)/1000, func() {
		out, err := b.unwrapped([]stored.Tensor{{Name: name, Type: stored.F32, Shape: []int{0}}})
		if err != nil || len(out) != 1 || out[0].Name != name {
			t.Errorf("%d tensors, %v", len(out), err)
		}
	})
}

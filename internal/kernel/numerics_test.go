package kernel

import (
	"strconv"
	"strings"
	"testing"
)

func TestNumerics(t *testing.T) {
	t.Log(Numerics(), NumericsBFloat16(), NumericsInt8())
	for _, name := range []string{Numerics(), NumericsBFloat16(), NumericsInt8()} {
		if !strings.HasPrefix(name, active().String()) || !strings.HasSuffix(name, " "+strconv.Itoa(revision)) {
			t.Errorf("%q does not say %s and revision %d", name, active(), revision)
		}
	}
	if NumericsBFloat16() == Numerics() {
		t.Errorf("bfloat16 %q, float32 %q", NumericsBFloat16(), Numerics())
	}
	if HasInt8() == (NumericsInt8() == Numerics()) {
		t.Errorf("bytes %q, float32 %q", NumericsInt8(), Numerics())
	}
	seen := map[string]bool{}
	for _, set := range sets() {
		if name := named(set, ""); seen[name] {
			t.Errorf("two instruction sets are named %q", name)
		} else {
			seen[name] = true
		}
	}
}

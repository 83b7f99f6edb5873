package stored

import (
	"math"
	"testing"
)

func TestHalf(t *testing.T) {
	for bits := range 1 << 16 {
		got := float64(half(uint16(bits)))
		exponent, fraction := bits>>10&31, float64(bits&1023)
		want := math.Ldexp(1+fraction/1024, exponent-15)
		switch {
		case exponent == 0:
			want = math.Ldexp(fraction, -24)
		case exponent == 31 && fraction == 0:
			want = math.Inf(1)
		case exponent == 31:
			if !math.IsNaN(got) {
				t.Fatalf("%04x: %v, want NaN", bits, got)
			}
			continue
		}
		if bits>>15 == 1 {
			want = -want
		}
		if got != want || math.Signbit(got) != math.Signbit(want) {
			t.Fatalf("%04x: %v, want %v", bits, got, want)
		}
	}
}

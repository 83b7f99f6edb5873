package stored

import (
	"math"
	"testing"
)

// Every number of 16 bits is itself, and what lies between two is rounded to the nearer one, in the middle to the even one.
func TestFloat16(t *testing.T) {
	for bits := range 1 << 16 {
		x := half(uint16(bits))
		got := Float16(x)
		if x != x {
			if got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
				t.Fatalf("a NaN became %#04x", got)
			}
			continue
		}
		if got != uint16(bits) {
			t.Fatalf("%v became %#04x, was %#04x", x, got, bits)
		}
		next := half(uint16(bits + 1))
		if bits&0x7fff >= 0x7bff {
			continue
		}
		middle := (float64(x) + float64(next)) / 2
		even := uint16(bits)
		if bits&1 == 1 {
			even++
		}
		for _, c := range []struct {
			x    float32
			want uint16
		}{
			{float32(middle), even},
			{math.Nextafter32(float32(middle), x), uint16(bits)},
			{math.Nextafter32(float32(middle), next), uint16(bits + 1)},
		} {
			if got := Float16(c.x); got != c.want {
				t.Fatalf("%v became %#04x, want %#04x", c.x, got, c.want)
			}
		}
	}
	for x, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, -1e30: 0xfc00, float32(math.Inf(1)): 0x7c00} {
		if got := Float16(x); got != want {
			t.Errorf("%v became %#04x, want %#04x", x, got, want)
		}
	}
}

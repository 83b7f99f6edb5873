package stored

import (
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// Quantising what was quantised changes nothing, and nothing is further away than half a step.
func TestInt8(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.IntRange(1, 5).Draw(t, "rows")
		each := rapid.IntRange(1, 9).Draw(t, "each")
		data := make([]float32, rows*each)
		scale := rapid.SampledFrom([]float32{1e-30, 1e-3, 1, 1e20}).Draw(t, "scale")
		for i := range data {
			data[i] = scale * rapid.Float32Range(-3, 3).Draw(t, "x")
		}
		steps, sizes := Int8(data, rows)
		numbers := Numbers(steps, sizes)
		for i, v := range numbers {
			if d := math.Abs(float64(v) - float64(data[i])); d > float64(sizes[i/each])*0.5001 {
				t.Fatalf("%v became %v, in steps of %v", data[i], v, sizes[i/each])
			}
			if steps[i] == -128 {
				t.Fatal("−128 was used")
			}
		}
		again, same := Int8(numbers, rows)
		for r := range sizes { // rows of zeros, or such small numbers that all become zero, have no size of their own
			if zero := reflect.DeepEqual(steps[r*each:(r+1)*each], make([]int8, each)); !zero && same[r] != sizes[r] {
				t.Fatalf("steps of %v became %v", sizes[r], same[r])
			}
		}
		if !reflect.DeepEqual(Numbers(again, same), numbers) {
			t.Fatalf("%v became %v", numbers, Numbers(again, same))
		}
	})
}

func TestBFloat16(t *testing.T) {
	for x, want := range map[float32]uint16{1: 0x3f80, 1.00390625: 0x3f80, 1.01171875: 0x3f82, -2: 0xc000, 3.4e38: 0x7f80} {
		if got := BFloat16(x); got != want {
			t.Errorf("%v became %#04x, want %#04x", x, got, want)
		}
	}
	if got := BFloat16(float32(math.NaN())); got&0x7f80 != 0x7f80 || got&0x7f == 0 {
		t.Errorf("a NaN became %#04x", got)
	}
}

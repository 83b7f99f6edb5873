package sample

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Each test holds what is exported, which uses the assembly where there is
// any, against the portable code. Rows lie at the end of their memory with a
// guard behind, so that a byte too much is seen.

func row(t *rapid.T, n int, label string) []uint8 {
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, label), 1))
	kind := rng.IntN(3)
	out := make([]uint8, n)
	for i := range out {
		switch kind {
		case 0:
			out[i] = uint8(rng.Uint32())
		case 1:
			out[i] = 255
		case 2:
			out[i] = uint8(255 * rng.IntN(2))
		}
	}
	return out
}

const guard = 0xA5

func guarded(n int) (out, behind []uint8) {
	all := bytes.Repeat([]byte{guard}, n+64)
	return all[:n:n], all[n:]
}

func untouched(t *rapid.T, behind []uint8) {
	for i, v := range behind {
		if v != guard {
			t.Fatalf("byte %d behind the row was written", i)
		}
	}
}

func TestWeigh(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 100).Draw(t, "n")
		own, near := row(t, n, "own"), row(t, n, "near")
		got, want := make([]int16, n), make([]int16, n)
		Weigh(got, own, near)
		weigh(want, own, near)
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestDouble(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 100).Draw(t, "n")
		own, near := row(t, n+2, "own"), row(t, n+2, "near")
		sums := make([]int16, n+2)
		weigh(sums, own, near)
		even, odd, shift := int16(8), int16(7), uint(4)
		if rapid.Bool().Draw(t, "one row") {
			for i, v := range own {
				sums[i] = int16(v)
			}
			even, odd, shift = 1, 2, 2
		}
		got, behind := guarded(2 * n)
		want := make([]uint8, 2*n)
		Double(got, sums, even, odd, shift)
		double(want, sums, even, odd, shift)
		if !bytes.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		untouched(t, behind)
	})
}

func TestRGB(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 100).Draw(t, "n")
		luma, cb, cr := row(t, n, "luma"), row(t, n, "cb"), row(t, n, "cr")
		got, behind := guarded(3 * n)
		want := make([]uint8, 3*n)
		RGB(got, luma, cb, cr)
		rgb(want, luma, cb, cr)
		if !bytes.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		untouched(t, behind)
	})
}

func TestAcross(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pixels := rapid.IntRange(1, 60).Draw(t, "pixels")
		left := rapid.IntRange(0, 5).Draw(t, "left")
		in := row(t, 3*pixels, "row")
		in = slices.Clip(in)
		var spans []Span
		var weights []int32
		froms := rapid.SliceOfN(rapid.IntRange(0, pixels-1), 1, 40).Draw(t, "from")
		slices.Sort(froms)
		for _, from := range froms {
			count := rapid.IntRange(1, min(9, pixels-from)).Draw(t, "count")
			spans = append(spans, Span{From: int32(left + from), Count: int32(count), At: int32(len(weights))})
			for range count {
				weights = append(weights, rapid.Int32Range(-1<<21, 1<<22).Draw(t, "weight")/int32(count))
			}
		}
		got, behind := guarded(3 * len(spans))
		want := make([]uint8, 3*len(spans))
		Across(got, in, spans, weights, left)
		across(want, in, spans, weights, left)
		if !bytes.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		untouched(t, behind)
	})
}

func TestDown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, count := rapid.IntRange(1, 100).Draw(t, "n"), rapid.IntRange(1, 9).Draw(t, "count")
		rows := row(t, n*count, "rows")
		weights := make([]int32, count)
		for i := range weights {
			weights[i] = rapid.Int32Range(-1<<21, 1<<22).Draw(t, "weight") / int32(count)
		}
		got, behind := guarded(n)
		want := make([]uint8, n)
		Down(got, rows, weights)
		down(want, rows, weights, 0)
		if !bytes.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		untouched(t, behind)
	})
}

func TestInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var one, two [64]int32
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		reach := int32(1) << rapid.IntRange(1, 16).Draw(t, "reach")
		for range rapid.IntRange(0, 64).Draw(t, "coefficients") {
			one[rng.IntN(64)] = rng.Int32N(2*reach) - reach
		}
		two = one
		stride := rapid.IntRange(8, 20).Draw(t, "stride")
		got, behind := guarded(7*stride + 8)
		want := bytes.Clone(got)
		Inverse(got, stride, &one)
		inverse(want, stride, &two)
		if !bytes.Equal(got, want) {
			t.Fatalf("got\n%v, want\n%v", got, want)
		}
		untouched(t, behind)
	})
}

func TestFlatIsTheInverseOfOneCoefficient(t *testing.T) {
	for dc := int32(-1100); dc <= 1100; dc += 3 {
		block := [64]int32{dc}
		got, want := make([]uint8, 64), make([]uint8, 64)
		Flat(got, 8, dc)
		inverse(want, 8, &block)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d: got %v, want %v", dc, got, want)
		}
	}
}

// The transform is that of the definition (T.81, A.3.3), to a level.
func TestInverseIsTheDCT(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for range 200 {
		var block [64]int32
		for range 1 + rng.IntN(20) {
			block[rng.IntN(64)] = rng.Int32N(200) - 100
		}
		want := definition(block)
		got := make([]uint8, 64)
		Inverse(got, 8, &block)
		for i := range got {
			if d := float64(got[i]) - want[i]; d > 0.6 || d < -0.6 {
				t.Fatalf("sample %d is %d, want %.2f", i, got[i], want[i])
			}
		}
	}
}

package kernel

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// The assembly reads a step at these offsets.
func TestAdamOffsets(t *testing.T) {
	var x adamTask
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.weights), 0}, {unsafe.Offsetof(x.gradient), 24}, {unsafe.Offsetof(x.mean), 48}, {unsafe.Offsetof(x.square), 72},
		{unsafe.Offsetof(x.n), 96}, {unsafe.Offsetof(x.Shrink), 104}, {unsafe.Offsetof(x.Scale), 108},
		{unsafe.Offsetof(x.Decay), 112}, {unsafe.Offsetof(x.NewMean), 116}, {unsafe.Offsetof(x.KeepSquare), 120}, {unsafe.Offsetof(x.NewSquare), 124},
		{unsafe.Offsetof(x.Step), 128}, {unsafe.Offsetof(x.Epsilon), 132},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}

// Every instruction set takes the very step that plain Go takes, at any length.
func TestAdamStepIsPlain(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		n := rapid.IntRange(0, 70).Draw(t, "n")
		number := func(name string) float32 { return rapid.Float32Range(0, 1).Draw(t, name) }
		s := AdamStep{
			Shrink: number("shrink"), Scale: number("scale"), Decay: number("decay"), NewMean: number("new mean"),
			KeepSquare: number("keep square"), NewSquare: number("new square"), Step: number("step"), Epsilon: 1e-8 + number("epsilon"),
		}
		var got, want [4][]float32
		for i := range got {
			got[i] = fill(r, g.floats(n))
			if i == 3 {
				for j, v := range got[i] {
					got[i][j] = v * v
				}
			}
			want[i] = append([]float32(nil), got[i]...)
		}
		s.take(set, got[0], got[1], got[2], got[3])
		plain := adamTask{weights: want[0], gradient: want[1], mean: want[2], square: want[3], n: n, AdamStep: s}
		plain.plain(0)
		for i, what := range []string{"weights", "gradient", "mean", "square"} {
			same(t, what, want[i], got[i])
		}
	})
}

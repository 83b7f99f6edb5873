package kernel

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// The assembly reads a sweep at these offsets.
func TestSweepOffsets(t *testing.T) {
	var x sweep
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.dst), 0}, {unsafe.Offsetof(x.x), 24}, {unsafe.Offsetof(x.y), 48}, {unsafe.Offsetof(x.z), 72},
		{unsafe.Offsetof(x.u), 96}, {unsafe.Offsetof(x.v), 120}, {unsafe.Offsetof(x.step), 144},
		{unsafe.Offsetof(x.n), 192}, {unsafe.Offsetof(x.rows), 200}, {unsafe.Offsetof(x.low), 208}, {unsafe.Offsetof(x.high), 212},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}

// Every operation gives what its plain twin gives, on rows of every length and step.
func TestSweepAgainstPlain(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		o := operation(rapid.IntRange(0, len(operands)-1).Draw(t, "operation"))
		n, rows := rapid.IntRange(1, 70).Draw(t, "n"), rapid.IntRange(1, 4).Draw(t, "rows")
		var s, twin sweep
		for i := range operands[o] {
			step := n + rapid.IntRange(0, 5).Draw(t, "step")
			if i > 0 && o != opRoute && rapid.Bool().Draw(t, "same row") {
				step = 0
			}
			x := fill(r, g.floats((rows-1)*step+n))
			*[...]*[]float32{&s.dst, &s.x, &s.y, &s.z, &s.u, &s.v}[i] = x
			s.step[i] = step
		}
		s.n, s.rows, s.low, s.high = n, rows, -0.5, 1.5
		twin = s
		if o == opRoute {
			copy(s.y, s.x[:len(s.x)/2]) // some are equal
			twin.z = append([]float32(nil), s.z...)
		}
		twin.dst = append([]float32(nil), s.dst...)
		s.do(set, o)
		twin.plain(o)
		want := make([]float64, len(twin.dst))
		for i, v := range twin.dst {
			want[i] = float64(v)
		}
		near(t, name("operation ", o), s.dst, want, 2e-6, 1)
		same(t, "z", twin.z, s.z)
	})
}

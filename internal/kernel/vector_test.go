package kernel

import (
	"math"
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

// The curves of sigmoids keep their precision where they are close to zero, and their ends.
func TestSigmoidPrecision(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		infinity := float32(math.Inf(1))
		x, y := g.floats(1000), g.floats(1000)
		for i := range x {
			x[i] = -80 + 120*r.Float32()
		}
		for _, act := range []Activation{Sigmoid, SiLU} {
			activateInto(set, act, y, x)
			for i, v := range x {
				if want := activation64(act, float64(v)); float64(y[i]) != want && !(math.Abs(float64(y[i])/want-1) < 2e-6) { // SiLU of 0 is 0
					t.Fatalf("%v(%v) = %v, want %v", act, v, y[i], want)
				}
			}
			for _, v := range []float32{30, 1e10, math.MaxFloat32, infinity} {
				want := min(v, infinity)
				if act == Sigmoid {
					want = 1
				}
				for _, side := range []float32{1, -1} {
					activateInto(set, act, y[:1], []float32{side * v})
					ok := math.Abs(float64(y[0]/want-1)) < 1e-6 || y[0] == want
					if side < 0 {
						ok = math.Abs(float64(y[0])) < 1e-11
					}
					if !ok {
						t.Fatalf("%v(%v) = %v", act, side*v, y[0])
					}
				}
			}
		}
	})
}

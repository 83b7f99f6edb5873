package kernel

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// The assembly reads a token at these offsets.
func TestLSTMTokenOffsets(t *testing.T) {
	var x lstmToken
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.gates), 0}, {unsafe.Offsetof(x.moved), 24}, {unsafe.Offsetof(x.bias), 48}, {unsafe.Offsetof(x.before), 72},
		{unsafe.Offsetof(x.cell), 96}, {unsafe.Offsetof(x.state), 120}, {unsafe.Offsetof(x.flow), 144}, {unsafe.Offsetof(x.memory), 168},
		{unsafe.Offsetof(x.units), 192}, {unsafe.Offsetof(x.first), 200},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}

// A token in one sweep is what plain Go makes of it, operation by operation.
func TestLSTMTokensAgainstPlain(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		random := random(t)
		u := rapid.IntRange(1, 70).Draw(t, "units")
		r := Recurrent{Cell: LSTM, Units: u, Inputs: 1}
		products, moved, bias := fill(random, g.floats(2*4*u)), fill(random, g.floats(4*u)), fill(random, g.floats(4*u))
		before := rapid.SampledFrom([]int{-1, 0}).Draw(t, "before")
		cells, dh, dc := fill(random, g.floats(2*u)), fill(random, g.floats(u)), fill(random, g.floats(u))
		type result struct{ gates, cells, states, flow, memory []float32 }
		own := func(x []float32) []float32 {
			y := g.floats(len(x))
			copy(y, x)
			return y
		}
		compute := func(set isa) result {
			trace := RecurrentTrace{gates: own(products), cells: own(cells), states: g.floats(2 * u)}
			r.step(set, &trace, 1, before, own(moved), RecurrentWeights{Bias: bias})
			flow, memory := g.floats(4*u), own(dc)
			r.stepBack(set, &trace, 1, before, own(dh), memory, flow, flow)
			return result{trace.gates[4*u:], trace.cells[u:], trace.states[u:], flow, memory}
		}
		got, want := compute(set), compute(portable)
		for _, c := range []struct {
			what      string
			got, want []float32
		}{{"gates", got.gates, want.gates}, {"cell", got.cells, want.cells}, {"state", got.states, want.states}, {"flow", got.flow, want.flow}, {"memory", got.memory, want.memory}} {
			wide := make([]float64, len(c.want))
			for i, v := range c.want {
				wide[i] = float64(v)
			}
			near(t, c.what, c.got, wide, 3e-6, 1)
		}
	})
}

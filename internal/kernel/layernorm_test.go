package kernel

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// The assembly reads a row at these offsets.
func TestNormRowOffsets(t *testing.T) {
	var x normRow
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.dst), 0}, {unsafe.Offsetof(x.x), 24}, {unsafe.Offsetof(x.y), 48}, {unsafe.Offsetof(x.z), 72}, {unsafe.Offsetof(x.n), 96},
		{unsafe.Offsetof(x.count), 104}, {unsafe.Offsetof(x.epsilon), 108}, {unsafe.Offsetof(x.mean), 112}, {unsafe.Offsetof(x.scale), 116},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}

// Rows as wide as those of transformers, with a mean far from zero, are what plain Go makes of them; a gradient may be written over that of
// the output.
func TestLayerNormAgainstPlain(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		rows, columns := rapid.IntRange(1, 3).Draw(t, "rows"), rapid.IntRange(1, 1100).Draw(t, "columns")
		x, d, gamma, beta := fill(r, g.floats(rows*columns)), fill(r, g.floats(rows*columns)), fill(r, g.floats(columns)), fill(r, g.floats(columns))
		offset := rapid.Float32Range(-20, 20).Draw(t, "offset")
		for i := range x {
			x[i] += offset
		}
		type result struct{ y, mean, scale, dx, dgamma, dbeta []float32 }
		compute := func(set isa, over bool) result {
			o := result{g.floats(rows * columns), g.floats(rows), g.floats(rows), g.floats(rows * columns), g.floats(columns), g.floats(columns)}
			layerNorm(set, nil, o.y, o.mean, o.scale, x, gamma, beta, 1e-5, rows, columns)
			from := d
			if over {
				copy(o.dx, d)
				from = o.dx
			}
			layerNormBackward(set, nil, o.dx, o.dgamma, o.dbeta, from, x, gamma, o.mean, o.scale, rows, columns)
			return o
		}
		got, want := compute(set, rapid.Bool().Draw(t, "over")), compute(portable, false)
		tolerance := 2e-5 * (1 + float64(want.scale[0]))
		if columns < 3 {
			tolerance = 0.05 // nearly a division by zero
		}
		for _, c := range []struct {
			what      string
			got, want []float32
		}{{"y", got.y, want.y}, {"mean", got.mean, want.mean}, {"scale", got.scale, want.scale}, {"dx", got.dx, want.dx}, {"dgamma", got.dgamma, want.dgamma}, {"dbeta", got.dbeta, want.dbeta}} {
			wide := make([]float64, len(c.want))
			for i, v := range c.want {
				wide[i] = float64(v)
			}
			near(t, c.what, c.got, wide, tolerance, 4)
		}
	})
}

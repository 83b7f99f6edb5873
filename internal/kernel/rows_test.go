package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/tlpipe/tlpipe/internal/vector"
	"pgregory.net/rapid"
)

// The assembly reads a task at these offsets.
func TestRowsOffsets(t *testing.T) {
	var x rowsTask
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.dst), 0}, {unsafe.Offsetof(x.by), 24}, {unsafe.Offsetof(x.matrix), 48},
		{unsafe.Offsetof(x.n), 72}, {unsafe.Offsetof(x.rows), 80}, {unsafe.Offsetof(x.lead), 88},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}

// Every instruction set adds up what the definition says, in the order of the rows, and touches nothing else.
func TestRowsAreAdded(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		doubles := func(n int) []float64 { return doubles(g, r, n) }
		n, rows := rapid.IntRange(0, 70).Draw(t, "n"), rapid.IntRange(0, 9).Draw(t, "rows")
		lead := n + rapid.IntRange(0, 3).Draw(t, "apart")
		matrix := doubles(max(0, (rows-1)*lead+n))
		by := doubles(rows)
		for _, o := range []rowsOperation{addWeighted, addSquared} {
			got := doubles(n)
			want := append([]float64(nil), got...)
			for i, a := range by {
				for j := range want {
					x := matrix[i*lead+j]
					if o == addWeighted {
						want[j] += float64(a * x)
					} else {
						want[j] += float64((a - x) * (a - x))
					}
				}
			}
			rowsTask{dst: got, by: by, matrix: matrix, lead: lead}.run(set, o)
			for j := range want {
				if math.Float64bits(got[j]) != math.Float64bits(want[j]) {
					t.Fatalf("operation %d: element %d of %d is %v, want %v", o, j, n, got[j], want[j])
				}
			}
		}
	})
}

// The assembly reads a task at these offsets.
func TestRowProductsOffsets(t *testing.T) {
	var x rowProductsTask
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.sums), 0}, {unsafe.Offsetof(x.rows), 256}, {unsafe.Offsetof(x.v), 280}, {unsafe.Offsetof(x.n), 304}, {unsafe.Offsetof(x.lead), 312},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}

// Products of rows have the bits of one product by itself, with every instruction set.
func TestRowProducts(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		doubles := func(n int) []float64 { return doubles(g, r, n) }
		rows, n := rapid.IntRange(0, 20).Draw(t, "rows"), rapid.IntRange(0, 40).Draw(t, "n")
		lead := n + rapid.IntRange(0, 3).Draw(t, "apart")
		matrix, v, got := doubles(max(0, (rows-1)*lead+n)), doubles(n), doubles(rows)
		rowProducts(set, got, matrix, lead, v)
		for i := range rows {
			if want := vector.Dot(matrix[i*lead:i*lead+n], v); math.Float64bits(got[i]) != math.Float64bits(want) {
				t.Fatalf("row %d of %d × %d: %v, want %v", i, rows, n, got[i], want)
			}
		}
	})
}

// doubles are n random numbers, guarded.
func doubles(g *guard, r *rand.Rand, n int) []float64 {
	b := g.bytes(8 * n)
	if n == 0 {
		return nil
	}
	out := unsafe.Slice((*float64)(unsafe.Pointer(&b[0])), n)
	for i := range out {
		out[i] = r.NormFloat64()
	}
	return out
}

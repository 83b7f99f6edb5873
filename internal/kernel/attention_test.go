package kernel

import (
	"math"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// attention64 is the definition of an attention, and of its gradients given that of the output, in float64. Tokens lie dense.
func attention64(a Attention, sequences []Sequence, q, k, v, dy []float32) (y, dq, dk, dv []float64) {
	pitch := a.Heads * a.Width
	y, dq, dk, dv = make([]float64, len(q)), make([]float64, len(q)), make([]float64, len(q)), make([]float64, len(q))
	scale := 1 / math.Sqrt(float64(a.Width))
	for _, s := range sequences {
		for h := range a.Heads {
			at := func(token int) int { return (s.First+token)*pitch + h*a.Width }
			for i := range s.Length {
				keys := s.Length
				if a.Causal {
					keys = i + 1
				}
				shares, slopes := make([]float64, keys), make([]float64, keys)
				total, dot := 0.0, 0.0
				for j := range keys {
					for c := range a.Width {
						shares[j] += float64(q[at(i)+c]) * float64(k[at(j)+c]) * scale
					}
					shares[j] = math.Exp(shares[j])
					total += shares[j]
				}
				for j := range keys {
					shares[j] /= total
					for c := range a.Width {
						y[at(i)+c] += shares[j] * float64(v[at(j)+c])
						dv[at(j)+c] += shares[j] * float64(dy[at(i)+c])
						slopes[j] += float64(dy[at(i)+c]) * float64(v[at(j)+c])
					}
					dot += shares[j] * slopes[j]
				}
				for j := range keys {
					d := shares[j] * (slopes[j] - dot) * scale
					for c := range a.Width {
						dq[at(i)+c] += d * float64(k[at(j)+c])
						dk[at(j)+c] += d * float64(q[at(i)+c])
					}
				}
			}
		}
	}
	return y, dq, dk, dv
}

// drawSequences draws sequences one after the other, some with padding, and a few longer than tiles.
func drawSequences(t *rapid.T) (sequences []Sequence, rows int) {
	for range rapid.IntRange(1, 4).Draw(t, "sequences") {
		s := Sequence{First: rows, Length: rapid.IntRange(1, 20).Draw(t, "length")}
		if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
			s.Length += rapid.IntRange(attentionQueries-20, attentionKeys+40).Draw(t, "longer")
			if rapid.IntRange(0, 3).Draw(t, "not at once") == 0 {
				s.Length += attentionAtOnce
			}
		}
		s.Rows = s.Length + rapid.IntRange(0, 3).Draw(t, "padding")
		sequences = append(sequences, s)
		rows += s.Rows
	}
	return sequences, rows
}

func TestAttentionAgainstDefinition(t *testing.T) {
	all := pools(t)
	for _, set := range sets() {
		t.Run(set.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				r, pool := random(t), all[rapid.IntRange(0, 2).Draw(t, "pool")]
				a := Attention{Heads: rapid.IntRange(1, 3).Draw(t, "heads"), Width: rapid.IntRange(1, 17).Draw(t, "width"), Causal: rapid.Bool().Draw(t, "causal")}
				sequences, rows := drawSequences(t)
				wide := a.Heads * a.Width
				tokens := func() Tokens { return Tokens{fill(r, make([]float32, rows*wide)), wide} }
				q, k, v, dy := tokens(), tokens(), tokens(), tokens()
				y, dq, dk, dv := tokens(), tokens(), tokens(), tokens()
				logs := make([]float32, a.Heads*rows)
				wantY, wantQ, wantK, wantV := attention64(a, sequences, q.Data, k.Data, v.Data, dy.Data)
				workspace := new(Workspace)
				a.run(set, pool, sequences, y, q, k, v, logs, workspace)
				near(t, "output", y.Data, wantY, 1e-5, 1)
				a.backward(set, pool, sequences, dq, dk, dv, dy, y, q, k, v, logs, workspace)
				near(t, "gradient of the queries", dq.Data, wantQ, 3e-5, 1)
				near(t, "gradient of the keys", dk.Data, wantK, 3e-5, 1)
				near(t, "gradient of the values", dv.Data, wantV, 3e-5, 1)

				// One alone, side by side with others in wider rows, gives the same bits.
				s := sequences[len(sequences)-1]
				alone := Tokens{make([]float32, s.Length*wide), wide}
				packed := Tokens{make([]float32, s.Length*3*wide), 3 * wide}
				for i := range s.Length {
					for part, x := range []Tokens{q, k, v} {
						copy(packed.Data[(3*i+part)*wide:], x.Data[(s.First+i)*wide:][:wide])
					}
				}
				part := func(i int) Tokens { return Tokens{packed.Data[i*wide:], 3 * wide} }
				a.run(set, nil, []Sequence{{0, s.Length, s.Length}}, alone, part(0), part(1), part(2), nil, nil)
				same(t, "alone", alone.Data, y.Data[s.First*wide:])
			})
		})
	}
}

// The assembly reads a row at these offsets.
func TestSoftmaxRowOffsets(t *testing.T) {
	var x softmaxRow
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.x), 0}, {unsafe.Offsetof(x.n), 24}, {unsafe.Offsetof(x.factor), 32}, {unsafe.Offsetof(x.top), 36}, {unsafe.Offsetof(x.total), 40},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}

func TestSoftmaxRowAgainstPlain(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		n := rapid.IntRange(1, 100).Draw(t, "n")
		scale := rapid.Float32Range(0.1, 50).Draw(t, "scale")
		x := fill(r, g.floats(n))
		scaleInto(portable, x, x, scale)
		got, want := softmaxRow{x: x, n: n, factor: 0.3}, softmaxRow{x: append([]float32(nil), x...), n: n, factor: 0.3}
		got.compute(set)
		want.compute(portable)
		wide := []float64{float64(want.top), float64(want.total)}
		for _, v := range want.x {
			wide = append(wide, float64(v))
		}
		near(t, "softmax", append([]float32{got.top, got.total}, got.x...), wide, 3e-6, 1)
		x[rapid.IntRange(0, n-1).Draw(t, "place")] = float32(math.NaN())
		got.compute(set)
		for i, v := range x {
			if v == v {
				t.Fatalf("beside what is not a number, element %d is %v", i, v)
			}
		}
	})
}

func TestAttentionAllocatesNothing(t *testing.T) {
	a := Attention{Heads: 2, Width: 8}
	pool := NewPool(2)
	defer pool.Close()
	x, y := Tokens{make([]float32, 50*16), 16}, Tokens{make([]float32, 50*16), 16}
	sequences := []Sequence{{0, 20, 20}, {20, 30, 30}}
	var workspace Workspace
	nothingAllocated(t, "attention", func() { a.Run(pool, sequences, y, x, x, x, nil, &workspace) })
	if workspace.Bytes() == 0 {
		t.Error("the workspace says that it holds nothing")
	}
}

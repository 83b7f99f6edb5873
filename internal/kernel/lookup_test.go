package kernel

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestL2NormaliseAgainstDefinition(t *testing.T) {
	all := pools(t)
	rapid.Check(t, func(t *rapid.T) {
		r, pool := random(t), all[rapid.IntRange(0, 2).Draw(t, "pool")]
		rows, columns := rapid.IntRange(0, 40).Draw(t, "rows"), rapid.IntRange(1, 33).Draw(t, "columns")
		const epsilon = 1e-3
		x, dy := fill(r, make([]float32, rows*columns)), fill(r, make([]float32, rows*columns))
		if rows > 1 {
			clear(x[:columns]) // shorter than epsilon
		}
		want, gradient := make([]float64, len(x)), make([]float64, len(x))
		length := func(row []float32) float64 {
			var square float64
			for _, v := range row {
				square += float64(v) * float64(v)
			}
			return math.Sqrt(square)
		}
		for i := 0; i < len(x); i += columns {
			n := length(x[i : i+columns])
			var dot float64
			for j := i; j < i+columns; j++ {
				want[j] = float64(x[j]) / max(n, epsilon)
				dot += want[j] * float64(dy[j])
			}
			for j := i; j < i+columns; j++ {
				gradient[j] = float64(dy[j]) / max(n, epsilon)
				if n > epsilon {
					gradient[j] -= want[j] * dot / n
				}
			}
		}
		y := make([]float32, len(x))
		L2Normalise(pool, y, x, epsilon, rows, columns)
		near(t, "L2 normalisation", y, want, 1e-6, 1)
		L2NormaliseBackward(pool, dy, dy, x, epsilon, rows, columns)
		near(t, "gradient", dy, gradient, 1e-5, 1)
	})
}

func TestGatherAndScatter(t *testing.T) {
	all := pools(t)
	rapid.Check(t, func(t *rapid.T) {
		r := random(t)
		count, columns := rapid.IntRange(1, 9).Draw(t, "count"), rapid.IntRange(1, 150).Draw(t, "columns")
		ids := make([]int32, rapid.IntRange(0, 300).Draw(t, "ids"))
		table := fill(r, make([]float32, count*columns))
		dy := fill(r, make([]float32, len(ids)*columns))
		want, sums := make([]float32, len(dy)), make([]float32, len(table))
		for i := range ids {
			ids[i] = int32(r.IntN(count))
			for c := range columns {
				want[i*columns+c] = table[int(ids[i])*columns+c]
				sums[int(ids[i])*columns+c] += dy[i*columns+c]
			}
		}
		for _, pool := range all {
			got, back := make([]float32, len(dy)), fill(r, make([]float32, len(table)))
			Gather(pool, got, table, ids, count, columns)
			ScatterAdd(pool, back, dy, ids, count, columns)
			same(t, "gathered", got, want)
			same(t, "scattered", back, sums)
		}
	})
}

func TestIDsOutOfTheTablePanic(t *testing.T) {
	for _, id := range []int32{-1, 2} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("id %d was looked up in a table of two", id)
				}
			}()
			Gather(nil, make([]float32, 1), make([]float32, 2), []int32{id}, 2, 1)
		}()
	}
}

func TestPermuteMovesAxes(t *testing.T) {
	all := pools(t)
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.SliceOfN(rapid.IntRange(1, 7), 1, 5).Draw(t, "shape")
		axes := rapid.Permutation(indices(len(shape))).Draw(t, "axes")
		size := 1
		for _, n := range shape {
			size *= n
		}
		src, dst := fill(random(t), make([]float32, size)), make([]float32, size)
		Permute(all[rapid.IntRange(0, 2).Draw(t, "pool")], dst, src, shape, axes)
		for i, got := range dst {
			at, rest := make([]int, len(shape)), i // in src
			for a := len(axes) - 1; a >= 0; a-- {
				at[axes[a]] = rest % shape[axes[a]]
				rest /= shape[axes[a]]
			}
			from := 0
			for a, n := range shape {
				from = from*n + at[a]
			}
			if got != src[from] {
				t.Fatalf("element %d is %v, want element %d, %v", i, got, from, src[from])
			}
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestProductsAreThoseOfGemm(t *testing.T) {
	all := pools(t)
	for _, set := range sets() {
		t.Run(set.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				r := random(t)
				num := func(name string, most int) int { return rapid.IntRange(1, most).Draw(t, name) }
				count, m, n, k := rapid.IntRange(0, 5).Draw(t, "count"), num("m", 20), num("n", 40), num("k", 30)
				transA, transB := rapid.Bool().Draw(t, "transA"), rapid.Bool().Draw(t, "transB")
				a, b := fill(r, make([]float32, count*m*k)), fill(r, make([]float32, count*k*n))
				want := make([]float32, count*m*n)
				lda, ldb := k, n
				if transA {
					lda = m
				}
				if transB {
					ldb = k
				}
				for i := range count {
					gemm(set, elementFloat32, nil, transA, transB, m, n, k, 1, a[i*m*k:], lda, b[i*k*n:], ldb, 0, want[i*m*n:], n, nil)
				}
				for _, pool := range all {
					got := make([]float32, len(want))
					products(set, elementFloat32, pool, count, transA, transB, m, n, k, a, b, got, nil)
					if !slices.Equal(got, want) {
						t.Fatalf("%d threads: %v, want %v", pool.Threads(), got, want)
					}
				}
			})
		})
	}
}

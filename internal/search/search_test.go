package search

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

func random(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}

// What is found are the rows of the largest cosines, computed here one by one, with one thread or several.
func TestNearest(t *testing.T) {
	const width, rows, k = 24, 2500, 7
	values, queries := random(width*rows, 1), random(width*5, 2)
	copy(values[1700*width:], values[40*width:41*width]) // equally near
	copy(queries, values[40*width:41*width])
	x, err := New(append([]float32{}, values...), width)
	if err != nil {
		t.Fatal(err)
	}
	found, err := x.Nearest(nil, queries, k)
	if err != nil {
		t.Fatal(err)
	}
	cosine := func(q, r int) float64 {
		var ab, aa, bb float64
		for i := range width {
			a, b := float64(queries[q*width+i]), float64(values[r*width+i])
			ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
		}
		return ab * ab / (aa * bb) * sign(ab)
	}
	for q, matches := range found {
		if len(matches) != k {
			t.Fatalf("%d matches", len(matches))
		}
		listed := map[int]bool{}
		for _, m := range matches {
			listed[m.Row] = true
		}
		for r := range rows {
			if !listed[r] && cosine(q, r) > cosine(q, matches[k-1].Row)+1e-6 {
				t.Errorf("query %d: row %d is nearer than the last", q, r)
			}
		}
		for i := 1; i < k; i++ {
			if nearer(matches[i-1], matches[i]) >= 0 {
				t.Errorf("query %d: matches %v are not in order", q, matches)
			}
		}
	}
	if found[0][0].Row != 40 || found[0][1].Row != 1700 {
		t.Errorf("the row itself and its equal come as %v", found[0][:2])
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	if again, err := x.Nearest(pool, queries, k); err != nil || !reflect.DeepEqual(again, found) {
		t.Errorf("two threads find others: %v", err)
	}
	if _, err := x.Nearest(nil, queries[:5], k); err == nil {
		t.Error("a query of another width was taken")
	}
}

func sign(x float64) float64 {
	if x < 0 {
		return -1
	}
	return 1
}

// A row is nearest to itself, though float32 cannot tell another from it.
func TestNearTies(t *testing.T) {
	const width = 64
	values := random(width*6, 3)
	for k := range width {
		values[2*width+k] = values[4*width+k] * (1 + 1e-4*float32(k%3))
	}
	x, err := New(values, width)
	if err != nil {
		t.Fatal(err)
	}
	found, err := x.Nearest(nil, values[4*width:5*width], 2)
	if err != nil || found[0][0].Row != 4 || found[0][0].Similarity != 1 || found[0][1].Row != 2 || found[0][1].Similarity >= 1 {
		t.Errorf("%v, %v", found, err)
	}
}

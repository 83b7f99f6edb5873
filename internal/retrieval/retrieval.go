package retrieval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sourcegraph/conc/iter"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/search"
)

// Rows are queries, or a gallery.
type Rows struct {
	Values []float32 // [rows][width]
	Keys   []int     // of each row, from 0: rows with equal keys are relevant to each other
	Apart  []int     // of each row, from 0: rows of the gallery are left out for queries with the same number; negative: never
}

// Len is how many rows there are.
func (r Rows) Len() int { return len(r.Keys) }

// Answer is how a query was answered.
type Answer struct {
	Relevant int // rows of the gallery
	Others   int // rows of the gallery that are not relevant
	First    int // rank of the first relevant row, from 1
	// AveragePrecision is the mean over the relevant rows of the share of relevant rows up to it.
	AveragePrecision float64
	// Gain is the normalised discounted cumulative gain of the whole ranking (Järvelin and Kekäläinen 2002), with gain 1 for
	// relevant rows and 0 for others, and the logarithm to base 2.
	Gain  float64
	Found []search.Match // the most similar rows, in order: of equally similar ones the earlier first
}

// Asked tells whether there was something to be found.
func (a Answer) Asked() bool { return a.Relevant > 0 }

// Chance is the probability that one of the first k rows is relevant if they are in random order.
func (a Answer) Chance(k int) float64 {
	miss := 1.0
	for i := range min(k, a.Relevant+a.Others) {
		miss *= math.Max(float64(a.Others-i), 0) / float64(a.Relevant+a.Others-i)
	}
	return 1 - miss
}

// queriesAtOnce is how many queries are compared with the gallery at once.
const queriesAtOnce = 64

// Search answers all queries, and lists the shown most similar rows of each. The answers do not depend on the number of threads.
func Search(ctx context.Context, queries, gallery Rows, width, shown, threads int) ([]Answer, error) {
	for _, r := range []Rows{queries, gallery} {
		if width < 1 || len(r.Values) != width*r.Len() || len(r.Apart) != r.Len() {
			return nil, fmt.Errorf("%d values of %d rows, %d of them with keys, are no rows of %d features", len(r.Values), len(r.Apart), r.Len(), width)
		}
	}
	if gallery.Len() == 0 {
		return nil, errors.New("the gallery is empty")
	}
	index, err := search.New(gallery.Values, width)
	if err != nil {
		return nil, err
	}
	pool := kernel.NewPool(max(threads, 1))
	defer pool.Close()
	answers := make([]Answer, queries.Len())
	similarities := make([]float32, min(queriesAtOnce, queries.Len())*gallery.Len())
	each := iter.Iterator[Answer]{MaxGoroutines: max(threads, 1)}
	for from := 0; from < queries.Len(); from += queriesAtOnce {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(queriesAtOnce, queries.Len()-from)
		if err := index.Similarities(pool, queries.Values[from*width:(from+n)*width], similarities); err != nil {
			return nil, err
		}
		each.ForEachIdx(answers[from:from+n], func(i int, a *Answer) {
			*a = answer(queries.Keys[from+i], queries.Apart[from+i], gallery, similarities[i*gallery.Len():(i+1)*gallery.Len()], shown)
		})
	}
	return answers, nil
}

// answer ranks the gallery for one query.
func answer(key, apart int, gallery Rows, similarities []float32, shown int) (a Answer) {
	var relevant []float32
	in := func(i int) bool { return apart < 0 || gallery.Apart[i] != apart }
	for i, s := range similarities {
		if !in(i) {
			continue
		}
		a.Found = search.Merge(a.Found, search.Match{Row: i, Similarity: float64(s)}, shown)
		if gallery.Keys[i] == key {
			relevant = append(relevant, s)
		} else {
			a.Others++
		}
	}
	if a.Relevant = len(relevant); a.Relevant == 0 {
		return a
	}
	slices.SortFunc(relevant, func(x, y float32) int { return compare(y, x) })
	// ahead[r] counts other rows that come before relevant row r and not before r−1.
	ahead := make([]int, len(relevant)+1)
	for i, s := range similarities {
		if in(i) && gallery.Keys[i] != key {
			at, _ := slices.BinarySearchFunc(relevant, s, func(r, s float32) int {
				if compare(r, s) > 0 {
					return -1
				}
				return 1
			})
			ahead[at]++
		}
	}
	before, gain, best := 0, 0.0, 0.0
	for r := range relevant {
		before += ahead[r]
		rank := before + r + 1
		if r == 0 {
			a.First = rank
		}
		a.AveragePrecision += float64(r+1) / float64(rank) / float64(a.Relevant)
		gain += 1 / math.Log2(float64(rank)+1)
		best += 1 / math.Log2(float64(r)+2)
	}
	a.Gain = gain / best
	return a
}

// compare orders similarities; what is not a number is below all others.
func compare(x, y float32) int {
	switch {
	case x != x && y != y:
		return 0
	case x != x || x < y:
		return -1
	case y != y || x > y:
		return 1
	}
	return 0
}

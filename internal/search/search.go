// Package search finds the rows of a table of features that are nearest to others.
//
// The similarity of two rows is the cosine of their features, −1…1. The search is exact: every row is compared.
package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Index is rows that can be searched.
type Index struct {
	width, rows int
	values      []float32             // [rows][width], as they were given
	blocks      []*kernel.PackedDense // of together rows each, the last of fewer: what takes queries to similarities
}

// Match is a row that was found.
type Match struct {
	Row        int
	Similarity float64 // cosine, −1…1
}

// New makes an index of rows, [rows][width], which it keeps. Rows of zeros are like no other.
func New(rows []float32, width int) (*Index, error) {
	if width < 1 || len(rows)%width != 0 {
		return nil, fmt.Errorf("%d values are no rows of %d features", len(rows), width)
	}
	x := &Index{width: width, rows: len(rows) / width, values: rows}
	var unit []float32
	for from := 0; from < x.rows; from += together {
		n := min(together, x.rows-from)
		unit = append(unit[:0], rows[from*width:(from+n)*width]...)
		for i := range n {
			normalise(unit[i*width : (i+1)*width])
		}
		block, err := kernel.PackDense(width, n, unit, nil)
		if err != nil {
			return nil, fmt.Errorf("index rows: %w", err)
		}
		x.blocks = append(x.blocks, block)
	}
	return x, nil
}

// Len is how many rows there are.
func (x *Index) Len() int { return x.rows }

// Width is how many features a row has.
func (x *Index) Width() int { return x.width }

// normalise gives a row length 1.
func normalise(row []float32) {
	var sum float64
	for _, v := range row {
		sum += float64(v) * float64(v)
	}
	if sum == 0 {
		return
	}
	by := 1 / math.Sqrt(sum)
	for i, v := range row {
		row[i] = float32(float64(v) * by)
	}
}

// together is how many rows are compared at once: their similarities to all queries stay in the cache.
const together = 1024

// Nearest finds the k nearest rows, or all, of each query, [queries][width], the nearest first; of rows that are equally near, the
// earlier first. pool may be nil, for one thread; what is found does not depend on it.
func (x *Index) Nearest(pool *kernel.Pool, queries []float32, k int) ([][]Match, error) {
	best := make([][]Match, len(queries)/x.width)
	err := x.each(pool, queries, func(from, rows int, similarities []float32) {
		pool.Each(len(best), func(_, i int) {
			best[i] = merge(best[i], similarities[i*rows:(i+1)*rows], from, k)
		})
	})
	pool.Each(len(best), func(_, i int) { // what float32 cannot tell apart is put in order
		for j := range best[i] {
			best[i][j].Similarity = cosine(queries[i*x.width:(i+1)*x.width], x.values[best[i][j].Row*x.width:][:x.width])
		}
		slices.SortFunc(best[i], nearer)
	})
	return best, err
}

// cosine is that of two rows, in float64; 0 if one of them is of zeros.
func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for k, v := range a {
		x, y := float64(v), float64(b[k])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return min(max(ab/(math.Sqrt(aa)*math.Sqrt(bb)), -1), 1)
}

// Similarities writes the cosine of each query, [queries][width], with each row: [queries][rows]. pool may be nil.
func (x *Index) Similarities(pool *kernel.Pool, queries, to []float32) error {
	n := len(queries) / x.width
	if len(to) < n*x.rows {
		return fmt.Errorf("the similarities of %d queries with %d rows do not fit in %d", n, x.rows, len(to))
	}
	return x.each(pool, queries, func(from, rows int, similarities []float32) {
		for i := range n {
			copy(to[i*x.rows+from:], similarities[i*rows:(i+1)*rows])
		}
	})
}

// each computes the similarities of queries block by block: [queries][rows] of the rows from a first one on.
func (x *Index) each(pool *kernel.Pool, queries []float32, take func(from, rows int, similarities []float32)) error {
	if len(queries)%x.width != 0 {
		return fmt.Errorf("%d values are no queries of %d features", len(queries), x.width)
	}
	n := len(queries) / x.width
	unit := slices.Clone(queries)
	for i := range n {
		normalise(unit[i*x.width : (i+1)*x.width])
	}
	similarities := make([]float32, n*min(together, x.rows))
	var workspace kernel.Workspace
	for b, block := range x.blocks {
		from := b * together
		rows := min(together, x.rows-from)
		block.Run(pool, similarities, unit, n, kernel.None, &workspace)
		take(from, rows, similarities[:n*rows])
	}
	return nil
}

// nearer orders matches.
func nearer(a, b Match) int {
	return cmp.Or(cmp.Compare(b.Similarity, a.Similarity), cmp.Compare(a.Row, b.Row))
}

// merge keeps the k nearest of those so far, sorted by how near they are, and further rows from a first one on.
func merge(best []Match, similarities []float32, first, k int) []Match {
	for i, s := range similarities {
		if k > 0 && len(best) == k && float64(s) < best[k-1].Similarity {
			continue
		}
		best = Merge(best, Match{first + i, float64(s)}, k)
	}
	return best
}

// Merge keeps the k nearest of matches, which are sorted by how near they are, and another.
func Merge(best []Match, m Match, k int) []Match {
	if len(best) == k && (k == 0 || nearer(m, best[k-1]) > 0) {
		return best
	}
	at, _ := slices.BinarySearchFunc(best, m, nearer)
	if len(best) == k {
		best = best[:k-1]
	}
	return slices.Insert(best, at, m)
}

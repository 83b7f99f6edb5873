package fewshot

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/sourcegraph/conc/pool"
)

// Features are the rows that episodes are drawn of.
type Features struct {
	Width  int
	Values []float32 // [rows][Width]
	Base   []float64 // mean of base features; nil: of the support and the queries of each episode
}

// Result is what a method reached in an episode.
type Result struct {
	Accuracy float64 // over the queries of the episode's classes
	AUROC    float64 // of telling these from the others by how sure the method is; NaN without others
}

// Measure runs a method on episodes 0 to n−1 and returns each one's result. progress may be nil.
func (m Method) Measure(ctx context.Context, f Features, s *Sampler, n, threads int, progress func(done int)) ([]Result, error) {
	if f.Width < 1 || len(f.Values)%f.Width != 0 {
		return nil, fmt.Errorf("%d values are no rows of %d features", len(f.Values), f.Width)
	}
	if m.space == centred && f.Base == nil {
		return nil, fmt.Errorf("%s subtracts the mean of base features, and there are none", m.Name)
	}
	z := newSpace(m.rows(f), n, threads)
	out := make([]Result, n)
	var mu sync.Mutex
	done := 0
	p := pool.New().WithMaxGoroutines(max(threads, 1)).WithContext(ctx).WithCancelOnError()
	for i := range n {
		p.Go(func(ctx context.Context) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := m.episode(ctx, z, s.Draw(i), s.Way)
			if err != nil {
				return fmt.Errorf("episode %d: %w", i, err)
			}
			out[i] = r
			if progress != nil {
				mu.Lock()
				defer mu.Unlock()
				done++
				progress(done)
			}
			return nil
		})
	}
	return out, p.Wait()
}

// rows are the features in the space that the method works in.
func (m Method) rows(f Features) [][]float32 {
	out := make([][]float32, len(f.Values)/f.Width)
	for i := range out {
		x := make([]float32, f.Width)
		norm := 0.0
		for j, v := range f.Values[i*f.Width : (i+1)*f.Width] {
			d := float64(v)
			if m.space == centred {
				d -= f.Base[j]
			}
			x[j] = float32(d)
			norm += d * d
		}
		if m.space != raw && norm > 0 {
			for j := range x {
				x[j] = float32(float64(x[j]) / math.Sqrt(norm))
			}
		}
		out[i] = x
	}
	return out
}

// answer lets the method score the queries of an episode.
func (m Method) answer(ctx context.Context, z *products, e Episode, way int) (*task, error) {
	if len(e.Queries) == 0 {
		return nil, errors.New("it has no query")
	}
	all := append(append([]int{}, e.Support...), e.Queries...)
	x := coordinates(z, all)
	t := &task{way: way, support: x[:len(e.Support)], supportClasses: e.SupportClasses, queries: x[len(e.Support):]}
	for _, row := range all {
		t.features = append(t.features, z.rows[row])
	}
	t.scores = make([][]float64, len(t.queries))
	for i := range t.scores {
		t.scores[i] = make([]float64, way)
	}
	return t, m.scores(ctx, t)
}

// episode measures one.
func (m Method) episode(ctx context.Context, z *products, e Episode, way int) (Result, error) {
	t, err := m.answer(ctx, z, e, way)
	if err != nil {
		return Result{}, err
	}
	right, asked := 0, 0
	var known, others []float64
	for i, scores := range t.scores {
		best := likeliest(scores)
		if e.QueryClasses[i] == Unknown {
			others = append(others, scores[best])
			continue
		}
		known = append(known, scores[best])
		asked++
		if best == e.QueryClasses[i] {
			right++
		}
	}
	return Result{float64(right) / float64(asked), auroc(known, others)}, nil
}

// likeliest is the class of the highest score, the first of equal ones.
func likeliest(scores []float64) int {
	best := 0
	for c, v := range scores {
		if v > scores[best] {
			best = c
		}
	}
	return best
}

// auroc is the probability that a known query has a higher score than one of another class; ties count half.
func auroc(known, others []float64) float64 {
	if len(known) == 0 || len(others) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, k := range known {
		for _, o := range others {
			switch {
			case k > o:
				sum++
			case k == o:
				sum += 0.5
			}
		}
	}
	return sum / float64(len(known)*len(others))
}

// products are the inner products of rows.
type products struct {
	rows [][]float32
	all  [][]float64 // of each row with those before it and itself; nil: they are computed when they are asked for
}

// maxProducts is for how many rows all products are computed beforehand, where episodes ask for more than that.
const maxProducts = 4096

func newSpace(rows [][]float32, episodes, threads int) *products {
	z := &products{rows: rows}
	if len(rows) > maxProducts || len(rows) > 64*episodes {
		return z
	}
	all := make([][]float64, len(rows))
	p := pool.New().WithMaxGoroutines(max(threads, 1))
	for i := range rows {
		p.Go(func() {
			all[i] = make([]float64, i+1)
			for j := range all[i] {
				all[i][j] = z.of(i, j)
			}
		})
	}
	p.Wait()
	z.all = all
	return z
}

// of is the product of two rows, summed in float64 in their order.
func (z *products) of(i, j int) float64 {
	if i < j {
		i, j = j, i
	}
	if z.all != nil {
		return z.all[i][j]
	}
	var sums [4]float64
	a, b := z.rows[i], z.rows[j]
	b = b[:len(a)]
	k := 0
	for ; k+4 <= len(a); k += 4 {
		sums[0] += float64(a[k]) * float64(b[k])
		sums[1] += float64(a[k+1]) * float64(b[k+1])
		sums[2] += float64(a[k+2]) * float64(b[k+2])
		sums[3] += float64(a[k+3]) * float64(b[k+3])
	}
	for ; k < len(a); k++ {
		sums[0] += float64(a[k]) * float64(b[k])
	}
	return sums[0] + sums[1] + sums[2] + sums[3]
}

// coordinates gives rows that have the same inner products as some of z, by pivoted Cholesky factorisation of these: as many
// numbers each as the rank of the rows, and not as the features have.
func coordinates(z *products, rows []int) [][]float64 {
	n := len(rows)
	gram := make([][]float64, n)
	for i := range gram {
		gram[i] = make([]float64, n)
		for j := range i + 1 {
			sum := z.of(rows[i], rows[j])
			gram[i][j], gram[j][i] = sum, sum
		}
	}
	left := make([]float64, n)
	largest := 0.0
	for i := range left {
		left[i] = gram[i][i]
		largest = max(largest, left[i])
	}
	out := make([][]float64, n)
	for range n {
		pivot := 0
		for i, v := range left {
			if v > left[pivot] {
				pivot = i
			}
		}
		if left[pivot] <= 1e-12*largest || largest == 0 {
			break
		}
		root := math.Sqrt(left[pivot])
		base := out[pivot]
		for i := range out {
			v := gram[i][pivot]
			for k, b := range base {
				v -= out[i][k] * b
			}
			v /= root
			if i == pivot {
				v = root
			}
			out[i] = append(out[i], v)
			left[i] = max(left[i]-v*v, 0)
		}
		left[pivot] = 0
	}
	if largest == 0 { // rows of zeros
		for i := range out {
			out[i] = []float64{0}
		}
	}
	return out
}

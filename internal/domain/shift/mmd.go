package shift

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Discrepancy is a squared maximum mean discrepancy.
type Discrepancy struct {
	Value        float64 // MMD², unbiased: it may be below 0
	Biased       float64 // the same with the kernel of each row with itself
	PValue       float64 // of the hypothesis that both domains are the same
	Rows         int     // of both domains, that were compared
	Permutations int
}

// Permutations is how many random divisions of the rows a p-value is of.
const Permutations = 500

// mostKernelRows is how many rows of each domain the kernel matrix has at most.
const mostKernelRows = 500

// MeanDiscrepancy measures MMD² with a sum of five Gaussian kernels exp(−d²/b), b = b₀·2ⁱ/4 for i = 0 … 4, where b₀ is the mean
// squared distance of all pairs of rows (Gretton and others 2012; Long and others 2015, arXiv:1502.02791, the bandwidths of the
// authors' program). The p-value is by permutation. Of more than 500 rows of a domain, 500 are drawn by the seed.
func MeanDiscrepancy(ctx context.Context, source, target domain.Features, seed uint64, threads int) (Discrepancy, error) {
	if err := same(source, target); err != nil {
		return Discrepancy{}, err
	}
	if source.Rows() < 2 || target.Rows() < 2 {
		return Discrepancy{}, fmt.Errorf("%d rows of the source and %d of the target; at least 2 of each", source.Rows(), target.Rows())
	}
	random := rand.New(rand.NewPCG(seed, 0x33d))
	draw := func(f domain.Features) domain.Features {
		if f.Rows() <= mostKernelRows {
			return f
		}
		positions := sample(random, f.Rows(), mostKernelRows)
		slices.Sort(positions)
		return f.At(positions)
	}
	s, t := draw(source), draw(target)
	pool := kernel.NewPool(max(threads, 1))
	defer pool.Close()
	n := s.Rows() + t.Rows()
	row := func(i int) []float32 {
		if i < s.Rows() {
			return s.Row(i)
		}
		return t.Row(i - s.Rows())
	}
	distances := make([]float64, n*n)
	pool.Each(n, func(_, i int) {
		a := row(i)
		for j := range n {
			b, sum := row(j), 0.0
			for k, v := range a {
				d := float64(v) - float64(b[k])
				sum += d * d
			}
			distances[i*n+j] = sum
		}
	})
	total := 0.0
	for _, d := range distances {
		total += d
	}
	if math.IsNaN(total) || math.IsInf(total, 0) {
		return Discrepancy{}, errors.New("a feature is not a finite number")
	}
	first := total / float64(n*n-n) / 4
	kernels := distances
	pool.Each(n, func(_, i int) {
		for j := i * n; j < (i+1)*n; j++ {
			d, sum := distances[j], 0.0
			for e := range 5 {
				if first > 0 {
					sum += math.Exp(-d / (first * float64(int(1)<<e)))
				} else {
					sum++
				}
			}
			kernels[j] = sum
		}
	})
	out := Discrepancy{Rows: n, Permutations: Permutations}
	in := make([]bool, n) // the source
	for i := range s.Rows() {
		in[i] = true
	}
	out.Value, out.Biased = squared(kernels, in)
	orders := make([][]bool, Permutations)
	for i := range orders {
		orders[i] = make([]bool, n)
		for _, j := range sample(random, n, s.Rows()) {
			orders[i][j] = true
		}
	}
	values := make([]float64, Permutations)
	pool.Each(Permutations, func(_, i int) {
		if ctx.Err() == nil {
			values[i], _ = squared(kernels, orders[i])
		}
	})
	if err := ctx.Err(); err != nil {
		return out, err
	}
	beyond := 1
	for _, v := range values {
		if v >= out.Value-1e-12 {
			beyond++
		}
	}
	out.PValue = float64(beyond) / float64(Permutations+1)
	return out, nil
}

// squared is MMD² between the rows that are in and those that are not.
func squared(kernels []float64, in []bool) (unbiased, biased float64) {
	n := len(in)
	var counts, within, diagonal [2]float64
	between := 0.0
	for i, inside := range in {
		side := 0
		if inside {
			side = 1
		}
		counts[side]++
		diagonal[side] += kernels[i*n+i]
		for j, k := range kernels[i*n : i*n+i] {
			if in[j] == inside {
				within[side] += 2 * k
			} else {
				between += k
			}
		}
	}
	cross := 2 * between / (counts[0] * counts[1])
	for side, c := range counts {
		unbiased += within[side] / (c * (c - 1))
		biased += (within[side] + diagonal[side]) / (c * c)
	}
	return unbiased - cross, biased - cross
}

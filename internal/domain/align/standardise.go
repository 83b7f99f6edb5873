package align

import (
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/kernel"
)

// standard brings features to mean 0 and variance 1.
type standard struct{ mean, deviation []float64 }

// standardise measures rows. A feature that does not vary is only shifted.
func standardise(pool *kernel.Pool, f domain.Features) standard {
	s := standard{make([]float64, f.Width), make([]float64, f.Width)}
	n := float64(f.Rows())
	eachColumns(pool, f, func(row []float32, first int) {
		for j, v := range row {
			s.mean[first+j] += float64(v)
		}
	})
	for j := range s.mean {
		s.mean[j] /= n
	}
	eachColumns(pool, f, func(row []float32, first int) {
		for j, v := range row {
			d := float64(v) - s.mean[first+j]
			s.deviation[first+j] += d * d
		}
	})
	for j, squares := range s.deviation {
		s.deviation[j] = math.Sqrt(squares / n)
		if s.deviation[j] <= 1e-6*math.Abs(s.mean[j]) || s.deviation[j] == 0 {
			s.deviation[j] = 1
		}
	}
	return s
}

// eachColumns calls add for all rows in order, a stretch of columns at a time: sums over rows have the same bits for any number of
// threads.
func eachColumns(pool *kernel.Pool, f domain.Features, add func(row []float32, first int)) {
	const columns = 256
	pool.Each((f.Width+columns-1)/columns, func(_, block int) {
		from, to := block*columns, min(f.Width, (block+1)*columns)
		for i := range f.Rows() {
			add(f.Row(i)[from:to], from)
		}
	})
}

func (s standard) apply(pool *kernel.Pool, f domain.Features) domain.Features {
	out := domain.Features{Width: f.Width, Values: make([]float32, len(f.Values))}
	pool.Each(f.Rows(), func(_, i int) {
		row := out.Row(i)
		for j, v := range f.Row(i) {
			row[j] = float32((float64(v) - s.mean[j]) / s.deviation[j])
		}
	})
	return out
}

// before is a map that is taken after s.
func (s standard) before(a domain.Affine) domain.Affine {
	width := len(s.mean)
	if a.Identity() {
		a = domain.Affine{In: width, Out: width, Weights: make([]float32, width*width), Bias: make([]float32, width)}
		for i := range width {
			a.Weights[i*width+i] = 1
		}
	}
	a.Weights, a.Bias = slices.Clone(a.Weights), slices.Clone(a.Bias) // both domains may share them
	for o := range a.Out {
		bias := float64(a.Bias[o])
		row := a.Weights[o*width : (o+1)*width]
		for j, w := range row {
			scaled := float64(w) / s.deviation[j]
			bias -= scaled * s.mean[j]
			row[j] = float32(scaled)
		}
		a.Bias[o] = float32(bias)
	}
	return a
}

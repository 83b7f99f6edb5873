package shift

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/domain"
)

// MeanDistance tells how far the domains' means lie apart.
type MeanDistance struct {
	Class    int     // -1: of all rows
	Rows     int     // of the source
	Target   int     // rows of the target
	Distance float64 // Euclidean, divided by the root mean squared distance of the source's rows from their mean; NaN without rows
}

// MeanDistances are those of all rows, then of each class. Where the target's classes are a model's predictions, the distances of
// classes are as trustworthy as these.
func MeanDistances(source, target domain.Labelled) []MeanDistance {
	var out []MeanDistance
	for class := -1; class < source.Count; class++ {
		a, spread, n := meanOf(source, class)
		b, _, m := meanOf(target, class)
		d := MeanDistance{Class: class, Rows: n, Target: m, Distance: math.NaN()}
		if n > 0 && m > 0 {
			square := 0.0
			for j := range a {
				square += (a[j] - b[j]) * (a[j] - b[j])
			}
			d.Distance = math.Sqrt(square) / max(spread, 1e-12)
		}
		out = append(out, d)
	}
	return out
}

// meanOf the rows of a class, or of all.
func meanOf(f domain.Labelled, class int) (mean []float64, spread float64, n int) {
	mean = make([]float64, f.Width)
	squares := 0.0
	for i := range f.Rows() {
		if class >= 0 && (i >= len(f.Classes) || f.Classes[i] != class) {
			continue
		}
		n++
		for j, v := range f.Row(i) {
			mean[j] += float64(v)
			squares += float64(v) * float64(v)
		}
	}
	if n == 0 {
		return mean, 0, 0
	}
	length := 0.0
	for j := range mean {
		mean[j] /= float64(n)
		length += mean[j] * mean[j]
	}
	return mean, math.Sqrt(max(squares/float64(n)-length, 0)), n
}

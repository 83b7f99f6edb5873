package wordvectors

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/vector"
)

// Mean writes the mean of the vectors of a text into dst, each with a weight if there are weights, one a vector of the table. It
// tells whether there was any: else dst is zeros.
func (t *Table) Mean(dst []float32, places []int32, weights []float64) bool {
	sums := make([]float64, t.Width)
	total := 0.0
	for _, place := range places {
		w := 1.0
		if weights != nil {
			w = weights[place]
		}
		total++
		for j, x := range t.Vector(int(place)) {
			sums[j] += float64(w * float64(x))
		}
	}
	for j := range dst {
		dst[j] = 0
		if total > 0 {
			dst[j] = float32(sums[j] / total)
		}
	}
	return total > 0
}

// SIF are the weights a/(a + p) of all vectors, where p is the share that a piece has of all pieces counted.
func SIF(counts []int64, a float64) []float64 {
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	out := make([]float64, len(counts))
	for i, n := range counts {
		out[i] = a / (a + float64(n)/float64(max(total, 1)))
	}
	return out
}

// Common finds the direction that vectors share, [rows][width]: their first right singular vector, by power iteration.
func Common(values []float32, width int) []float64 {
	rows := len(values) / max(width, 1)
	gram := make([]float64, width*width)
	for r := range rows {
		row := values[r*width : (r+1)*width]
		for i, x := range row {
			for j, y := range row[:i+1] {
				gram[i*width+j] += float64(float64(x) * float64(y))
			}
		}
	}
	for i := range width {
		for j := range i {
			gram[j*width+i] = gram[i*width+j]
		}
	}
	v := make([]float64, width)
	for i := range v {
		v[i] = 1 / float64(i+1) // no direction of symmetry
	}
	next := make([]float64, width)
	for range 200 {
		for i := range next {
			next[i] = vector.Dot(gram[i*width:(i+1)*width], v)
		}
		length := math.Sqrt(vector.Dot(next, next))
		if length == 0 {
			return nil
		}
		for i := range v {
			v[i] = next[i] / length
		}
	}
	return v
}

// RemoveCommon takes the part in a direction away from a vector.
func RemoveCommon(x []float32, direction []float64) {
	along := 0.0
	for i, d := range direction {
		along += float64(d * float64(x[i]))
	}
	for i, d := range direction {
		x[i] -= float32(along * d)
	}
}

package discrepancy

import (
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Estimator is how a maximum mean discrepancy is estimated from two samples.
type Estimator int

// The estimators.
const (
	// Biased takes all pairs, each row with itself too: never negative.
	Biased Estimator = iota
	// Unbiased leaves out each row with itself: right on average, and negative at times.
	Unbiased
	// Linear takes each row with the next of its batch, in a circle: time linear in the rows (Gretton et al. 2012, as
	// Long et al., arXiv:1502.02791, train with it). Of the larger sample the first rows are taken.
	Linear
)

// Bandwidths choose the widths of the Gaussian kernels exp(−d²/width) that are summed, from the squared distances of the
// rows of both samples together. They are taken as constants: no gradient flows through them.
type Bandwidths struct {
	// Multiples of the mean squared distance; nil: one kernel of width Fixed.
	Multiples []float64
	// OverPairs has the mean over the pairs of different rows; otherwise it is over all, each with itself too.
	OverPairs bool
	Fixed     float64
}

// LibraryBandwidths are those of Transfer-Learning-Library: exp(−d²/2σ²) with σ² = α·mean d² over all pairs, α = 2⁻³ … 2¹.
func LibraryBandwidths() Bandwidths {
	return Bandwidths{Multiples: []float64{0.25, 0.5, 1, 2, 4}}
}

// OriginalBandwidths are those of the code of Deep Adaptation Networks: mean d² over pairs, times 2⁻² … 2².
func OriginalBandwidths() Bandwidths {
	return Bandwidths{Multiples: []float64{0.25, 0.5, 1, 2, 4}, OverPairs: true}
}

// AnswerBandwidth is that of joint adaptation networks for the probabilities of the classes: σ = 0.92.
func AnswerBandwidth() Bandwidths { return Bandwidths{Fixed: 2 * 0.92 * 0.92} }

// Layer is two samples of the outputs of one layer, and the kernels that they are compared with.
type Layer struct {
	Source, Target Sample
	Bandwidths
}

// MMD is the squared maximum mean discrepancy of two samples under the sum of Gaussian kernels (Long et al.,
// arXiv:1502.02791).
func MMD(pool *kernel.Pool, l Layer, e Estimator) float64 { return JMMD(pool, e, l) }

// JMMD is that of the joint distributions of several layers, whose kernels are multiplied (Long et al.,
// arXiv:1605.06636). It is 0, without a gradient, if a sample has no row, or one and the estimator needs two. The threads
// of the pool share the work; its result does not depend on how many they are.
func JMMD(pool *kernel.Pool, e Estimator, layers ...Layer) float64 {
	n, m := layers[0].Source.Len(), layers[0].Target.Len()
	if n == 0 || m == 0 || e != Biased && (n < 2 || m < 2) {
		return 0
	}
	rows := n + m
	compared := make([]pairs, len(layers))
	for i, l := range layers {
		compared[i] = l.compare(pool)
	}
	share := coefficients(e, n, m)
	sums := make([]float64, rows)
	changes := make([][]float64, len(layers)) // what the loss changes by with each squared distance
	for i := range changes {
		changes[i] = make([]float64, rows*rows)
	}
	pool.Each(rows, func(_, row int) {
		for at := row * rows; at < (row+1)*rows; at++ {
			c := share[at]
			if c == 0 {
				continue
			}
			all := c
			for i := range compared {
				all *= compared[i].kernel[at]
				w := c * compared[i].slope[at]
				for j := range compared {
					if j != i {
						w *= compared[j].kernel[at]
					}
				}
				changes[i][at] = w
			}
			sums[row] += all
		}
	})
	for i, l := range layers {
		l.pull(pool, compared[i].rows, changes[i])
	}
	var loss float64
	for _, s := range sums {
		loss += s
	}
	return loss
}

// coefficients are what the kernel of each pair of rows counts, the source's rows first.
func coefficients(e Estimator, n, m int) []float64 {
	rows := n + m
	out := make([]float64, rows*rows)
	if e == Linear {
		b := min(n, m)
		each := 1 / float64(b)
		for i := range b {
			next := (i + 1) % b
			out[i*rows+next] += each
			out[(n+i)*rows+n+next] += each
			out[i*rows+n+next] -= each
			out[next*rows+n+i] -= each
		}
		return out
	}
	within := func(count int) float64 {
		if e == Unbiased {
			return 1 / (float64(count) * float64(count-1))
		}
		return 1 / (float64(count) * float64(count))
	}
	for i := range rows {
		for j := range rows {
			switch {
			case i == j && e == Unbiased:
			case i < n && j < n:
				out[i*rows+j] = within(n)
			case i >= n && j >= n:
				out[i*rows+j] = within(m)
			default:
				out[i*rows+j] = -1 / (float64(n) * float64(m))
			}
		}
	}
	return out
}

// row is row i of both samples, the source's first.
func (l Layer) row(i int) []float32 {
	if n := l.Source.Len(); i >= n {
		return l.Target.Rows[i-n]
	}
	return l.Source.Rows[i]
}

// pairs are all rows of a layer compared with each other.
type pairs struct {
	rows   []float64 // [rows][width], those of the source first
	kernel []float64 // [rows][rows], the sum of the kernels
	slope  []float64 // [rows][rows], its derivative with respect to the squared distance
}

// compare computes the kernels of each pair of rows.
func (l Layer) compare(pool *kernel.Pool) pairs {
	rows, width := l.Source.Len()+l.Target.Len(), l.Source.Width
	p := pairs{rows: make([]float64, rows*width), kernel: make([]float64, rows*rows), slope: make([]float64, rows*rows)}
	columns := make([]float64, width*rows) // the rows, transposed
	first := l.row(0)
	for i := range rows {
		for k, x := range l.row(i) {
			// Less the first row, which changes no distance: rows that are all alike are 0, and so is what pulls them, however narrow
			// their kernels are.
			v := float64(x) - float64(first[k])
			p.rows[i*width+k], columns[k*rows+i] = v, v
		}
	}
	distances, sums := make([]float64, rows*rows), make([]float64, rows)
	pool.Each(rows, func(_, i int) {
		row := distances[i*rows : (i+1)*rows]
		kernel.AddSquaredDistances(row, p.rows[i*width:(i+1)*width], columns, rows)
		for _, d := range row {
			sums[i] += d
		}
	})
	var sum float64
	for _, s := range sums {
		sum += s
	}
	widths := l.widths(sum, rows)
	pool.Each(rows, func(_, i int) {
		for j := range i + 1 {
			at, mirrored := i*rows+j, j*rows+i
			v, s := widths.kernel(distances[at])
			p.kernel[at], p.kernel[mirrored] = v, v
			p.slope[at], p.slope[mirrored] = s, s
		}
	})
	return p
}

// widths are one over those of the kernels, the widest first.
type widths []float64

// widths follow from the sum of the squared distances of all pairs of so many rows.
func (b Bandwidths) widths(sum float64, rows int) widths {
	if b.Multiples == nil {
		return widths{1 / b.Fixed}
	}
	pairs := float64(rows) * float64(rows)
	if b.OverPairs {
		pairs -= float64(rows)
	}
	var out widths
	for _, f := range slices.Backward(b.Multiples) {
		// Where all rows are alike every width gives the same kernel, 1: any will do.
		out = append(out, 1/max(f*sum/pairs, math.SmallestNonzeroFloat32))
	}
	return out
}

// kernel is the sum of the kernels at a squared distance, and its slope.
func (w widths) kernel(distance float64) (value, slope float64) {
	var k float64
	for i, inverse := range w {
		if i > 0 && inverse == 2*w[i-1] {
			k *= k // half the width is the square, and quicker than an exponential
		} else {
			k = math.Exp(-distance * inverse)
		}
		value += k
		slope -= k * inverse
	}
	return value, slope
}

// pull adds the gradient of the rows, given what the loss changes by with the squared distance of each pair.
func (l Layer) pull(pool *kernel.Pool, rows, change []float64) {
	n, count, width := l.Source.Len(), l.Source.Len()+l.Target.Len(), l.Source.Width
	weights := make([]float64, count*count)
	pool.Each(count, func(_, i int) {
		into := l.gradient(i, n)
		if into == nil {
			return // nobody asks for it
		}
		// Σ w (x - y) = (Σ w) x - Σ w y
		var sum float64
		row := weights[i*count : (i+1)*count]
		for j := range row {
			w := 2 * (change[i*count+j] + change[j*count+i])
			row[j] = -w
			sum += w
		}
		row[i] += sum
		kernel.AddWeightedRows(into, row, rows, width)
	})
}

// gradient is that of row i of both samples, or nil.
func (l Layer) gradient(i, n int) []float64 {
	of := l.Source
	if i >= n {
		of, i = l.Target, i-n
	}
	if of.Gradient == nil {
		return nil
	}
	return of.Gradient[i]
}

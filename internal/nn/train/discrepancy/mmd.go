package discrepancy

import "math"

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
func MMD(l Layer, e Estimator) float64 { return JMMD(e, l) }

// JMMD is that of the joint distributions of several layers, whose kernels are multiplied (Long et al.,
// arXiv:1605.06636). It is 0, without a gradient, if a sample has no row, or one and the estimator needs two.
func JMMD(e Estimator, layers ...Layer) float64 {
	n, m := layers[0].Source.Len(), layers[0].Target.Len()
	if n == 0 || m == 0 || e != Biased && (n < 2 || m < 2) {
		return 0
	}
	rows := n + m
	kernels := make([][]float64, len(layers)) // [rows][rows]
	slopes := make([][]float64, len(layers))  // with respect to the squared distance
	for i, l := range layers {
		kernels[i], slopes[i] = l.kernel()
	}
	var loss float64
	share := coefficients(e, n, m)
	for at, c := range share {
		if c == 0 {
			continue
		}
		k := c
		for i := range layers {
			k *= kernels[i][at]
		}
		loss += k
	}
	for i, l := range layers {
		// What the loss changes by with each squared distance of this layer.
		change := make([]float64, rows*rows)
		for at, c := range share {
			if c == 0 {
				continue
			}
			w := c * slopes[i][at]
			for j := range layers {
				if j != i {
					w *= kernels[j][at]
				}
			}
			change[at] = w
		}
		l.pull(change)
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

// kernel is the sum of the kernels for each pair of rows, and its slope.
func (l Layer) kernel() (value, slope []float64) {
	rows := l.Source.Len() + l.Target.Len()
	distances := make([]float64, rows*rows)
	wide := l.wide()
	var sum float64
	for i := range rows {
		for j := range i {
			d := squaredDistance(wide[i], wide[j])
			distances[i*rows+j], distances[j*rows+i] = d, d
			sum += 2 * d
		}
	}
	pairs := float64(rows) * float64(rows)
	if l.OverPairs {
		pairs -= float64(rows)
	}
	widths := []float64{l.Fixed}
	if l.Multiples != nil {
		widths = widths[:0]
		for _, f := range l.Multiples {
			// Where all rows are alike every width gives the same kernel, 1: any will do.
			widths = append(widths, max(f*sum/pairs, math.SmallestNonzeroFloat32))
		}
	}
	value, slope = make([]float64, len(distances)), make([]float64, len(distances))
	last := len(widths) - 1
	for i := range rows {
		for j := range i + 1 {
			var v, s, k float64
			for at := last; at >= 0; at-- { // the widest first
				if at < last && widths[at+1] == 2*widths[at] {
					k *= k // half the width is the square, and quicker than an exponential
				} else {
					k = math.Exp(-distances[i*rows+j] / widths[at])
				}
				v += k
				s -= k / widths[at]
			}
			value[i*rows+j], value[j*rows+i] = v, v
			slope[i*rows+j], slope[j*rows+i] = s, s
		}
	}
	return value, slope
}

// wide are the rows of both samples in float64.
func (l Layer) wide() [][]float64 {
	out := make([][]float64, l.Source.Len()+l.Target.Len())
	for i := range out {
		row := l.row(i)
		out[i] = make([]float64, len(row))
		for k, x := range row {
			out[i][k] = float64(x)
		}
	}
	return out
}

// squaredDistance sums in four places at once, in an order that is always the same.
func squaredDistance(x, y []float64) float64 {
	var s0, s1, s2, s3 float64
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		d0, d1, d2, d3 := x[i]-y[i], x[i+1]-y[i+1], x[i+2]-y[i+2], x[i+3]-y[i+3]
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for ; i < len(x); i++ {
		s0 += (x[i] - y[i]) * (x[i] - y[i])
	}
	return s0 + s1 + (s2 + s3)
}

// pull adds the gradient of the rows, given what the loss changes by with the squared distance of each pair.
func (l Layer) pull(change []float64) {
	n, rows := l.Source.Len(), l.Source.Len()+l.Target.Len()
	wide := l.wide()
	into := make([][]float64, rows)
	for i := range into {
		switch {
		case i < n && l.Source.Gradient != nil:
			into[i] = l.Source.Gradient[i]
		case i >= n && l.Target.Gradient != nil:
			into[i] = l.Target.Gradient[i-n]
		default:
			into[i] = make([]float64, len(wide[i])) // nobody asks for it
		}
	}
	for i := range rows {
		x, a := wide[i], into[i]
		for j := range i {
			w := 2 * (change[i*rows+j] + change[j*rows+i])
			if w == 0 {
				continue
			}
			y, b := wide[j][:len(x)], into[j][:len(x)]
			a := a[:len(x)]
			for k, xk := range x {
				d := w * (xk - y[k])
				a[k] += d
				b[k] -= d
			}
		}
	}
}

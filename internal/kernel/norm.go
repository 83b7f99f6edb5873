package kernel

import "math"

// chunkRows is the number of rows that are summed in float32 before the sum goes on in float64.
const chunkRows = 256

// sumRows computes dst[c] = Σ x[r][c].
func sumRows(set isa, pool *Pool, dst, x []float32, rows, columns int) {
	s := takeSpan()
	s.set, s.x, s.columns = set, x, columns
	s.reduce(pool, dst, rows, addRows)
	s.giveBack()
}

// addRows adds rows lo … hi-1 of x to sum.
func addRows(s *span, sum []float32, lo, hi int) {
	v := sweep{dst: sum, x: s.x[lo*s.columns:], step: [6]int{0, s.columns}, n: s.columns, rows: hi - lo}
	v.do(s.set, opAccumulate)
}

// reduce computes dst = Σ over rows of what each adds, chunk by chunk.
func (s *span) reduce(pool *Pool, dst []float32, rows int, add func(s *span, sum []float32, lo, hi int)) {
	chunks := ceilDiv(rows, chunkRows)
	s.scratch(chunks * s.columns)
	s.addRows = add
	s.over(pool, rows, chunkRows, func(s *span, lo, hi int) {
		sum := s.partial[lo/chunkRows*s.columns:][:s.columns]
		clear(sum)
		s.addRows(s, sum, lo, hi)
	})
	for c := range dst[:s.columns] {
		var total float64
		for i := range chunks {
			total += float64(s.partial[i*s.columns+c])
		}
		dst[c] = float32(total)
	}
}

// BatchNorm normalises each channel over all rows, as in training:
// dst = act((src - mean)/√(variance + epsilon)·gamma + beta). It writes each channel's mean and
// (biased) variance, which the backward pass and the running statistics need.
func BatchNorm(pool *Pool, dst, mean, variance, src, gamma, beta []float32, epsilon float32, rows, channels int, act Activation) {
	batchNorm(active(), pool, dst, mean, variance, src, gamma, beta, epsilon, rows, channels, act)
}

func batchNorm(set isa, pool *Pool, dst, mean, variance, src, gamma, beta []float32, epsilon float32, rows, channels int, act Activation) {
	const name = "batch-norm"
	need(name, "dst", dst, rows*channels)
	need(name, "src", src, rows*channels)
	need(name, "mean", mean, channels)
	need(name, "variance", variance, channels)
	need(name, "gamma", gamma, channels)
	need(name, "beta", beta, channels)
	if rows == 0 {
		return
	}
	s := takeSpan()
	s.set, s.x, s.y, s.columns = set, src, mean, channels
	s.reduce(pool, mean, rows, addRows)
	scaleInto(portable, mean[:channels], mean[:channels], 1/float32(rows))
	s.reduce(pool, variance, rows, func(s *span, sum []float32, lo, hi int) {
		v := sweep{dst: sum, x: s.x[lo*s.columns:], y: s.y, step: [6]int{0, s.columns}, n: s.columns, rows: hi - lo}
		v.do(s.set, opAddSquare)
	})
	scaleInto(portable, variance[:channels], variance[:channels], 1/float32(rows))
	s.giveBack()
	normalise(set, pool, dst, src, gamma, beta, mean, variance, epsilon, rows, channels, act)
}

// Normalise is BatchNorm with a mean and variance that are given: the running ones, or those that
// BatchNorm wrote, with which it gives the same numbers again.
func Normalise(pool *Pool, dst, src, gamma, beta, mean, variance []float32, epsilon float32, rows, channels int, act Activation) {
	const name = "normalise"
	need(name, "gamma", gamma, channels)
	need(name, "beta", beta, channels)
	need(name, "mean", mean, channels)
	need(name, "variance", variance, channels)
	normalise(active(), pool, dst, src, gamma, beta, mean, variance, epsilon, rows, channels, act)
}

func normalise(set isa, pool *Pool, dst, src, gamma, beta, mean, variance []float32, epsilon float32, rows, channels int, act Activation) {
	s := takeSpan()
	scale := s.scratch(2 * channels)
	shift := scale[channels:]
	for c := range channels {
		scale[c] = float32(float64(gamma[c]) / math.Sqrt(float64(variance[c])+float64(epsilon)))
		shift[c] = beta[c] - mean[c]*scale[c]
	}
	scaleShift(set, pool, dst, src, scale[:channels], shift, rows, channels, channels, channels, act)
	s.giveBack()
}

// SumRows computes dst[c] = Σ x[r][c] over all rows.
func SumRows(pool *Pool, dst, x []float32, rows, columns int) {
	need("sum of rows", "dst", dst, columns)
	need("sum of rows", "x", x, rows*columns)
	sumRows(active(), pool, dst, x, rows, columns)
}

// SumCentred computes dst[c] = Σ x[r][c]·(y[r][c] − mean[c]) over all rows.
func SumCentred(pool *Pool, dst, x, y, mean []float32, rows, columns int) {
	need("centred sum", "dst", dst, columns)
	need("centred sum", "x", x, rows*columns)
	need("centred sum", "y", y, rows*columns)
	need("centred sum", "mean", mean, columns)
	s := takeSpan()
	s.set, s.x, s.y, s.z, s.columns = active(), x, y, mean, columns
	s.sumCentred(pool, dst, rows)
	s.giveBack()
}

// sumCentred computes dst = Σ x·(y − z).
func (s *span) sumCentred(pool *Pool, dst []float32, rows int) {
	s.reduce(pool, dst, rows, func(s *span, sum []float32, lo, hi int) {
		v := sweep{dst: sum, x: s.x[lo*s.columns:], y: s.y[lo*s.columns:], z: s.z,
			step: [6]int{0, s.columns, s.columns}, n: s.columns, rows: hi - lo}
		v.do(s.set, opAddCentred)
	})
}

// BatchNormBackward computes the gradients of BatchNorm (with no activation) with respect to its
// input, gamma and beta, from ddst, its input, and the mean and variance it wrote. dsrc may be
// ddst.
func BatchNormBackward(pool *Pool, dsrc, dgamma, dbeta, ddst, src, gamma, mean, variance []float32, epsilon float32, rows, channels int) {
	batchNormBackward(active(), pool, dsrc, dgamma, dbeta, ddst, src, gamma, mean, variance, epsilon, rows, channels)
}

func batchNormBackward(set isa, pool *Pool, dsrc, dgamma, dbeta, ddst, src, gamma, mean, variance []float32, epsilon float32, rows, channels int) {
	const name = "batch-norm gradient"
	need(name, "dsrc", dsrc, rows*channels)
	need(name, "ddst", ddst, rows*channels)
	need(name, "src", src, rows*channels)
	for _, v := range [...]struct {
		name string
		s    []float32
	}{{"dgamma", dgamma}, {"dbeta", dbeta}, {"gamma", gamma}, {"mean", mean}, {"variance", variance}} {
		need(name, v.name, v.s, channels)
	}
	if rows == 0 {
		clear(dgamma[:channels])
		clear(dbeta[:channels])
		return
	}
	s := takeSpan()
	s.set, s.x, s.y, s.z, s.columns = set, ddst, src, mean, channels
	s.reduce(pool, dbeta, rows, addRows)
	s.sumCentred(pool, dgamma, rows)
	// dsrc = γσ⁻¹(ddst - Σddst/m - (src-mean)σ⁻²·Σddst(src-mean)/m) = ddst·a + src·b + c
	factors := s.scratch(3 * channels)
	for c := range channels {
		inverse := 1 / math.Sqrt(float64(variance[c])+float64(epsilon))
		a := float64(gamma[c]) * inverse
		b := -a * inverse * inverse * float64(dgamma[c]) / float64(rows)
		factors[c] = float32(a)
		factors[channels+c] = float32(b)
		factors[2*channels+c] = float32(-a*float64(dbeta[c])/float64(rows) - b*float64(mean[c]))
		dgamma[c] = float32(float64(dgamma[c]) * inverse)
	}
	s.dst, s.u = dsrc, factors
	s.over(pool, rows, rowGrain(channels), func(s *span, lo, hi int) {
		n := s.columns
		v := sweep{dst: s.dst[lo*n:], x: s.x[lo*n:], y: s.u[:n], z: s.y[lo*n:], u: s.u[n : 2*n], v: s.u[2*n:],
			step: [6]int{n, n, 0, n}, n: n, rows: hi - lo}
		v.do(s.set, opCombine)
	})
	s.giveBack()
}

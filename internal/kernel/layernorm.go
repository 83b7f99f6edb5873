package kernel

import "math"

// LayerNorm normalises each row: dst = (src - mean)/√(variance + epsilon)·gamma + beta, with the
// row's own mean and (biased) variance. It writes each row's mean and 1/√(variance + epsilon) to
// mean and scale, which the backward pass needs; both may be nil.
func LayerNorm(pool *Pool, dst, mean, scale, src, gamma, beta []float32, epsilon float32, rows, columns int) {
	layerNorm(active(), pool, dst, mean, scale, src, gamma, beta, epsilon, rows, columns)
}

func layerNorm(set isa, pool *Pool, dst, mean, scale, src, gamma, beta []float32, epsilon float32, rows, columns int) {
	const name = "layer-norm"
	need(name, "dst", dst, rows*columns)
	need(name, "src", src, rows*columns)
	need(name, "gamma", gamma, columns)
	need(name, "beta", beta, columns)
	if mean != nil {
		need(name, "mean", mean, rows)
	}
	if scale != nil {
		need(name, "scale", scale, rows)
	}
	if columns == 0 {
		return
	}
	s := takeSpan()
	s.set, s.dst, s.x, s.y, s.z, s.u, s.v = set, dst, src, gamma, beta, mean, scale
	s.columns, s.epsilon = columns, epsilon
	s.over(pool, rows, rowGrain(columns), func(s *span, lo, hi int) {
		r := normRow{y: s.y, z: s.z, n: s.columns, count: float32(s.columns), epsilon: s.epsilon}
		for i := lo; i < hi; i++ {
			r.dst, r.x = s.dst[i*s.columns:][:s.columns], s.x[i*s.columns:][:s.columns]
			if !layerNormAssembly(s.set, &r) {
				r.normalise()
			}
			if s.u != nil {
				s.u[i] = r.mean
			}
			if s.v != nil {
				s.v[i] = r.scale
			}
		}
	})
	s.giveBack()
}

// normRow is a row of a layer-norm at work: dst of x, gamma and beta; or that of a gradient, dst of that of what became of the row, the row
// and gamma.
//
// The assembly reads this struct at the offsets that layernorm_test.go pins.
type normRow struct {
	dst, x, y, z   []float32
	n              int
	count, epsilon float32
	mean, scale    float32
}

// normalise is layer-norm in plain Go.
func (r *normRow) normalise() {
	var inverse float32
	r.mean, inverse = moments(r.x, r.epsilon)
	r.scale = inverse
	for j, v := range r.x {
		r.dst[j] = (v-r.mean)*inverse*r.y[j] + r.z[j]
	}
}

// moments returns the mean of x and 1/√(variance + epsilon).
func moments(x []float32, epsilon float32) (mean, inverse float32) {
	m := sum64(x) / float64(len(x))
	var a, b float64 // two, so that additions need not wait for each other
	rest := x
	for ; len(rest) >= 2; rest = rest[2:] {
		p, q := float64(rest[0])-m, float64(rest[1])-m
		a += p * p
		b += q * q
	}
	for _, v := range rest {
		p := float64(v) - m
		a += p * p
	}
	return float32(m), float32(1 / math.Sqrt((a+b)/float64(len(x))+float64(epsilon)))
}

// LayerNormBackward computes the gradients of LayerNorm with respect to its input, gamma and beta,
// from ddst, its input, and the mean and scale it wrote. dsrc may be ddst.
func LayerNormBackward(pool *Pool, dsrc, dgamma, dbeta, ddst, src, gamma, mean, scale []float32, rows, columns int) {
	layerNormBackward(active(), pool, dsrc, dgamma, dbeta, ddst, src, gamma, mean, scale, rows, columns)
}

func layerNormBackward(set isa, pool *Pool, dsrc, dgamma, dbeta, ddst, src, gamma, mean, scale []float32, rows, columns int) {
	const name = "layer-norm gradient"
	need(name, "dsrc", dsrc, rows*columns)
	need(name, "ddst", ddst, rows*columns)
	need(name, "src", src, rows*columns)
	need(name, "gamma", gamma, columns)
	need(name, "dgamma", dgamma, columns)
	need(name, "dbeta", dbeta, columns)
	need(name, "mean", mean, rows)
	need(name, "scale", scale, rows)
	if columns == 0 {
		return
	}
	s := takeSpan()
	s.set, s.x, s.y, s.z, s.u, s.v = set, ddst, src, gamma, mean, scale
	s.columns = columns
	s.reduce(pool, dbeta, rows, addRows)
	s.reduce(pool, dgamma, rows, func(s *span, sum []float32, lo, hi int) {
		for row := lo; row < hi; row++ {
			v := sweep{dst: sum, x: s.x[row*s.columns:], y: s.y[row*s.columns:], n: s.columns, rows: 1, low: s.u[row], high: s.v[row]}
			v.do(s.set, opAddNormalised)
		}
	})
	s.dst = dsrc
	s.over(pool, rows, rowGrain(columns), func(s *span, lo, hi int) {
		r := normRow{z: s.z, n: s.columns, count: float32(s.columns)}
		for i := lo; i < hi; i++ {
			r.dst, r.x, r.y = s.dst[i*s.columns:][:s.columns], s.x[i*s.columns:][:s.columns], s.y[i*s.columns:][:s.columns]
			r.mean, r.scale = s.u[i], s.v[i]
			if !layerNormBackwardAssembly(s.set, &r) {
				r.differentiate()
			}
		}
	})
	s.giveBack()
}

// differentiate is the gradient of layer-norm in plain Go.
func (r *normRow) differentiate() {
	var plain, centred float64
	for j, v := range r.x {
		g := float64(v) * float64(r.z[j])
		plain += g
		centred += g * float64((r.y[j]-r.mean)*r.scale)
	}
	plain /= float64(r.n)
	centred /= float64(r.n)
	for j, v := range r.x {
		r.dst[j] = r.scale * (v*r.z[j] - float32(plain) - (r.y[j]-r.mean)*r.scale*float32(centred))
	}
}

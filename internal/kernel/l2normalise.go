package kernel

import "math"

// L2Normalise divides each row by its length: dst = src/max(‖src‖₂, epsilon).
func L2Normalise(pool *Pool, dst, src []float32, epsilon float32, rows, columns int) {
	need("L2 normalisation", "dst", dst, rows*columns)
	need("L2 normalisation", "src", src, rows*columns)
	s := takeSpan()
	s.dst, s.x, s.columns, s.epsilon = dst, src, columns, epsilon
	s.over(pool, rows, rowGrain(columns), func(s *span, lo, hi int) {
		for i := lo; i < hi; i++ {
			x, dst := s.x[i*s.columns:][:s.columns], s.dst[i*s.columns:][:s.columns]
			length := max(math.Sqrt(dot64(x, x)), float64(s.epsilon))
			for c, v := range x {
				dst[c] = float32(float64(v) / length)
			}
		}
	})
	s.giveBack()
}

// L2NormaliseBackward computes the gradient of L2Normalise with respect to its input src. dsrc may be ddst.
func L2NormaliseBackward(pool *Pool, dsrc, ddst, src []float32, epsilon float32, rows, columns int) {
	const name = "L2 normalisation, gradient"
	need(name, "dsrc", dsrc, rows*columns)
	need(name, "ddst", ddst, rows*columns)
	need(name, "src", src, rows*columns)
	s := takeSpan()
	s.dst, s.x, s.y, s.columns, s.epsilon = dsrc, ddst, src, columns, epsilon
	s.over(pool, rows, rowGrain(columns), func(s *span, lo, hi int) {
		for i := lo; i < hi; i++ {
			dx, dy, x := s.dst[i*s.columns:][:s.columns], s.x[i*s.columns:][:s.columns], s.y[i*s.columns:][:s.columns]
			square := dot64(x, x)
			length, along := math.Sqrt(square), 0.0 // how far x moves along itself does not matter
			if length > float64(s.epsilon) {
				along = dot64(dy, x) / square
			} else {
				length = float64(s.epsilon)
			}
			for c, v := range x {
				dx[c] = float32((float64(dy[c]) - along*float64(v)) / length)
			}
		}
	})
	s.giveBack()
}

// sum64 is the sum in float64, in four parts so that additions need not wait for each other.
func sum64(x []float32) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a += float64(x[0])
		b += float64(x[1])
		c += float64(x[2])
		d += float64(x[3])
	}
	for _, v := range x {
		a += float64(v)
	}
	return a + b + (c + d)
}

// dot64 is the product of two rows in float64, likewise.
func dot64(x, y []float32) float64 {
	var a, b, c, d float64
	y = y[:len(x)]
	for ; len(x) >= 4; x, y = x[4:], y[4:] {
		a += float64(x[0]) * float64(y[0])
		b += float64(x[1]) * float64(y[1])
		c += float64(x[2]) * float64(y[2])
		d += float64(x[3]) * float64(y[3])
	}
	for i, v := range x {
		a += float64(v) * float64(y[i])
	}
	return a + b + (c + d)
}

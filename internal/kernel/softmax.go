package kernel

import "math"

// Softmax computes dst = e^src / Σ e^src for each row.
func Softmax(pool *Pool, dst, src []float32, rows, columns int) {
	overRows("softmax", active(), pool, dst, src, nil, rows, columns, func(dst, src, _ []float32) {
		top := greatest(src)
		var total float64
		for i, v := range src {
			e := math.Exp(float64(v - top))
			dst[i] = float32(e)
			total += e
		}
		factor := float32(1 / total)
		for i := range dst {
			dst[i] *= factor
		}
	})
}

// LogSoftmax computes dst = src - log Σ e^src for each row.
func LogSoftmax(pool *Pool, dst, src []float32, rows, columns int) {
	overRows("log-softmax", active(), pool, dst, src, nil, rows, columns, func(dst, src, _ []float32) {
		top := greatest(src)
		var total float64
		for _, v := range src {
			total += math.Exp(float64(v - top))
		}
		shift := math.Log(total)
		for i, v := range src {
			dst[i] = float32(float64(v-top) - shift)
		}
	})
}

// SoftmaxBackward computes dsrc from ddst and dst, the softmax's output. dsrc may be ddst.
func SoftmaxBackward(pool *Pool, dsrc, ddst, dst []float32, rows, columns int) {
	overRows("softmax gradient", active(), pool, dsrc, ddst, dst, rows, columns, func(dsrc, ddst, dst []float32) {
		var dot float64
		for i, v := range dst {
			dot += float64(v) * float64(ddst[i])
		}
		for i, v := range dst {
			dsrc[i] = v * (ddst[i] - float32(dot))
		}
	})
}

// LogSoftmaxBackward computes dsrc from ddst and dst, the log-softmax's output. dsrc may be ddst.
func LogSoftmaxBackward(pool *Pool, dsrc, ddst, dst []float32, rows, columns int) {
	overRows("log-softmax gradient", active(), pool, dsrc, ddst, dst, rows, columns, func(dsrc, ddst, dst []float32) {
		var total float64
		for _, v := range ddst {
			total += float64(v)
		}
		for i, v := range dst {
			dsrc[i] = ddst[i] - float32(math.Exp(float64(v))*total)
		}
	})
}

func greatest(x []float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		if v > top || v != v {
			top = v
		}
	}
	return top
}

// overRows runs body on each row of dst, x and, unless it is nil, y.
func overRows(operation string, set isa, pool *Pool, dst, x, y []float32, rows, columns int, body func(dst, x, y []float32)) {
	need(operation, "dst", dst, rows*columns)
	need(operation, "src", x, rows*columns)
	if y != nil {
		need(operation, "output", y, rows*columns)
	}
	s := takeSpan()
	s.set, s.dst, s.x, s.y, s.columns, s.row = set, dst, x, y, columns, body
	s.over(pool, rows, max(rowGrain(columns)/8, 1), func(s *span, lo, hi int) {
		for i := lo; i < hi; i++ {
			from, to := i*s.columns, (i+1)*s.columns
			var y []float32
			if s.y != nil {
				y = s.y[from:to]
			}
			s.row(s.dst[from:to], s.x[from:to], y)
		}
	})
	s.giveBack()
}

package kernel

// The functions here work on one stretch of memory in one thread. All slices have the length of
// dst.

func addInto(set isa, dst, a, b []float32, low, high float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = bound(a[i]+b[i], low, high)
	}
}

func mulInto(set isa, dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// mulAddInto adds a·b to dst.
func mulAddInto(set isa, dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}

// accumulateInto adds a to dst.
func accumulateInto(set isa, dst, a []float32) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] += a[i]
	}
}

// maxInto raises dst to a where a is greater or not a number.
func maxInto(set isa, dst, a []float32) {
	a = a[:len(dst)]
	for i, v := range a {
		if v > dst[i] || v != v {
			dst[i] = v
		}
	}
}

// scaleInto computes dst = a·factor.
func scaleInto(set isa, dst, a []float32, factor float32) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * factor
	}
}

func scaleShiftInto(set isa, dst, src, scale, shift []float32, low, high float32) {
	src, scale, shift = src[:len(dst)], scale[:len(dst)], shift[:len(dst)]
	for i := range dst {
		dst[i] = bound(src[i]*scale[i]+shift[i], low, high)
	}
}

// addSquareInto adds (x-mean)² to dst.
func addSquareInto(set isa, dst, x, mean []float32) {
	x, mean = x[:len(dst)], mean[:len(dst)]
	for i := range dst {
		d := x[i] - mean[i]
		dst[i] += d * d
	}
}

// addCentredInto adds y·(x-mean) to dst.
func addCentredInto(set isa, dst, y, x, mean []float32) {
	x, y, mean = x[:len(dst)], y[:len(dst)], mean[:len(dst)]
	for i := range dst {
		dst[i] += y[i] * (x[i] - mean[i])
	}
}

// combineInto computes dst = x·a + y·b + c.
func combineInto(set isa, dst, x, a, y, b, c []float32) {
	x, a, y, b, c = x[:len(dst)], a[:len(dst)], y[:len(dst)], b[:len(dst)], c[:len(dst)]
	for i := range dst {
		dst[i] = x[i]*a[i] + y[i]*b[i] + c[i]
	}
}

// sum adds up x.
func sum(set isa, x []float32) float32 {
	var s float32
	for _, v := range x {
		s += v
	}
	return s
}

func activateInto(set isa, act Activation, dst, src []float32) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] = act.of(v)
	}
}

func activateBackwardInto(set isa, act Activation, dsrc, ddst, src []float32) {
	ddst, src = ddst[:len(dsrc)], src[:len(dsrc)]
	for i, v := range src {
		dsrc[i] = ddst[i] * act.slope(v)
	}
}

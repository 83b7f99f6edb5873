package kernel

// Add computes dst = act(a + b), element by element, for len(dst) elements.
func Add(pool *Pool, dst, a, b []float32, act Activation) { add(active(), pool, dst, a, b, act) }

func add(set isa, pool *Pool, dst, a, b []float32, act Activation) {
	need("add", "a", a, len(dst))
	need("add", "b", b, len(dst))
	s := takeSpan()
	s.set, s.dst, s.x, s.y = set, dst, a, b
	s.low, s.high, s.act = act.clamp()
	s.over(pool, len(dst), grainFloats, func(s *span, lo, hi int) {
		dst := s.dst[lo:hi]
		v := sweep{dst: dst, x: s.x[lo:hi], y: s.y[lo:hi], n: hi - lo, rows: 1, low: s.low, high: s.high}
		v.do(s.set, opAdd)
		if s.act != None {
			activateInto(s.set, s.act, dst, dst)
		}
	})
	s.giveBack()
}

// Mul computes dst = a·b, element by element, for len(dst) elements.
func Mul(pool *Pool, dst, a, b []float32) { mul(active(), pool, dst, a, b) }

func mul(set isa, pool *Pool, dst, a, b []float32) {
	need("mul", "a", a, len(dst))
	need("mul", "b", b, len(dst))
	s := takeSpan()
	s.set, s.dst, s.x, s.y = set, dst, a, b
	s.over(pool, len(dst), grainFloats, func(s *span, lo, hi int) {
		v := sweep{dst: s.dst[lo:hi], x: s.x[lo:hi], y: s.y[lo:hi], n: hi - lo, rows: 1}
		v.do(s.set, opMul)
	})
	s.giveBack()
}

// MulChannels multiplies each image's channels by its own factors, as squeeze-and-excitation does:
// dst[i][p][c] = src[i][p][c]·scale[i][c], for n images of the given number of pixels.
func MulChannels(pool *Pool, dst, src, scale []float32, n, pixels, channels int) {
	mulChannels(active(), pool, dst, src, scale, n, pixels, channels)
}

func mulChannels(set isa, pool *Pool, dst, src, scale []float32, n, pixels, channels int) {
	need("mul channels", "dst", dst, n*pixels*channels)
	need("mul channels", "src", src, n*pixels*channels)
	need("mul channels", "scale", scale, n*channels)
	s := takeSpan()
	s.set, s.dst, s.x, s.y = set, dst, src, scale
	s.columns, s.n = channels, pixels
	s.over(pool, n*pixels, rowGrain(channels), func(s *span, lo, hi int) {
		for lo < hi {
			image := lo / s.n
			end := min(hi, (image+1)*s.n)
			v := sweep{dst: s.dst[lo*s.columns:], x: s.x[lo*s.columns:], y: s.y[image*s.columns:],
				step: [6]int{s.columns, s.columns}, n: s.columns, rows: end - lo}
			v.do(s.set, opMul)
			lo = end
		}
	})
	s.giveBack()
}

// MulChannelsBackward is the gradient of MulChannels: dsrc = ddst·scale, and dscale[i][c] is the sum
// of ddst·src over the pixels of image i. dsrc may be ddst.
func MulChannelsBackward(pool *Pool, dsrc, dscale, ddst, src, scale []float32, n, pixels, channels int) {
	mulChannelsBackward(active(), pool, dsrc, dscale, ddst, src, scale, n, pixels, channels)
}

func mulChannelsBackward(set isa, pool *Pool, dsrc, dscale, ddst, src, scale []float32, n, pixels, channels int) {
	need("mul channels gradient", "dscale", dscale, n*channels)
	need("mul channels gradient", "ddst", ddst, n*pixels*channels)
	need("mul channels gradient", "src", src, n*pixels*channels)
	need("mul channels gradient", "dsrc", dsrc, n*pixels*channels)
	s := takeSpan()
	s.set, s.dst, s.x, s.y = set, dscale, ddst, src
	s.columns, s.n = channels, pixels
	s.over(pool, n, 1, func(s *span, lo, hi int) {
		for i := lo; i < hi; i++ {
			sum := s.dst[i*s.columns:][:s.columns]
			clear(sum)
			at := i * s.n * s.columns
			v := sweep{dst: sum, x: s.x[at:], y: s.y[at:], step: [6]int{0, s.columns, s.columns}, n: s.columns, rows: s.n}
			v.do(s.set, opMulAdd)
		}
	})
	s.giveBack()
	mulChannels(set, pool, dsrc, ddst, scale, n, pixels, channels)
}

// ScaleShift computes dst[r][c] = act(src[r][c]·scale[c] + shift[c]) for all rows.
func ScaleShift(pool *Pool, dst, src, scale, shift []float32, rows, channels int, act Activation) {
	scaleShift(active(), pool, dst, src, scale, shift, rows, channels, channels, channels, act)
}

// ScaleShiftView is ScaleShift between bands of channels of wider tensors, whose pitches are given.
func ScaleShiftView(pool *Pool, dst []float32, dstPitch int, src []float32, srcPitch int, scale, shift []float32, rows, channels int, act Activation) {
	scaleShift(active(), pool, dst, src, scale, shift, rows, channels, dstPitch, srcPitch, act)
}

func scaleShift(set isa, pool *Pool, dst, src, scale, shift []float32, rows, channels, dstPitch, srcPitch int, act Activation) {
	if rows == 0 || channels == 0 {
		return
	}
	need("scale and shift", "dst", dst, (rows-1)*pitch(dstPitch, channels)+channels)
	need("scale and shift", "src", src, (rows-1)*pitch(srcPitch, channels)+channels)
	need("scale and shift", "scale", scale, channels)
	need("scale and shift", "shift", shift, channels)
	s := takeSpan()
	s.set, s.dst, s.x, s.y, s.z = set, dst, src, scale[:channels], shift[:channels]
	s.columns, s.h, s.w = channels, pitch(dstPitch, channels), pitch(srcPitch, channels)
	s.low, s.high, s.act = act.clamp()
	s.over(pool, rows, rowGrain(channels), func(s *span, lo, hi int) {
		v := sweep{dst: s.dst[lo*s.h:], x: s.x[lo*s.w:], y: s.y, z: s.z,
			step: [6]int{s.h, s.w}, n: s.columns, rows: hi - lo, low: s.low, high: s.high}
		v.do(s.set, opScaleShift)
		if s.act != None {
			v.x, v.step[1] = v.dst, s.h
			v.activate(s.set, s.act)
		}
	})
	s.giveBack()
}

// Activate computes dst = act(src), element by element, for len(dst) elements.
func Activate(pool *Pool, dst, src []float32, act Activation) {
	activate(active(), pool, dst, src, act)
}

func activate(set isa, pool *Pool, dst, src []float32, act Activation) {
	need("activate", "src", src, len(dst))
	s := takeSpan()
	s.set, s.dst, s.x, s.act = set, dst, src, act
	s.over(pool, len(dst), grainFloats, func(s *span, lo, hi int) {
		activateInto(s.set, s.act, s.dst[lo:hi], s.x[lo:hi])
	})
	s.giveBack()
}

// ActivateBackward computes dsrc = ddst·act′(src), element by element, for len(dsrc) elements; src
// is the input of the activation. For ReLU and ReLU6 its output will do as well. dsrc may be ddst.
func ActivateBackward(pool *Pool, dsrc, ddst, src []float32, act Activation) {
	activateBackward(active(), pool, dsrc, ddst, src, act)
}

func activateBackward(set isa, pool *Pool, dsrc, ddst, src []float32, act Activation) {
	need("activation gradient", "ddst", ddst, len(dsrc))
	need("activation gradient", "src", src, len(dsrc))
	s := takeSpan()
	s.set, s.dst, s.x, s.y, s.act = set, dsrc, ddst, src, act
	s.over(pool, len(dsrc), grainFloats, func(s *span, lo, hi int) {
		activateBackwardInto(s.set, s.act, s.dst[lo:hi], s.x[lo:hi], s.y[lo:hi])
	})
	s.giveBack()
}

package kernel

import (
	"fmt"
	"math"
)

// Pooling is the geometry of a max or average pooling.
type Pooling struct {
	KernelH, KernelW                     int
	StrideH, StrideW                     int
	PadTop, PadLeft, PadBottom, PadRight int
	Ceil                                 bool // round the output size up, as PyTorch's ceil_mode
	CountPadding                         bool // an average counts padding as zeros (count_include_pad)
}

// Validate returns an error when p describes no pooling.
func (p Pooling) Validate() error {
	switch {
	case p.KernelH < 1 || p.KernelW < 1:
		return fmt.Errorf("pooling: kernel %d×%d: must be positive", p.KernelH, p.KernelW)
	case p.StrideH < 1 || p.StrideW < 1:
		return fmt.Errorf("pooling: stride %d×%d: must be positive", p.StrideH, p.StrideW)
	case min(p.PadTop, p.PadLeft, p.PadBottom, p.PadRight) < 0:
		return fmt.Errorf("pooling: padding must not be negative")
	case max(p.PadTop, p.PadBottom) >= p.KernelH || max(p.PadLeft, p.PadRight) >= p.KernelW:
		return fmt.Errorf("pooling: padding top %d, left %d, bottom %d, right %d: must be less than the kernel %d×%d",
			p.PadTop, p.PadLeft, p.PadBottom, p.PadRight, p.KernelH, p.KernelW)
	}
	return nil
}

// OutSize returns the output's height and width for an input of h×w; 0×0 when the window does not
// fit.
func (p Pooling) OutSize(h, w int) (oh, ow int) {
	oh = p.positions(h, p.KernelH, p.StrideH, p.PadTop, p.PadBottom)
	ow = p.positions(w, p.KernelW, p.StrideW, p.PadLeft, p.PadRight)
	if oh == 0 || ow == 0 {
		return 0, 0
	}
	return oh, ow
}

func (p Pooling) positions(size, kernel, stride, before, after int) int {
	n := outSize(size+before+after, kernel, stride, 1)
	if n > 0 && p.Ceil && (size+before+after-kernel)%stride != 0 && n*stride < size+before {
		n++ // a last window that begins inside the input or the padding before it
	}
	return n
}

// window returns the lines and columns of the input that position (oy, ox) sees, and the number of
// elements an average divides by.
func (p Pooling) window(oy, ox, h, w int) (y0, y1, x0, x1, count int) {
	y0, x0 = oy*p.StrideH-p.PadTop, ox*p.StrideW-p.PadLeft
	y1, x1 = y0+p.KernelH, x0+p.KernelW
	count = (min(y1, h+p.PadBottom) - y0) * (min(x1, w+p.PadRight) - x0)
	y0, y1, x0, x1 = max(y0, 0), min(y1, h), max(x0, 0), min(x1, w)
	if !p.CountPadding {
		count = (y1 - y0) * (x1 - x0)
	}
	return
}

// check panics when a slice is too short.
func (p Pooling) check(dst, src []float32, n, h, w, c int) (oh, ow int) {
	if err := p.Validate(); err != nil {
		panic("kernel: " + err.Error())
	}
	oh, ow = p.OutSize(h, w)
	need("pooling", "dst", dst, n*oh*ow*c)
	if n*oh*ow > 0 {
		need("pooling", "src", src, n*h*w*c)
	}
	return oh, ow
}

// MaxPool computes the greatest value of each window and channel; a NaN counts as greatest. src is
// [n][h][w][c], dst [n][oh][ow][c]; they must not overlap.
func MaxPool(pool *Pool, p Pooling, dst, src []float32, n, h, w, c int) {
	maxPool(active(), pool, p, dst, src, n, h, w, c)
}

func maxPool(set isa, pool *Pool, p Pooling, dst, src []float32, n, h, w, c int) {
	p.over(set, pool, dst, src, n, h, w, c, func(s *span, lo, hi int) {
		s.eachWindow(lo, hi, func(s *span, out []float32, image, y0, y1, x0, x1, _ int) {
			for i := range out {
				out[i] = float32(math.Inf(-1))
			}
			for y := y0; y < y1; y++ {
				v := sweep{dst: out, x: s.x[((image*s.h+y)*s.w+x0)*s.columns:], step: [6]int{0, s.columns}, n: s.columns, rows: x1 - x0}
				v.do(s.set, opMaximum)
			}
		})
	})
}

// AvgPool computes the mean of each window and channel. src is [n][h][w][c], dst [n][oh][ow][c];
// they must not overlap.
func AvgPool(pool *Pool, p Pooling, dst, src []float32, n, h, w, c int) {
	avgPool(active(), pool, p, dst, src, n, h, w, c)
}

func avgPool(set isa, pool *Pool, p Pooling, dst, src []float32, n, h, w, c int) {
	p.over(set, pool, dst, src, n, h, w, c, func(s *span, lo, hi int) {
		s.eachWindow(lo, hi, func(s *span, out []float32, image, y0, y1, x0, x1, count int) {
			clear(out)
			for y := y0; y < y1; y++ {
				v := sweep{dst: out, x: s.x[((image*s.h+y)*s.w+x0)*s.columns:], step: [6]int{0, s.columns}, n: s.columns, rows: x1 - x0}
				v.do(s.set, opAccumulate)
			}
			scaleInto(s.set, out, out, 1/float32(count))
		})
	})
}

// over runs body over the lines of the output.
func (p Pooling) over(set isa, pool *Pool, dst, src []float32, n, h, w, c int, body func(s *span, lo, hi int)) {
	oh, ow := p.check(dst, src, n, h, w, c)
	s := takeSpan()
	s.set, s.pooling, s.dst, s.x = set, p, dst, src
	s.n, s.h, s.w, s.columns = n, h, w, c
	s.over(pool, n*oh, rowGrain(ow*c*p.StrideH*p.StrideW), body)
	s.giveBack()
}

// eachWindow visits the windows of output lines lo … hi-1.
func (s *span) eachWindow(lo, hi int, visit func(s *span, out []float32, image, y0, y1, x0, x1, count int)) {
	oh, ow := s.pooling.OutSize(s.h, s.w)
	for i := lo; i < hi; i++ {
		for ox := range ow {
			y0, y1, x0, x1, count := s.pooling.window(i%oh, ox, s.h, s.w)
			visit(s, s.dst[(i*ow+ox)*s.columns:][:s.columns], i/oh, y0, y1, x0, x1, count)
		}
	}
}

// MaxPoolBackward computes dsrc from ddst and the input of the pooling: the gradient of each window
// goes to its first greatest element, lines first, as in PyTorch.
func MaxPoolBackward(pool *Pool, p Pooling, dsrc, ddst, src []float32, n, h, w, c int) {
	p.backward(active(), pool, dsrc, ddst, src, n, h, w, c, func(s *span, image, lo, hi int) {
		s.eachWindowOf(image, func(s *span, d []float32, y0, y1, x0, x1, _ int) {
			for j := lo; j < hi; j++ {
				best := ((image*s.h+y0)*s.w+x0)*s.columns + j
				for y := y0; y < y1; y++ {
					for x := x0; x < x1; x++ {
						at := ((image*s.h+y)*s.w+x)*s.columns + j
						if v := s.x[at]; v > s.x[best] || v != v {
							best = at
						}
					}
				}
				s.dst[best] += d[j]
			}
		})
	})
}

// AvgPoolBackward computes dsrc from ddst.
func AvgPoolBackward(pool *Pool, p Pooling, dsrc, ddst []float32, n, h, w, c int) {
	p.backward(active(), pool, dsrc, ddst, nil, n, h, w, c, func(s *span, image, lo, hi int) {
		s.eachWindowOf(image, func(s *span, d []float32, y0, y1, x0, x1, count int) {
			factor := 1 / float32(count)
			for y := y0; y < y1; y++ {
				for x := x0; x < x1; x++ {
					at := ((image*s.h + y) * s.w) + x
					out := s.dst[at*s.columns:][:s.columns]
					for j := lo; j < hi; j++ {
						out[j] += d[j] * factor
					}
				}
			}
		})
	})
}

// backwardBand is the number of channels of a piece of a pooling's gradient.
const backwardBand = 64

// backward runs body on every image and band of channels, with the gradient cleared.
func (p Pooling) backward(set isa, pool *Pool, dsrc, ddst, src []float32, n, h, w, c int, body func(s *span, image, lo, hi int)) {
	p.check(ddst, dsrc, n, h, w, c)
	need("pooling gradient", "dsrc", dsrc, n*h*w*c)
	if src != nil {
		need("pooling gradient", "src", src, n*h*w*c)
	}
	s := takeSpan()
	s.set, s.pooling, s.dst, s.x, s.y = set, p, dsrc, src, ddst
	s.n, s.h, s.w, s.columns = n, h, w, c
	s.band = body
	s.over(pool, n*ceilDiv(c, backwardBand), 1, func(s *span, lo, hi int) {
		bands := ceilDiv(s.columns, backwardBand)
		for i := lo; i < hi; i++ {
			image, first := i/bands, i%bands*backwardBand
			last := min(first+backwardBand, s.columns)
			for pixel := range s.h * s.w {
				at := (image*s.h*s.w + pixel) * s.columns
				clear(s.dst[at+first : at+last])
			}
			s.band(s, image, first, last)
		}
	})
	s.giveBack()
}

// eachWindowOf visits the windows of one image with the gradient of each.
func (s *span) eachWindowOf(image int, visit func(s *span, d []float32, y0, y1, x0, x1, count int)) {
	oh, ow := s.pooling.OutSize(s.h, s.w)
	for oy := range oh {
		for ox := range ow {
			y0, y1, x0, x1, count := s.pooling.window(oy, ox, s.h, s.w)
			visit(s, s.y[((image*oh+oy)*ow+ox)*s.columns:][:s.columns], y0, y1, x0, x1, count)
		}
	}
}

// GlobalAvgPool computes the mean over the pixels of each image and channel: src is
// [n][pixels][c], dst [n][c].
func GlobalAvgPool(pool *Pool, dst, src []float32, n, pixels, c int) {
	globalAvgPool(active(), pool, dst, src, n, pixels, c)
}

func globalAvgPool(set isa, pool *Pool, dst, src []float32, n, pixels, c int) {
	need("global pooling", "dst", dst, n*c)
	need("global pooling", "src", src, n*pixels*c)
	s := takeSpan()
	s.set, s.dst, s.x, s.columns, s.n = set, dst, src, c, pixels
	s.over(pool, n, 1, func(s *span, lo, hi int) {
		for i := lo; i < hi; i++ {
			out := s.dst[i*s.columns:][:s.columns]
			clear(out)
			v := sweep{dst: out, x: s.x[i*s.n*s.columns:], step: [6]int{0, s.columns}, n: s.columns, rows: s.n}
			v.do(s.set, opAccumulate)
			if s.n > 0 {
				scaleInto(s.set, out, out, 1/float32(s.n))
			}
		}
	})
	s.giveBack()
}

// GlobalAvgPoolBackward computes dsrc, [n][pixels][c], from ddst, [n][c].
func GlobalAvgPoolBackward(pool *Pool, dsrc, ddst []float32, n, pixels, c int) {
	need("global pooling gradient", "dsrc", dsrc, n*pixels*c)
	need("global pooling gradient", "ddst", ddst, n*c)
	s := takeSpan()
	s.set, s.dst, s.x, s.columns, s.n = active(), dsrc, ddst, c, pixels
	s.over(pool, n*pixels, rowGrain(c), func(s *span, lo, hi int) {
		for i := lo; i < hi; i++ {
			scaleInto(s.set, s.dst[i*s.columns:][:s.columns], s.x[i/s.n*s.columns:][:s.columns], 1/float32(s.n))
		}
	})
	s.giveBack()
}

// GlobalMaxPool computes the greatest value over the pixels of each image and channel.
func GlobalMaxPool(pool *Pool, dst, src []float32, n, pixels, c int) {
	if n*pixels*c == 0 {
		return
	}
	MaxPool(pool, Pooling{KernelH: pixels, KernelW: 1, StrideH: pixels, StrideW: 1}, dst, src, n, pixels, 1, c)
}

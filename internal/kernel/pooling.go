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
	p.forward(set, pool, dst, src, n, h, w, c, opMaximum)
}

// AvgPool computes the mean of each window and channel. src is [n][h][w][c], dst [n][oh][ow][c];
// they must not overlap.
func AvgPool(pool *Pool, p Pooling, dst, src []float32, n, h, w, c int) {
	avgPool(active(), pool, p, dst, src, n, h, w, c)
}

func avgPool(set isa, pool *Pool, p Pooling, dst, src []float32, n, h, w, c int) {
	p.forward(set, pool, dst, src, n, h, w, c, opAccumulate)
}

// forward pools line by line: takes the mean if o is opAccumulate, and otherwise what o takes.
func (p Pooling) forward(set isa, pool *Pool, dst, src []float32, n, h, w, c int, o operation) {
	oh, ow := p.check(dst, src, n, h, w, c)
	s := takeSpan()
	s.set, s.pooling, s.dst, s.x, s.pool = set, p, dst, src, o
	s.n, s.h, s.w, s.columns = n, h, w, c
	s.overScratch(pool, n*oh, rowGrain(ow*c*p.StrideH*p.StrideW), (w+1)*c, func(s *span, scratch []float32, lo, hi int) {
		oh, ow := s.pooling.OutSize(s.h, s.w)
		for i := lo; i < hi; i++ {
			s.poolLine(s.dst[i*ow*s.columns:], scratch, i/oh, i%oh, 0, s.columns)
		}
	})
	s.giveBack()
}

// poolLine computes an output line for the given number of channels: first over the lines of the
// input, in scratch, then over the columns. The line's pixels lie channels apart in dst.
func (s *span) poolLine(dst, scratch []float32, image, oy, first, channels int) {
	p, c := s.pooling, s.columns
	_, ow := p.OutSize(s.h, s.w)
	y0, y1, _, _, _ := p.window(oy, 0, s.h, s.w)
	line, edge := scratch[:s.w*channels], scratch[s.w*channels:][:channels]
	o, start := s.pool, float32(math.Inf(-1))
	switch o {
	case opAccumulate, opMaximumUint8:
		start = 0
	case opMaximumBFloat16:
		start = math.Float32frombits(0xff80ff80) // two of -∞
	}
	for i := range edge {
		edge[i] = start
	}
	for y := y0; y < y1; y++ {
		v := sweep{dst: line, x: s.x[(image*s.h+y)*s.w*c+first:], step: [6]int{channels, c}, n: channels, rows: s.w}
		if channels == c {
			v.n, v.rows = s.w*c, 1
		}
		if y == y0 {
			v.do(s.set, opCopy)
		} else {
			v.do(s.set, o)
		}
	}
	v := sweep{dst: dst, x: edge, step: [6]int{channels}, n: channels, rows: ow}
	v.do(s.set, opCopy)
	for kx := range p.KernelW {
		if from, to := p.columns(kx, s.w, ow); from < to {
			v := sweep{dst: dst[from*channels:], x: line[(from*p.StrideW+kx-p.PadLeft)*channels:],
				step: [6]int{channels, p.StrideW * channels}, n: channels, rows: to - from}
			v.do(s.set, o)
		}
	}
	if o != opAccumulate {
		return
	}
	for ox := range ow {
		_, _, _, _, count := p.window(oy, ox, s.h, s.w)
		out := dst[ox*channels:][:channels]
		scaleInto(s.set, out, out, 1/float32(count))
	}
}

// columns returns the output positions from … to-1 whose column kx of the window is inside.
func (p Pooling) columns(kx, w, ow int) (from, to int) {
	first := kx - p.PadLeft
	return ceilDiv(max(-first, 0), p.StrideW), min(ow, ceilDiv(max(w-first, 0), p.StrideW))
}

// MaxPoolBackward computes dsrc from ddst and the input of the pooling: the gradient of each window
// goes to its first greatest element, lines first, as in PyTorch.
func MaxPoolBackward(pool *Pool, p Pooling, dsrc, ddst, src []float32, n, h, w, c int) {
	maxPoolBackward(active(), pool, p, dsrc, ddst, src, n, h, w, c)
}

func maxPoolBackward(set isa, pool *Pool, p Pooling, dsrc, ddst, src []float32, n, h, w, c int) {
	need("pooling gradient", "src", src, n*h*w*c)
	p.backward(set, pool, dsrc, ddst, src, n, h, w, c, false)
}

// AvgPoolBackward computes dsrc from ddst.
func AvgPoolBackward(pool *Pool, p Pooling, dsrc, ddst []float32, n, h, w, c int) {
	avgPoolBackward(active(), pool, p, dsrc, ddst, n, h, w, c)
}

func avgPoolBackward(set isa, pool *Pool, p Pooling, dsrc, ddst []float32, n, h, w, c int) {
	p.backward(set, pool, dsrc, ddst, nil, n, h, w, c, true)
}

// backwardBand is the number of channels of a piece of a pooling's gradient.
const backwardBand = 64

// backward hands the gradient of each output line back to the input lines it has seen, an image and
// a band of channels at a time.
func (p Pooling) backward(set isa, pool *Pool, dsrc, ddst, src []float32, n, h, w, c int, average bool) {
	_, ow := p.check(ddst, dsrc, n, h, w, c)
	need("pooling gradient", "dsrc", dsrc, n*h*w*c)
	s := takeSpan()
	s.set, s.pooling, s.dst, s.x, s.y, s.pool = set, p, dsrc, src, ddst, opMaximum
	if average {
		s.pool = opAccumulate
	}
	s.n, s.h, s.w, s.columns = n, h, w, c
	s.overScratch(pool, n*ceilDiv(c, backwardBand), 1, (2*ow+w+1)*min(c, backwardBand), func(s *span, scratch []float32, lo, hi int) {
		bands := ceilDiv(s.columns, backwardBand)
		for i := lo; i < hi; i++ {
			first := i % bands * backwardBand
			s.poolBand(scratch, i/bands, first, min(backwardBand, s.columns-first))
		}
	})
	s.giveBack()
}

// poolBand computes the gradient of some channels of an image.
func (s *span) poolBand(scratch []float32, image, first, channels int) {
	p, c := s.pooling, s.columns
	oh, ow := p.OutSize(s.h, s.w)
	at := image*s.h*s.w*c + first
	for pixel := range s.h * s.w {
		clear(s.dst[at+pixel*c:][:channels])
	}
	rest, best := scratch[:ow*channels], scratch[ow*channels:2*ow*channels]
	for oy := range oh {
		v := sweep{dst: rest, x: s.y[(image*oh+oy)*ow*c+first:], step: [6]int{channels, c}, n: channels, rows: ow}
		v.do(s.set, opCopy)
		if s.pool == opAccumulate {
			for ox := range ow {
				_, _, _, _, count := p.window(oy, ox, s.h, s.w)
				d := rest[ox*channels:][:channels]
				scaleInto(s.set, d, d, 1/float32(count))
			}
		} else {
			s.poolLine(best, scratch[2*ow*channels:], image, oy, first, channels)
		}
		y0, y1, _, _, _ := p.window(oy, 0, s.h, s.w)
		for y := y0; y < y1; y++ {
			for kx := range p.KernelW {
				from, to := p.columns(kx, s.w, ow)
				if from >= to {
					continue
				}
				at := at + (y*s.w+from*p.StrideW+kx-p.PadLeft)*c
				v := sweep{dst: s.dst[at:], step: [6]int{p.StrideW * c, p.StrideW * c, channels, channels}, n: channels, rows: to - from}
				if s.pool == opAccumulate {
					v.x, v.step[1] = rest[from*channels:], channels
					v.do(s.set, opAccumulate)
				} else { // what is left of each gradient goes to the first place that is the greatest
					v.x, v.y, v.z = s.x[at:], best[from*channels:], rest[from*channels:]
					v.do(s.set, opRoute)
				}
			}
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

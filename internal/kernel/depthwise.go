package kernel

import "unsafe"

// depthwiseVector is the number of channels whose weights lie together.
func (s isa) depthwiseVector() int {
	if s == avx2 {
		return 8
	}
	return 16
}

// depthwiseSize returns the floats of packed weights.
func depthwiseSize(set isa, taps, channels int) int {
	v := set.depthwiseVector()
	return ceilDiv(channels, v) * (1 + taps) * v
}

// packDepthwise lays out the weights [channel][tap] and the bias as [block of channels][bias and
// taps][channel].
func (f *phase) packDepthwise(set isa, c Conv, weights, bias []float32) {
	kernel := c.KernelH * c.KernelW
	v := set.depthwiseVector()
	clear(f.b)
	for channel := range c.InC {
		at := channel/v*(1+len(f.y.index)*len(f.x.index))*v + channel%v
		f.b[at] = bias[channel]
		for _, ky := range f.y.index {
			for _, kx := range f.x.index {
				at += v
				f.b[at] = weights[channel*kernel+ky*c.KernelW+kx]
			}
		}
	}
}

// depthwiseTask is a depthwise phase in progress, cut into blocks of lines. Lines go to the kernel
// that keeps the weights of its window in registers, where there is one, and channels that do not
// fill its vectors, residuals and other windows to plain code.
type depthwiseTask struct {
	*convTask
	lines    int // of a block
	kernel   func(*depthwiseLine)
	vector   int     // channels the kernel takes are a multiple of this
	channels int     // of a call
	limits   []int64 // for the positions before and after the middle: first and last+1 tap inside
	line     depthwiseLine
}

// depthwiseLine is what a kernel computes in one call: a line of positions, for some channels.
// Positions come in three runs: some at the left, each with taps from its first limit up to its
// second, then groups of four that see all taps, then again some with limits.
//
// The assembly reads this struct at the offsets that depthwise_test.go pins.
type depthwiseLine struct {
	src, dst, weights   *float32
	limits              *int64
	rows                [5]int // bytes from src to the input line of each tap, at the first position's first column
	srcPixel, dstPixel  int    // distance of pixels, in bytes
	channels            int
	left, middle, right int
	edgeIn, edgeOut     int // bytes from the end of a position's channels to the next position
	groupIn, groupOut   int
	mask                int // the lanes of a last, partial vector
	low, high           float32
	scratch             [2]int
}

// The wide kernel takes lines of more than narrowPositions, for at most wideFloats of input and
// weights at once, which stay in the L1 cache.
const (
	narrowPositions = 14
	wideFloats      = 8 << 10
)

func (t *convTask) runDepthwise(pool *Pool) {
	w := t.workspace
	d := &w.depthwise
	limits := d.limits
	*d = depthwiseTask{convTask: t, lines: max(ceilDiv(t.N*t.ny, 4*blocksAtMost), 1)}
	zeros := 0
	if k := len(t.x.taps); k == len(t.y.taps) && t.x.reach() == k-1 && t.y.reach() == k-1 && t.Residual == nil {
		d.kernel = lineKernel(t.set, k, t.x.in, t.nx > narrowPositions)
		d.channels = t.in
		if t.nx > narrowPositions {
			together := k*(3*t.x.in+k) + k*k
			d.channels = max(wideFloats/together, 16) &^ 15
		}
	}
	if d.kernel != nil {
		d.vector = 1
		if t.set == avx2 {
			d.vector = 8
		}
		zeros = (t.inW-1)*t.SrcPitch + t.in
		d.setLimits(limits)
	}
	w.reserve(pool.Threads(), zeros, 0, 0)
	clear(w.shared[:zeros])
	pool.run(ceilDiv(t.N*t.ny, d.lines), d)
	*d = depthwiseTask{limits: d.limits}
}

// setLimits decides which positions the kernel computes in groups.
func (d *depthwiseTask) setLimits(limits []int64) {
	k, stride, low := len(d.x.taps), d.x.in, d.x.low()
	left := 0
	for left < d.nx && left*stride+low < 0 {
		left++
	}
	inside := left
	for inside < d.nx && inside*stride+low+k <= d.inW {
		inside++
	}
	l := &d.line
	l.left, l.middle = left, (inside-left)/4
	l.right = d.nx - left - 4*l.middle
	d.limits = limits[:0]
	for i := range d.nx {
		if i >= left && i < left+4*l.middle {
			continue
		}
		first := i*stride + low
		d.limits = append(d.limits, int64(max(-first, 0)), int64(min(d.inW-first, k)))
	}
	d.limits = append(d.limits, 0) // never empty
	l.srcPixel, l.dstPixel = 4*d.SrcPitch, 4*d.DstPitch*d.x.out
	l.low, l.high = d.low, d.high
}

func (d *depthwiseTask) do(worker, block int) {
	l := &d.workspace.locals[worker]
	for i := block * d.lines; i < min((block+1)*d.lines, d.N*d.ny); i++ {
		first := 0
		if d.kernel != nil {
			first = d.in - d.in%d.vector
			l.line = d.line
			d.vectorLine(&l.line, i/d.ny, i%d.ny, first)
		}
		d.plainLine(i/d.ny, i%d.ny, first)
		if d.rest == None {
			continue
		}
		for j := range d.nx {
			out := d.Dst[d.pixel(i/d.ny, i%d.ny, segment{x: j})*d.DstPitch:][:d.in]
			activateInto(d.set, d.rest, out, out)
		}
	}
	l.line = depthwiseLine{}
}

// vectorLine computes the first channels of a line.
func (d *depthwiseTask) vectorLine(l *depthwiseLine, image, j, channels int) {
	src := unsafe.SliceData(d.Src)
	toZeros := int(uintptr(unsafe.Pointer(unsafe.SliceData(d.workspace.shared))) - uintptr(unsafe.Pointer(src)))
	var rows [5]int
	for i, tap := range d.y.taps {
		y := j*d.y.in + tap
		if y < 0 || y >= d.inH {
			rows[i] = toZeros + 4*d.x.low()*d.SrcPitch
		} else {
			rows[i] = 4 * ((image*d.inH+y)*d.inW + d.x.low()) * d.SrcPitch
		}
	}
	l.src = src
	l.limits = unsafe.SliceData(d.limits)
	out := d.pixel(image, j, segment{}) * d.DstPitch
	v := d.set.depthwiseVector()
	for c := 0; c < channels; c += d.channels {
		for i := range d.y.taps {
			l.rows[i] = rows[i] + 4*c
		}
		l.dst = &d.Dst[out+c]
		l.weights = &d.b[c*(1+len(d.y.taps)*len(d.x.taps))]
		l.channels = min(d.channels, channels-c)
		l.mask = 1<<(l.channels%v) - 1
		advance := 4 * roundUp(l.channels, v)
		l.edgeIn, l.edgeOut = d.x.in*l.srcPixel-advance, l.dstPixel-advance
		l.groupIn, l.groupOut = 4*d.x.in*l.srcPixel-advance, 4*l.dstPixel-advance
		d.kernel(l)
	}
}

// plainLine computes the channels from first on of a line, but for the activation's rest.
func (d *depthwiseTask) plainLine(image, j, first int) {
	v := d.set.depthwiseVector()
	taps := len(d.y.taps) * len(d.x.taps)
	for ; first < d.in; first += v {
		n := min(v, d.in-first)
		b := d.b[first*(1+taps):]
		for jx := range d.nx {
			var store [16]float32
			sum := store[:n]
			copy(sum, b)
			for i, ty := range d.y.taps {
				iy := j*d.y.in + ty
				if iy < 0 || iy >= d.inH {
					continue
				}
				for k, tx := range d.x.taps {
					ix := jx*d.x.in + tx
					if ix < 0 || ix >= d.inW {
						continue
					}
					in := d.Src[((image*d.inH+iy)*d.inW+ix)*d.SrcPitch+first:][:n]
					w := b[(1+i*len(d.x.taps)+k)*v:][:n]
					for c, x := range in {
						sum[c] += x * w[c]
					}
				}
			}
			pixel := d.pixel(image, j, segment{x: jx})
			if d.Residual != nil {
				for c, x := range d.Residual[pixel*d.ResidualPitch+first:][:n] {
					sum[c] += x
				}
			}
			out := d.Dst[pixel*d.DstPitch+first:][:n]
			for c, x := range sum {
				out[c] = bound(x, d.low, d.high)
			}
		}
	}
}

package kernel

import "unsafe"

// packDepthwise lays out the weights [channel][tap] of a depthwise convolution as [tap][channel].
func (f *phase) packDepthwise(c Conv, weights []float32) {
	kernel := c.KernelH * c.KernelW
	i := 0
	for _, ky := range f.y.index {
		for _, kx := range f.x.index {
			for channel := range c.InC {
				f.b[i] = weights[channel*kernel+ky*c.KernelW+kx]
				i++
			}
		}
	}
}

// depthwiseTask is a depthwise phase in progress, cut into blocks of lines. Lines go to the kernel
// that keeps the weights of its window in registers, where there is one, and channels that do not
// fill its vectors, residuals and other windows to plain code.
type depthwiseTask struct {
	*convTask
	lines  int // of a block
	kernel func(*depthwiseLine)
	vector int     // channels the kernel takes are a multiple of this
	limits []int64 // for the positions before and after the middle: first and last+1 tap inside
	line   depthwiseLine
}

// depthwiseLine is what the kernel computes in one call: a line of positions, for some channels.
// Positions come in three runs: some at the left, each with taps from its first limit up to its
// second, then groups of four that see all taps, then again some with limits.
//
// The assembly reads, and uses as scratch, this struct at the offsets that depthwise_test.go pins.
type depthwiseLine struct {
	src, dst, weights, bias *float32
	limits                  *int64
	rows                    [5]int // bytes from src to the input line of each tap, at the first position's first column
	srcPixel, dstPixel      int    // distance of pixels, in bytes
	weightRow               int    // distance of taps, in bytes
	channels                int
	left, middle, right     int
	low, high               float32
	at                      int // the kernel's own
}

func (t *convTask) runDepthwise(pool *Pool) {
	w := t.workspace
	d := &w.depthwise
	limits := d.limits
	*d = depthwiseTask{convTask: t, lines: max(ceilDiv(t.N*t.ny, 4*blocksAtMost), 1)}
	zeros := 0
	if k := len(t.x.taps); k == len(t.y.taps) && t.x.reach() == k-1 && t.y.reach() == k-1 && t.Residual == nil {
		d.kernel = lineKernel(t.set, k, t.x.in)
	}
	if d.kernel != nil {
		d.vector = 1
		if t.set == avx2 {
			d.vector = 8
		}
		zeros = (t.inW-1)*t.SrcPitch + t.in
		d.setLimits(limits)
	}
	w.reserve(pool.Threads(), zeros, t.in, 0)
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
	l.weightRow = 4 * d.in
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
		d.plainLine(l.floats, i/d.ny, i%d.ny, first)
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
	if channels == 0 {
		return
	}
	src := unsafe.SliceData(d.Src)
	toZeros := int(uintptr(unsafe.Pointer(unsafe.SliceData(d.workspace.shared))) - uintptr(unsafe.Pointer(src)))
	for i, tap := range d.y.taps {
		y := j*d.y.in + tap
		if y < 0 || y >= d.inH {
			l.rows[i] = toZeros + 4*d.x.low()*d.SrcPitch
		} else {
			l.rows[i] = 4 * ((image*d.inH+y)*d.inW + d.x.low()) * d.SrcPitch
		}
	}
	l.src = src
	l.dst = &d.Dst[d.pixel(image, j, segment{})*d.DstPitch]
	l.weights, l.bias = unsafe.SliceData(d.b), unsafe.SliceData(d.bias)
	l.limits = unsafe.SliceData(d.limits)
	l.channels = channels
	d.kernel(l)
}

// plainLine computes the channels from first on of a line, but for the activation's rest.
func (d *depthwiseTask) plainLine(sum []float32, image, j, first int) {
	if first == d.in {
		return
	}
	channels := d.in - first
	sum = sum[:channels]
	for jx := range d.nx {
		pixel := d.pixel(image, j, segment{x: jx})
		copy(sum, d.bias[first:])
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
				in := d.Src[((image*d.inH+iy)*d.inW+ix)*d.SrcPitch+first:][:channels]
				mulAddInto(d.set, sum, in, d.b[(i*len(d.x.taps)+k)*d.in+first:])
			}
		}
		if d.Residual != nil {
			accumulateInto(d.set, sum, d.Residual[pixel*d.ResidualPitch+first:])
		}
		out := d.Dst[pixel*d.DstPitch+first:][:channels]
		for c, v := range sum {
			out[c] = bound(v, d.low, d.high)
		}
	}
}

package kernel

import "unsafe"

// depthwiseVector is the number of channels that the line kernels take together.
func (s isa) depthwiseVector() int {
	if s == avx2 {
		return 8
	}
	return 16
}

// lineKernel returns the kernel for lines of the given number of positions, or nil.
func (f *phase) lineKernel(set isa, positions int) func(*depthwiseLine) {
	k := len(f.x.taps)
	if k != len(f.y.taps) || f.x.reach() != k-1 || f.y.reach() != k-1 {
		return nil
	}
	return lineKernel(set, k, f.x.in, positions > narrowPositions)
}

// newDepthwise returns space for the weights of a depthwise phase.
func (f *phase) newDepthwise(set isa, channels int) {
	f.together = channels
	if f.lineKernel(set, 1) != nil {
		f.together = set.depthwiseVector()
	}
	f.b = aligned(ceilDiv(channels, f.together) * (1 + len(f.y.taps)*len(f.x.taps)) * f.together)
}

// packDepthwise lays out the weights [channel][tap] and the bias as [block of channels][bias and
// taps][channel].
func (f *phase) packDepthwise(c Conv, weights, bias []float32) {
	kernel := c.KernelH * c.KernelW
	v := f.together
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
	if t.Residual == nil && d.prepare(limits) {
		zeros = (t.inW-1)*t.SrcPitch + t.in
	}
	w.reserve(pool.Threads(), zeros, 0, 0)
	clear(w.shared[:zeros])
	pool.run(ceilDiv(t.N*t.ny, d.lines), d)
	*d = depthwiseTask{limits: d.limits}
}

// prepare chooses the kernel, if there is one, and what it computes in a call; limits is memory for them.
func (d *depthwiseTask) prepare(limits []int64) bool {
	if d.kernel = d.lineKernel(d.set, d.nx); d.kernel == nil {
		return false
	}
	d.vector = 1
	if d.set == avx2 {
		d.vector = 8
	}
	d.channels = d.in
	if k := len(d.x.taps); d.nx > narrowPositions {
		together := k*(3*d.x.in+k) + k*k
		d.channels = max(wideFloats/together, 16) &^ 15
	}
	d.setLimits(limits)
	return true
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
		d.activateLine(i/d.ny, i%d.ny)
	}
	l.line = depthwiseLine{}
}

// activateLine applies what is left of the activation to a line.
func (d *depthwiseTask) activateLine(image, j int) {
	if d.rest == None {
		return
	}
	out, step := d.Dst[d.pixel(image, j, segment{})*d.DstPitch:], d.DstPitch*d.x.out
	v := sweep{dst: out, x: out, step: [6]int{step, step}, n: d.in, rows: d.nx}
	if step == d.in {
		v.n, v.rows = d.in*d.nx, 1 // no gaps between the positions
	}
	v.activate(d.set, d.rest)
}

// vectorLine computes the first channels of a line.
func (d *depthwiseTask) vectorLine(l *depthwiseLine, image, j, channels int) {
	var starts [5]int
	for i, tap := range d.y.taps {
		starts[i] = -1
		if y := j*d.y.in + tap; y >= 0 && y < d.inH {
			starts[i] = (image*d.inH + y) * d.inW * d.SrcPitch
		}
	}
	d.lineOf(l, d.Src, starts[:len(d.y.taps)], image, j, channels)
}

// lineOf computes the first channels of a line from lines that start there in from; those that start at -1 are zeros.
func (d *depthwiseTask) lineOf(l *depthwiseLine, from []float32, starts []int, image, j, channels int) {
	src := unsafe.SliceData(from)
	toZeros := int(uintptr(unsafe.Pointer(unsafe.SliceData(d.workspace.shared))) - uintptr(unsafe.Pointer(src)))
	var rows [5]int
	for i, start := range starts {
		if rows[i] = 4 * d.x.low() * d.SrcPitch; start < 0 {
			rows[i] += toZeros
		} else {
			rows[i] += 4 * start
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

// plainLine computes the channels from first on of a line, tap by tap, but for the activation's
// rest.
func (d *depthwiseTask) plainLine(image, j, first int) {
	taps := len(d.y.taps) * len(d.x.taps)
	start := d.pixel(image, j, segment{})
	for n := 0; first < d.in; first += n {
		n = min(d.together, d.in-first)
		b := d.b[first*(1+taps):]
		out := d.Dst[start*d.DstPitch+first:]
		step := d.DstPitch * d.x.out
		v := sweep{dst: out, x: b, step: [6]int{step}, n: n, rows: d.nx}
		if d.Residual == nil {
			v.do(d.set, opCopy)
		} else {
			v.y, v.step[2] = d.Residual[start*d.ResidualPitch+first:], d.ResidualPitch*d.x.out
			v.low, v.high, _ = None.clamp()
			v.do(d.set, opAdd)
		}
		for i, ty := range d.y.taps {
			y := j*d.y.in + ty
			if y < 0 || y >= d.inH {
				continue
			}
			for k, tx := range d.x.taps {
				from, to := ceilDiv(max(-tx, 0), d.x.in), min(d.nx, ceilDiv(max(d.inW-tx, 0), d.x.in))
				if from >= to {
					continue
				}
				v := sweep{
					dst: out[from*step:], x: d.Src[((image*d.inH+y)*d.inW+from*d.x.in+tx)*d.SrcPitch+first:],
					y:    b[(1+i*len(d.x.taps)+k)*d.together:],
					step: [6]int{step, d.x.in * d.SrcPitch}, n: n, rows: to - from,
				}
				v.do(d.set, opMulAdd)
			}
		}
		v.x, v.step[1] = out, step
		v.low, v.high = d.low, d.high
		v.do(d.set, opBound)
	}
}

// depthwiseBackwardWeights sums each tap's products over all positions: lines in float32, in no more
// than blocksAtMost parts, and these in float64.
func depthwiseBackwardWeights(set isa, pool *Pool, c Conv, dweights, src, ddst []float32, n, h, w int) {
	oh, _ := c.OutSize(h, w)
	taps := c.KernelH * c.KernelW
	s := takeSpan()
	s.set, s.x, s.y, s.conv = set, src, ddst, c
	s.h, s.w, s.columns = h, w, taps*c.InC
	lines := max(ceilDiv(n*oh, blocksAtMost), 1)
	parts := ceilDiv(n*oh, lines)
	s.scratch(parts * s.columns)
	s.over(pool, n*oh, lines, func(s *span, lo, hi int) {
		sum := s.partial[lo/s.grain*s.columns:][:s.columns]
		clear(sum)
		for i := lo; i < hi; i++ {
			depthwiseLineGradient(s, sum, i)
		}
	})
	for tap := range taps {
		for channel := range c.InC {
			var total float64
			for i := range parts {
				total += float64(s.partial[i*s.columns+tap*c.InC+channel])
			}
			dweights[channel*taps+tap] = float32(total)
		}
	}
	s.giveBack()
}

// depthwiseLineGradient adds the products of output line i to sum, [tap][channel].
func depthwiseLineGradient(s *span, sum []float32, i int) {
	c := s.conv
	oh, ow := c.OutSize(s.h, s.w)
	for ky := range c.KernelH {
		y := i%oh*c.StrideH - c.PadTop + ky*c.DilationH
		if y < 0 || y >= s.h {
			continue
		}
		for kx := range c.KernelW {
			tx := kx*c.DilationW - c.PadLeft
			from, to := ceilDiv(max(-tx, 0), c.StrideW), min(ow, ceilDiv(max(s.w-tx, 0), c.StrideW))
			if from >= to {
				continue
			}
			v := sweep{
				dst:  sum[(ky*c.KernelW+kx)*c.InC:],
				x:    s.x[((i/oh*s.h+y)*s.w+from*c.StrideW+tx)*c.InC:],
				y:    s.y[(i*ow+from)*c.InC:],
				step: [6]int{0, c.StrideW * c.InC, c.InC}, n: c.InC, rows: to - from,
			}
			v.do(s.set, opMulAdd)
		}
	}
}

package kernel

import "fmt"

// PackedSeparable is a pointwise convolution and the depthwise one that alone reads its output, computed together: of the
// map between them there are but the few lines that the window sees, which stay in the caches. Results are those of the two
// one after the other, bit for bit.
type PackedSeparable struct {
	pointwise, depthwise *PackedConv
	between              Activation // of the pointwise convolution
}

// Maps between the convolutions that are smaller stay in the L2 cache anyway, and with more weights reading these for each
// line takes longer.
const (
	separableMap     = 128 << 10 // numbers of an image
	separableWeights = 16 << 10
)

// JoinsSeparable tells whether a pointwise convolution of an input of h×w and the depthwise one after it are faster together,
// with the instructions in use.
func JoinsSeparable(pointwise, depthwise Conv, h, w int) bool {
	return active() == avx2 && h*w*pointwise.OutC >= separableMap && joins(active(), pointwise, depthwise)
}

// joins tells whether the two can be computed together.
func joins(set isa, pointwise, depthwise Conv) bool {
	p, d := pointwise.withDefaults(), depthwise.withDefaults()
	return p.pointwise() && d.Depthwise() && p.OutC == d.InC && d.InC%8 == 0 && p.WeightSize() <= separableWeights &&
		d.KernelH == d.KernelW && d.StrideH == d.StrideW && d.DilationH == 1 && d.DilationW == 1 &&
		lineKernel(set, d.KernelW, d.StrideW, true) != nil
}

// PackSeparable joins the two, of which [JoinsSeparable] is true; between is the activation of the pointwise one.
func PackSeparable(pointwise, depthwise *PackedConv, between Activation) (*PackedSeparable, error) {
	if !joins(pointwise.set, pointwise.conv, depthwise.conv) || pointwise.gradient || depthwise.gradient {
		return nil, fmt.Errorf("convolution: %+v and %+v cannot be computed together", pointwise.conv, depthwise.conv)
	}
	return &PackedSeparable{pointwise, depthwise, between}, nil
}

// Bytes returns the memory of the packed weights.
func (p *PackedSeparable) Bytes() int { return p.pointwise.Bytes() + p.depthwise.Bytes() }

// Convs returns the two geometries.
func (p *PackedSeparable) Convs() (pointwise, depthwise Conv) {
	return p.pointwise.conv, p.depthwise.conv
}

// separableTask is one in progress, cut into blocks of output lines.
type separableTask struct {
	depthwiseTask
	first convTask // the pointwise one
}

// RunView is that of [PackedConv]: Src and N, H, W are those of the pointwise convolution, which has as many pixels as its
// input, Dst is that of the depthwise one, and act its activation. There is neither a residual nor a scale.
func (p *PackedSeparable) RunView(pool *Pool, v ConvView, act Activation, workspace *Workspace) {
	if v.Residual != nil || v.Scale != nil {
		panic("kernel: separable convolution: there is no residual and no scale of the input")
	}
	w := workspace.orNew()
	t, in := &w.separable, p.pointwise.in
	oh, ow := p.depthwise.conv.OutSize(v.H, v.W)
	if v.N*oh*ow == 0 {
		return
	}
	first := ConvView{Src: v.Src, SrcPitch: pitch(v.SrcPitch, in), DstPitch: p.pointwise.out, N: v.N, H: v.H, W: v.W}
	need("separable convolution", "src", v.Src, (v.N*v.H*v.W-1)*first.SrcPitch+in)
	v.DstPitch = pitch(v.DstPitch, p.depthwise.out)
	need("separable convolution", "dst", v.Dst, (v.N*oh*ow-1)*v.DstPitch+p.depthwise.out)

	t.first = convTask{PackedConv: p.pointwise, phase: &p.pointwise.phases[0], ConvView: first, workspace: w, inH: v.H, inW: v.W, outH: v.H, outW: v.W, matrix: true}
	t.first.low, t.first.high, t.first.rest = p.between.clamp()
	t.first.columns = t.first.layout.count
	t.first.inPlace = !aliases(first.SrcPitch)
	t.first.scratchPitch = spread(in)

	v.Src, v.SrcPitch = nil, p.pointwise.out // lines of the map between
	w.conv = convTask{PackedConv: p.depthwise, phase: &p.depthwise.phases[0], ConvView: v, workspace: w, inH: v.H, inW: v.W, outH: oh, outW: ow}
	second := &w.conv
	second.low, second.high, second.rest = act.clamp()
	second.ny, second.nx = second.y.positions(oh), second.x.positions(ow)
	limits := t.limits
	t.depthwiseTask = depthwiseTask{convTask: second, lines: v.N * oh}
	if threads := pool.Threads(); threads > 1 {
		t.lines = ceilDiv(v.N*oh, 4*threads)
	}
	t.prepare(limits)

	floats := len(second.y.taps) * v.W * p.pointwise.out
	if !t.first.inPlace {
		floats += v.W * t.first.scratchPitch
	}
	w.reserve(pool.Threads(), (v.W-1)*v.SrcPitch+p.depthwise.in, floats, 1)
	clear(w.shared[:(v.W-1)*v.SrcPitch+p.depthwise.in])
	for i := range pool.Threads() {
		w.locals[i].lines = [5]int{-1, -1, -1, -1, -1}
	}
	pool.run(ceilDiv(v.N*oh, t.lines), t)
	limits = t.limits
	*t, w.conv = separableTask{depthwiseTask: depthwiseTask{limits: limits}}, convTask{} // keep no tensor alive
}

func (t *separableTask) do(worker, block int) {
	l := &t.workspace.locals[worker]
	k := len(t.y.taps)
	size := t.inW * t.SrcPitch // of a line
	ring, scratch := l.floats[:k*size], l.floats[k*size:]
	for i := block * t.lines; i < min((block+1)*t.lines, t.N*t.ny); i++ {
		image, j := i/t.ny, i%t.ny
		var starts [5]int // of the lines that the window sees, in the ring
		for tap, dy := range t.y.taps {
			starts[tap] = -1
			if y := j*t.y.in + dy; y >= 0 && y < t.inH {
				slot := y % k
				starts[tap] = slot * size
				if line := image*t.inH + y; l.lines[slot] != line {
					t.line(l, ring, slot*size, scratch, line)
					l.lines[slot] = line
				}
			}
		}
		l.line = t.depthwiseTask.line
		t.lineOf(&l.line, ring, starts[:k], image, j, t.in)
		t.activateLine(image, j)
	}
	l.line = depthwiseLine{}
	l.tile.release()
}

// line computes a line of the map between.
func (t *separableTask) line(l *local, ring []float32, at int, scratch []float32, line int) {
	e := t.first
	e.Dst = ring
	x := e.frame(l, 0)
	x.a, x.aRow = e.Src, e.SrcPitch
	first := line * e.inW * e.SrcPitch
	if !e.inPlace {
		e.gather(scratch, e.Src[first:], e.SrcPitch, e.inW, 0, e.in)
		x.a, x.aRow, first = scratch, e.scratchPitch, 0
	}
	e.multiply(l, x, first, at, 0, e.inW, 0, e.layout.count)
}

package kernel

import "fmt"

// Conv is the geometry of a two-dimensional convolution (in the sense of the field: a
// cross-correlation). A zero Dilation or Groups means 1.
type Conv struct {
	InC, OutC                            int
	KernelH, KernelW                     int
	StrideH, StrideW                     int
	PadTop, PadLeft, PadBottom, PadRight int
	DilationH, DilationW                 int
	Groups                               int
}

// Same returns the padding before and after that TensorFlow's "same" gives an axis of the given
// size: the output has ⌈size/stride⌉ positions, and the odd element of padding comes after.
func Same(size, kernel, stride, dilation int) (before, after int) {
	total := max((ceilDiv(size, stride)-1)*stride+(kernel-1)*max(dilation, 1)+1-size, 0)
	return total / 2, total - total/2
}

// withDefaults returns c with its zero Dilation and Groups replaced by 1.
func (c Conv) withDefaults() Conv {
	c.DilationH = max(c.DilationH, 1)
	c.DilationW = max(c.DilationW, 1)
	c.Groups = max(c.Groups, 1)
	return c
}

// Validate returns an error when c describes no convolution.
func (c Conv) Validate() error {
	if c.DilationH < 0 || c.DilationW < 0 || c.Groups < 0 {
		return fmt.Errorf("convolution: dilation %d×%d, groups %d: must not be negative", c.DilationH, c.DilationW, c.Groups)
	}
	c = c.withDefaults()
	switch {
	case c.InC < 1 || c.OutC < 1:
		return fmt.Errorf("convolution: %d input and %d output channels: both must be positive", c.InC, c.OutC)
	case c.KernelH < 1 || c.KernelW < 1:
		return fmt.Errorf("convolution: kernel %d×%d: must be positive", c.KernelH, c.KernelW)
	case c.StrideH < 1 || c.StrideW < 1:
		return fmt.Errorf("convolution: stride %d×%d: must be positive", c.StrideH, c.StrideW)
	case c.PadTop < 0 || c.PadLeft < 0 || c.PadBottom < 0 || c.PadRight < 0:
		return fmt.Errorf("convolution: padding top %d, left %d, bottom %d, right %d: must not be negative",
			c.PadTop, c.PadLeft, c.PadBottom, c.PadRight)
	case c.InC%c.Groups != 0 || c.OutC%c.Groups != 0:
		return fmt.Errorf("convolution: %d groups do not divide %d input and %d output channels", c.Groups, c.InC, c.OutC)
	}
	return nil
}

// OutSize returns the output's height and width for an input of h×w; 0×0 when the window does not
// fit.
func (c Conv) OutSize(h, w int) (oh, ow int) {
	c = c.withDefaults()
	oh = outSize(h+c.PadTop+c.PadBottom, c.KernelH, c.StrideH, c.DilationH)
	ow = outSize(w+c.PadLeft+c.PadRight, c.KernelW, c.StrideW, c.DilationW)
	if oh == 0 || ow == 0 {
		return 0, 0
	}
	return oh, ow
}

func outSize(padded, kernel, stride, dilation int) int {
	span := (kernel-1)*dilation + 1
	if padded < span {
		return 0
	}
	return (padded-span)/stride + 1
}

// WeightSize returns the number of weights, OutC·KernelH·KernelW·InC/Groups.
func (c Conv) WeightSize() int {
	return c.OutC * c.KernelH * c.KernelW * (c.InC / max(c.Groups, 1))
}

// FLOPs returns the floating-point operations (two a multiplication with its addition) of one
// image of h×w, those on padding included.
func (c Conv) FLOPs(h, w int) int {
	oh, ow := c.OutSize(h, w)
	return 2 * oh * ow * c.WeightSize()
}

// Depthwise tells whether each channel is convolved by itself, with one filter.
func (c Conv) Depthwise() bool {
	return c.Groups > 1 && c.Groups == c.InC && c.OutC == c.InC
}

// pointwise tells whether the convolution is a plain matrix product over all pixels.
func (c Conv) pointwise() bool {
	return c.KernelH == 1 && c.KernelW == 1 && c.StrideH == 1 && c.StrideW == 1 && c.Groups == 1 &&
		c.PadTop|c.PadLeft|c.PadBottom|c.PadRight == 0
}

// PackedConv is a convolution, or the gradient of one with respect to its input, with its weights
// laid out for the instruction set in use.
type PackedConv struct {
	conv     Conv
	set      isa
	gradient bool
	in, out  int // channels, of all groups
	phases   []phase
	bias     []float32 // each group padded to whole panels; depthwise: [channel]
	winograd *winograd // nil unless that is the method; the phase has no weights then

	// Of elements other than float32; in and the geometry then count groups of channels that are
	// four bytes together.
	kind         element
	stored       element      // see tile
	rounds       bool         // src is of float32, and rounded where it is gathered
	halved       bool         // the weights are rounded to 16 bits
	rounded      []float32    // for packing: weights by twos
	scale        []float32    // see tile; as bias
	shift        [2][]float32 // see tile; as bias; without and with a residual
	rScale       float32      // see tile
	blank        float32      // what fills the padding
	quantization Quantization // of the output
}

// phase is a set of output positions that see the same taps. A convolution has one; its gradient
// has one for each residue of the position modulo the stride.
type phase struct {
	y, x     axis
	layout   panels    // of one group
	b        []float32 // the groups' panels, one after the other; for depthwise see packDepthwise
	together int       // depthwise: channels whose weights lie together
}

// axis says how the positions of a phase lie on one axis: output first+j·out sees the inputs
// j·in+tap, for the taps in ascending order; index is each tap's place in the kernel.
type axis struct {
	first, out, in int
	taps, index    []int
}

// positions returns the number of positions on an output axis of the given size.
func (a axis) positions(size int) int { return max(ceilDiv(size-a.first, a.out), 0) }

// reach returns the distance from the first tap to the last.
func (a axis) reach() int {
	if len(a.taps) == 0 {
		return 0
	}
	return a.taps[len(a.taps)-1] - a.taps[0]
}

// scratch returns how far apart neighbouring positions lie in an image gathered for the axis, and what
// is neighbouring there lies in the input: where there is but one tap, what no position sees is left
// out.
func (a axis) scratch() (step, skip int) {
	if a.reach() == 0 {
		return 1, a.in
	}
	return a.in, 1
}

// low returns the first tap.
func (a axis) low() int {
	if len(a.taps) == 0 {
		return 0
	}
	return a.taps[0]
}

// forwardAxis is the axis of a convolution.
func forwardAxis(kernel, stride, pad, dilation int) axis {
	a := axis{out: 1, in: stride}
	for k := range kernel {
		a.taps = append(a.taps, k*dilation-pad)
		a.index = append(a.index, k)
	}
	return a
}

// gradientAxes are the axes of a convolution's gradient: input position i is seen by the outputs o
// with o·stride + k·dilation - pad = i.
func gradientAxes(kernel, stride, pad, dilation int) []axis {
	axes := make([]axis, stride)
	for r := range axes {
		a := axis{first: r, out: stride, in: 1}
		for k := kernel - 1; k >= 0; k-- {
			if d := r + pad - k*dilation; d%stride == 0 {
				a.taps = append(a.taps, d/stride)
				a.index = append(a.index, k)
			}
		}
		axes[r] = a
	}
	return axes
}

// PackConv lays out the weights [OutC][KernelH][KernelW][InC/Groups] and the bias [OutC], which
// may be nil, of c. Both are copied. The convolution is computed as its definition says; see
// [PackConvFor] for a faster way.
func PackConv(c Conv, weights, bias []float32) (*PackedConv, error) {
	return packConv(active(), c, weights, bias, false, PackOptions{})
}

// PackConvFor is PackConv for an input of known size, so that Winograd's method can be taken where
// it is faster.
func PackConvFor(c Conv, weights, bias []float32, o PackOptions) (*PackedConv, error) {
	return packConv(active(), c, weights, bias, false, o)
}

// PackConvGradient lays out the weights of c for the gradient with respect to its input: a
// PackedConv whose Run takes the gradient of the output, [n][oh][ow][OutC], as src and writes that
// of the input, [n][h][w][InC], to dst; n, h and w are always those of the convolution's input.
// To add to gradients that have come another way, give them as residual.
func PackConvGradient(c Conv, weights []float32) (*PackedConv, error) {
	return packConv(active(), c, weights, nil, true, PackOptions{})
}

// PackConvGradientFor is PackConvGradient for an input (of the convolution) of known size, so that
// Winograd's method can be taken where it is faster.
func PackConvGradientFor(c Conv, weights []float32, o PackOptions) (*PackedConv, error) {
	return packConv(active(), c, weights, nil, true, o)
}

func packConv(set isa, c Conv, weights, bias []float32, gradient bool, o PackOptions) (*PackedConv, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	p := &PackedConv{conv: c, set: set, gradient: gradient, in: c.InC, out: c.OutC}
	ys := []axis{forwardAxis(c.KernelH, c.StrideH, c.PadTop, c.DilationH)}
	xs := []axis{forwardAxis(c.KernelW, c.StrideW, c.PadLeft, c.DilationW)}
	if gradient {
		p.in, p.out = c.OutC, c.InC
		ys = gradientAxes(c.KernelH, c.StrideH, c.PadTop, c.DilationH)
		xs = gradientAxes(c.KernelW, c.StrideW, c.PadLeft, c.DilationW)
	}
	if o.Half {
		p.halve()
	}
	if m := o.choose(c); m != 0 {
		p.winograd = newWinograd(set, p.in, p.out, m, p.halved)
	} else if o.BFloat16 {
		p.roundIfPossible()
		c = p.conv
	}
	if p.pairsHalves() {
		p.kind = elementHalf
	}
	for _, y := range ys {
		for _, x := range xs {
			f := phase{y: y, x: x}
			if c.Depthwise() {
				f.newDepthwise(set, c.InC)
			} else {
				f.layout = newPanels(set, len(y.taps)*len(x.taps)*(p.in/c.Groups), p.out/c.Groups)
				if p.kind == elementHalf {
					f.layout.k /= 2
				}
				if p.winograd == nil {
					f.b = aligned(c.Groups * f.layout.size())
				}
			}
			p.phases = append(p.phases, f)
		}
	}
	p.bias = aligned(p.out)
	if !c.Depthwise() {
		p.bias = aligned(c.Groups * p.phases[0].layout.padded())
	}
	if o.Scale != nil && len(o.Scale) != c.OutC {
		return nil, fmt.Errorf("convolution: %d scales, want %d", len(o.Scale), c.OutC)
	}
	if err := p.pack(weights, bias, o.Scale); err != nil {
		return nil, err
	}
	if p.winograd != nil {
		p.winograd.scratch = nil // most are packed but once
	}
	return p, nil
}

// Repack replaces the weights and the bias, as after a step of training. It allocates nothing. No
// Run may be in progress.
func (p *PackedConv) Repack(weights, bias []float32) error { return p.pack(weights, bias, nil) }

// pack lays out the weights, those of each output channel multiplied by scale; a gradient takes none.
func (p *PackedConv) pack(weights, bias, scale []float32) error {
	c := p.conv
	if p.rounds {
		c = p.wide()
	}
	if len(weights) != c.WeightSize() {
		return fmt.Errorf("convolution: %d weights, want %d×%d×%d×%d", len(weights), c.OutC, c.KernelH, c.KernelW, c.InC/c.Groups)
	}
	if bias != nil && len(bias) != p.out {
		return fmt.Errorf("convolution: %d biases, want %d", len(bias), p.out)
	}
	c = p.conv
	if p.rounds && !p.gradient {
		weights, scale = p.roundWeights(scaledRows(weights, scale)), nil
	}
	if p.halved && p.winograd == nil {
		weights, scale = p.halfWeights(scaledRows(weights, scale)), nil
	}
	clear(p.bias)
	if c.Depthwise() {
		copy(p.bias, bias)
	} else if bias != nil {
		n := p.out / c.Groups
		padded := len(p.bias) / c.Groups
		for g := range c.Groups {
			copy(p.bias[g*padded:], bias[g*n:(g+1)*n])
		}
	}
	for i := range p.phases {
		f := &p.phases[i]
		switch {
		case p.winograd != nil && p.gradient:
			p.winograd.packGradient(weights)
		case p.winograd != nil:
			p.winograd.pack(weights, scale)
		case c.Depthwise():
			f.packDepthwise(c, scaledRows(weights, scale), p.bias)
		case p.gradient && p.rounds:
			f.packPairs(c, weights)
		case p.gradient:
			f.packGradient(c, weights)
		default:
			k, n := f.layout.k, f.layout.n
			for g := range c.Groups {
				packTransposed(f.layout, f.b[g*f.layout.size():], weights[g*n*k:], k)
				if scale != nil {
					scaleColumns(f.layout, f.b[g*f.layout.size():], scale[g*n:(g+1)*n])
				}
			}
		}
	}
	return nil
}

// scaledRows multiplies each row; without a scale they stay as they are.
func scaledRows(rows, scale []float32) []float32 {
	if scale == nil {
		return rows
	}
	out := make([]float32, len(rows))
	n := len(rows) / len(scale)
	for i, s := range scale {
		scaleInto(active(), out[i*n:(i+1)*n], rows[i*n:(i+1)*n], s)
	}
	return out
}

// packGradient lays out the weights of the phase's taps with input and output channels exchanged.
func (f *phase) packGradient(c Conv, weights []float32) {
	in, out := c.InC/c.Groups, c.OutC/c.Groups // of the convolution
	kernel := c.KernelH * c.KernelW * in
	for g := range c.Groups {
		b := f.b[g*f.layout.size():]
		k := 0
		for _, ky := range f.y.index {
			for _, kx := range f.x.index {
				packRows(f.layout, b, k, weights[g*out*kernel+(ky*c.KernelW+kx)*in:], kernel, out, 1)
				k += out
			}
		}
	}
}

// Conv returns the geometry.
func (p *PackedConv) Conv() Conv {
	if p.rounds {
		return p.wide()
	}
	return p.conv
}

// Rounds tells whether weights and inputs are rounded to bfloat16.
func (p *PackedConv) Rounds() bool { return p.rounds }

// Halved tells whether the weights are rounded to 16 bits.
func (p *PackedConv) Halved() bool { return p.halved }

// Bytes returns the memory of the packed weights.
func (p *PackedConv) Bytes() int {
	n := len(p.bias)
	for _, f := range p.phases {
		n += len(f.b)
	}
	if p.winograd != nil {
		n += len(p.winograd.u) + len(p.winograd.narrow)/2
	}
	return 4 * n
}

// Run computes dst = act(conv(src) + bias + residual) for n images of h×w. src is dense,
// [n][h][w][InC]; dst and, unless it is nil, residual are dense, [n][oh][ow][OutC]. residual may be
// dst; src may not. workspace may be nil.
func (p *PackedConv) Run(pool *Pool, dst, src []float32, n, h, w int, residual []float32, act Activation, workspace *Workspace) {
	p.RunView(pool, ConvView{Dst: dst, Src: src, Residual: residual, N: n, H: h, W: w}, act, workspace)
}

// ConvView says where a convolution reads and writes: a band of channels of wider tensors, as in a
// network whose layers write side by side what others would have to concatenate. A zero pitch
// means a dense tensor. Each slice starts at the first channel of its band.
type ConvView struct {
	Dst, Src, Residual                []float32
	DstPitch, SrcPitch, ResidualPitch int
	N, H, W                           int // of the convolution's input

	// Unless Scale is nil, the convolution sees Before(Src·Scale + Shift) in place of Src, with a
	// factor and a summand for each input channel: the batch-norm and activation before it, as in
	// DenseNet. Before must be None, ReLU or ReLU6. Depthwise convolutions and Winograd's method have
	// no such stage, and RunView panics.
	Scale, Shift []float32
	Before       Activation
}

// RunView is Run on bands of channels. Between the bands nothing is read or written.
func (p *PackedConv) RunView(pool *Pool, v ConvView, act Activation, workspace *Workspace) {
	t := convTask{PackedConv: p, ConvView: v, inH: v.H, inW: v.W}
	t.outH, t.outW = p.conv.OutSize(v.H, v.W)
	if p.gradient {
		t.inH, t.inW, t.outH, t.outW = t.outH, t.outW, t.inH, t.inW
	}
	if v.N*t.outH*t.outW == 0 {
		return
	}
	in := p.in * p.perWord()
	t.SrcPitch = pitch(v.SrcPitch, in)
	t.DstPitch = pitch(v.DstPitch, p.out)
	t.ResidualPitch = pitch(v.ResidualPitch, p.out)
	if v.N*t.inH*t.inW > 0 {
		need("convolution", "src", v.Src, (v.N*t.inH*t.inW-1)*t.SrcPitch+in)
	}
	need("convolution", "dst", v.Dst, (v.N*t.outH*t.outW-1)*t.DstPitch+p.out)
	if v.Residual != nil {
		need("convolution", "residual", v.Residual, (v.N*t.outH*t.outW-1)*t.ResidualPitch+p.out)
	}
	if v.Scale != nil {
		need("convolution", "scale", v.Scale, p.in)
		need("convolution", "shift", v.Shift, p.in)
		if _, _, rest := v.Before.clamp(); rest != None || p.conv.Depthwise() || p.winograd != nil || p.rounds {
			panic("kernel: convolution: nothing but bounds, and no depthwise convolution, Winograd's method or rounding, goes with a scale of the input")
		}
	}
	t.low, t.high, t.rest = act.clamp()
	t.workspace = workspace.orNew()
	t.runPhases(pool)
}

// runPhases computes all phases, in the frame that the workspace keeps.
func (t *convTask) runPhases(pool *Pool) {
	frame := &t.workspace.conv
	for i := range t.phases {
		*frame = *t
		frame.phase = &t.phases[i]
		frame.run(pool)
	}
	*frame = convTask{} // keep no tensor alive
}

// pitch returns the given pitch or, when it is zero, that of a dense tensor.
func pitch(given, channels int) int {
	if given == 0 {
		return channels
	}
	if given < channels {
		panic(fmt.Sprintf("kernel: pitch %d is less than %d channels", given, channels))
	}
	return given
}

// convTask is a phase of a convolution in progress, cut into blocks of rows by blocks of panels.
type convTask struct {
	*PackedConv
	*phase
	ConvView
	workspace              *Workspace
	inH, inW, outH, outW   int
	low, high              float32
	rest                   Activation
	halves                 []BFloat16 // Dst, when it is of that type
	matrix                 bool       // a plain matrix product over all pixels
	ny, nx                 int        // positions
	rows, rowBlocks        int        // of a block: pixels of a matrix, lines of an image otherwise; blocks an image
	columns, columnBlocks  int        // panels of a block
	inPlace                bool       // a matrix whose rows can be read where they are
	scratchW, scratchPitch int        // of the gathered image: width in pixels, distance of pixels
	stepY, stepX           int        // distance of neighbouring positions in the gathered image
	skipY, skipX           int        // distance in the input of what is neighbouring in the gathered image
}

// The blocks are sized so that what a thread reads again and again stays in its L2 cache.
const (
	blockFloats   = 64 << 10 // input of a block
	weightFloats  = 96 << 10 // weights of a block
	blocksAtMost  = 16       // no more blocks of rows than it takes to share the work evenly
	blocksAtLeast = 24       // if need be by panels
	blocksOfRows  = 8        // that are enough where rows are gathered, since blocks by panels would each gather them
)

func (t *convTask) run(pool *Pool) {
	t.ny, t.nx = t.y.positions(t.outH), t.x.positions(t.outW)
	if t.ny*t.nx == 0 {
		return
	}
	if t.conv.Depthwise() {
		t.runDepthwise(pool)
		return
	}
	if t.PackedConv.winograd != nil {
		t.runWinograd(pool)
		return
	}
	l := t.layout
	t.matrix = t.conv.pointwise()
	var blocks, floats int
	if t.matrix {
		m := t.N * t.outH * t.outW
		t.inPlace = !aliases(t.SrcPitch) && t.Scale == nil && !t.rounds
		t.scratchPitch = spread(t.in)
		t.rows = roundUp(min(ceilDiv(blockFloats, t.in), ceilDiv(m, blocksAtMost)), t.set.tileRows())
		t.rowBlocks = ceilDiv(m, t.rows)
		blocks = t.rowBlocks
		if !t.inPlace {
			floats = t.rows * t.scratchPitch
		}
	} else {
		channels := t.in / t.conv.Groups
		t.stepY, t.skipY = t.y.scratch()
		t.stepX, t.skipX = t.x.scratch()
		t.scratchPitch = channels
		if aliases(channels * t.stepX) {
			t.scratchPitch = spread(channels)
		}
		t.scratchW = (t.nx-1)*t.stepX + t.x.reach() + 1
		line := t.scratchW * t.scratchPitch * t.stepY
		t.rows = min(ceilDiv(blockFloats, line), ceilDiv(t.ny*t.N, blocksAtMost), t.ny)
		t.rowBlocks = ceilDiv(t.ny, t.rows)
		t.rows = ceilDiv(t.ny, t.rowBlocks)
		t.rowBlocks = ceilDiv(t.ny, t.rows)
		blocks = t.rowBlocks * t.N * t.conv.Groups
		floats = ((t.rows-1)*t.stepY + t.y.reach() + 1) * t.scratchW * t.scratchPitch
	}
	t.workspace.reserve(pool.Threads(), 0, floats, max(len(t.y.taps)*len(t.x.taps), 1))
	atLeast := blocksAtLeast
	if t.matrix && !t.inPlace && blocks >= blocksOfRows {
		atLeast = blocks
	}
	t.columns = ceilDiv(l.count, min(ceilDiv(atLeast, blocks), l.count))
	t.columnBlocks = ceilDiv(l.count, t.columns)
	pool.run(blocks*t.columnBlocks, t)
}

// aliases tells whether rows at this distance, in floats, fall on so few sets of the L1 cache that
// the rows of one tile drive each other out.
func aliases(distance int) bool { return distance > 0 && distance%512 == 0 }

// spread returns a distance of at least n floats that does not alias.
func spread(n int) int {
	if n%128 == 0 {
		return n + 16
	}
	return n
}

func (t *convTask) do(worker, i int) {
	l := &t.workspace.locals[worker]
	p := i % t.columnBlocks * t.columns
	q := min(p+t.columns, t.layout.count)
	if p >= q {
		return
	}
	if t.matrix {
		t.doMatrix(l, i/t.columnBlocks, p, q)
	} else {
		t.doWindow(l, i/t.columnBlocks, p, q)
	}
	l.tile.release()
}

// frame sets what all tiles of a block share.
func (t *convTask) frame(l *local, group int) *tile {
	x := &l.tile
	x.b, x.b0 = t.b, group*t.layout.size()
	x.bias = t.bias[group*t.layout.padded():]
	x.c, x.cRow = t.Dst, t.DstPitch*t.x.out
	x.r, x.rRow = t.Residual, t.ResidualPitch*t.x.out
	x.low, x.high = t.low, t.high
	x.kind, x.stored = t.kind, t.stored
	if t.kind == elementUint8 {
		i := 0
		if t.Residual != nil {
			i = 1
		}
		columns := group * t.layout.padded()
		x.scale, x.shift, x.rScale = t.scale[columns:], t.shift[i][columns:], t.rScale
	}
	return x
}

// release lets go of the tensors.
func (t *tile) release() {
	*t = tile{}
}

// step returns how many panels a tile computes before the next tile: all when their weights stay
// in the L2 cache, one otherwise.
func (t *convTask) step() int {
	if t.columns*t.layout.k*t.set.panelColumns() > weightFloats {
		return 1
	}
	return t.columns
}

func (t *convTask) doMatrix(l *local, block, p, q int) {
	row := block * t.rows
	rows := min(t.rows, t.N*t.outH*t.outW-row)
	x := t.frame(l, 0)
	x.a, x.aRow = t.Src, t.SrcPitch
	first := row * t.SrcPitch
	if !t.inPlace {
		t.gather(l.floats, t.Src[first:], t.SrcPitch, rows, 0, t.in)
		x.a, x.aRow, first = l.floats, t.scratchPitch, 0
	}
	t.multiply(l, x, first, row*x.cRow, row*x.rRow, rows, p, q)
}

// multiply computes rows of a matrix product, from where the first begins in a, c and r.
func (t *convTask) multiply(l *local, x *tile, a, c, r, rows, p, q int) {
	x.run = t.in
	l.taps[0] = 0
	x.taps = l.taps[:1]
	for step := t.step(); p < q; p += step {
		e := min(p+step, q)
		for i := 0; i < rows; i += t.set.tileRows() {
			m := min(t.set.tileRows(), rows-i)
			second := i
			if m > t.set.groupRows() {
				second += ceilDiv(m, 2)
			}
			x.a0, x.a1 = a+i*x.aRow, a+second*x.aRow
			x.c0, x.c1 = c+i*x.cRow, c+second*x.cRow
			x.r0, x.r1 = r+i*x.rRow, r+second*x.rRow
			x.compute(t.layout, m, p, e)
			t.activate(x.c0, x.cRow, m, p, e)
		}
	}
}

func (t *convTask) doWindow(l *local, i, p, q int) {
	group := i % t.conv.Groups
	i /= t.conv.Groups
	block, image := i%t.rowBlocks, i/t.rowBlocks
	y0 := block * t.rows
	y1 := min(y0+t.rows, t.ny)
	t.pad(l.floats, image, group, y0, y1)
	x := t.frame(l, group)
	x.a, x.aRow = l.floats, t.stepX*t.scratchPitch
	t.window(l, x)
	channel := group * t.layout.n
	for step := t.step(); p < q; p += step {
		e := min(p+step, q)
		walk := newSegments(t.nx, y1-y0, t.set)
		for {
			s0, s1, ok := walk.next()
			if !ok {
				break
			}
			pixel0, pixel1 := t.pixel(image, y0, s0), t.pixel(image, y0, s1)
			x.a0 = (s0.line*t.stepY*t.scratchW + s0.x*t.stepX) * t.scratchPitch
			x.a1 = (s1.line*t.stepY*t.scratchW + s1.x*t.stepX) * t.scratchPitch
			x.c0, x.c1 = pixel0*t.DstPitch+channel, pixel1*t.DstPitch+channel
			x.r0, x.r1 = pixel0*t.ResidualPitch+channel, pixel1*t.ResidualPitch+channel
			x.compute(t.layout, s0.n+s1.n, p, e)
			t.activate(x.c0, x.cRow, s0.n, p, e)
			t.activate(x.c1, x.cRow, s1.n, p, e)
		}
	}
}

// pixel returns the number of the output pixel where a segment starts.
func (t *convTask) pixel(image, line int, s segment) int {
	y := t.y.first + (line+s.line)*t.y.out
	return (image*t.outH+y)*t.outW + t.x.first + s.x*t.x.out
}

// activate applies what the bounds in the kernel's store could not, to m rows at a distance.
func (t *convTask) activate(first, row, m, p, q int) {
	if t.rest == None {
		return
	}
	width := t.set.panelColumns()
	lo, hi := p*width, min(q*width, t.layout.n)
	if t.stored == elementBFloat16 {
		for i := range m {
			at := first + i*row
			activateBFloat16(t.set, t.rest, t.halves[at+lo:at+hi])
		}
		return
	}
	y := t.Dst[first+lo:]
	v := sweep{dst: y, x: y, step: [6]int{row, row}, n: hi - lo, rows: m}
	v.activate(t.set, t.rest)
}

// window lists the taps as they lie in the scratch image; those side by side become one.
func (t *convTask) window(l *local, x *tile) {
	channels := t.in / t.conv.Groups
	joined := t.scratchPitch == channels && t.x.reach() == len(t.x.taps)-1
	x.run = channels
	if joined {
		x.run *= len(t.x.taps)
	}
	n := 0
	for _, y := range t.y.taps {
		for _, dx := range t.x.taps {
			l.taps[n] = ((y-t.y.low())*t.scratchW + dx - t.x.low()) * t.scratchPitch
			n++
			if joined {
				break
			}
		}
	}
	x.taps = l.taps[:n]
}

// pad copies what lines y0 … y1-1 of one group see into a scratch image whose borders are zero.
func (t *convTask) pad(dst []float32, image, group, y0, y1 int) {
	channels := t.in / t.conv.Groups
	top := y0*t.y.in + t.y.low()
	lines := (y1-1-y0)*t.stepY + t.y.reach() + 1
	width := t.scratchW * t.scratchPitch
	left := min(ceilDiv(max(-t.x.low(), 0), t.skipX), t.scratchW) // pixels of padding
	first := t.x.low() + left*t.skipX                             // column of the input
	inside := max(min(ceilDiv(max(t.inW-first, 0), t.skipX), t.scratchW-left), 0)
	for i := range lines {
		line := dst[i*width : (i+1)*width]
		y := top + i*t.skipY
		if y < 0 || y >= t.inH || inside == 0 {
			t.fill(line)
			continue
		}
		src := t.Src[((image*t.inH+y)*t.inW+first)*t.SrcPitch+group*channels*t.perWord():]
		t.fill(line[:left*t.scratchPitch])
		t.fill(line[(left+inside)*t.scratchPitch:])
		at := line[left*t.scratchPitch:]
		if t.scratchPitch == t.SrcPitch && channels == t.SrcPitch && t.skipX == 1 && t.Scale == nil && !t.rounds {
			copy(at[:inside*channels], src)
		} else {
			t.gather(at, src, t.skipX*t.SrcPitch, inside, group*channels, channels)
		}
	}
}

// gather copies some channels of pixels at a distance to a scratch image, and scales or rounds them.
func (t *convTask) gather(dst, src []float32, step, pixels, first, channels int) {
	if t.rounds {
		roundRows(t.set, dst, t.scratchPitch, src, step, pixels, channels)
		return
	}
	v := sweep{dst: dst, x: src, step: [6]int{t.scratchPitch, step}, n: channels, rows: pixels}
	if t.Scale == nil {
		v.do(t.set, opCopy)
		return
	}
	v.y, v.z = t.Scale[first:], t.Shift[first:]
	v.low, v.high, _ = t.Before.clamp()
	v.do(t.set, opScaleShift)
}

// fill sets padding.
func (t *convTask) fill(x []float32) {
	if t.kind != elementUint8 {
		clear(x)
		return
	}
	for i := range x {
		x[i] = t.blank
	}
}

// segment is a run of output pixels on one line of a block.
type segment struct{ line, x, n int }

// segments cuts the lines of a block into segments of nearly equal length, none longer than a
// group of rows, and hands them out in pairs where a tile takes two groups.
type segments struct {
	width, lines  int
	count         int // segments a line
	limit, groups int
	at            int
}

func newSegments(width, lines int, set isa) segments {
	return segments{width: width, lines: lines, count: ceilDiv(width, set.groupRows()), limit: set.groupRows(), groups: set.groups()}
}

func (s *segments) get(i int) segment {
	line, j := i/s.count, i%s.count
	x := j * s.width / s.count
	return segment{line, x, (j+1)*s.width/s.count - x}
}

// next returns one segment, or two that together form a tile; the second may be empty.
func (s *segments) next() (a, b segment, ok bool) {
	total := s.count * s.lines
	if s.at == total {
		return a, b, false
	}
	a = s.get(s.at)
	s.at++
	if s.groups == 2 && s.at < total {
		b = s.get(s.at)
		if a.n+b.n > s.limit {
			s.at++
			if a.n < b.n {
				a, b = b, a
			}
			return a, b, true
		}
	}
	return a, segment{}, true
}

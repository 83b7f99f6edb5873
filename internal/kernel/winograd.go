package kernel

// Winograd's minimal filtering computes a 3×3 convolution of stride 1 from transformed squares of
// the input: F(m×m,3×3) takes (m+2)² multiplications for m² outputs and channel where the plain
// convolution takes 9m² (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015,
// with the interpolation points 0, ±1, ±2). Each place of the squares is a matrix product of its
// own, over all squares.
//
// Its error grows with the transforms' constants. Against the largest sum of magnitudes
// Σ|input·weight| of an output, F(2×2) stays below 2·10⁻⁶ and F(4×4) below 2·10⁻⁵ where the plain
// convolution stays below 1·10⁻⁶; winograd_test.go holds them to that.

// Algorithm is a way to compute a convolution.
type Algorithm int

// The algorithms that can be asked for.
const (
	Automatic Algorithm = iota // the fastest for the stated size
	Plain                      // never by Winograd's method
	Winograd2                  // F(2×2,3×3), where the geometry allows it
	Winograd4                  // F(4×4,3×3), where the geometry allows it
)

// PackOptions says what a convolution is packed for.
type PackOptions struct {
	Algorithm Algorithm
	// N, H and W are the batch and size of the input that Automatic chooses for; without them it
	// takes the plain convolution. Run takes any size nevertheless.
	N, H, W int
	// Scale multiplies the weights of each output channel; nil for one.
	Scale []float32
	// BFloat16 rounds weights and inputs to bfloat16 as they are multiplied; sums and the tensors stay
	// float32. Where the processor has no instructions for that, for depthwise convolutions, for an
	// odd number of channels a group, and where Winograd's method is faster still, it changes nothing.
	BFloat16 bool
	// Half rounds the weights of convolutions that are not depthwise to 16 bits, and keeps them so where the
	// instructions can widen them as they multiply; see half.go. Gradients stay as they are.
	Half bool
}

// winogradAllowed tells whether Winograd's method can compute c.
func (c Conv) winogradAllowed() bool {
	return c.KernelH == 3 && c.KernelW == 3 && c.StrideH == 1 && c.StrideW == 1 &&
		c.DilationH == 1 && c.DilationW == 1 && c.Groups == 1 && c.InC%16 == 0 && c.OutC%16 == 0
}

// choose returns the size of Winograd's squares of outputs, or 0 for the plain convolution.
func (o PackOptions) choose(c Conv) int {
	if !c.winogradAllowed() {
		return 0
	}
	switch o.Algorithm {
	case Winograd2:
		return 2
	case Winograd4:
		return 4
	case Plain:
		return 0
	}
	oh, ow := c.OutSize(o.H, o.W) // close to the input, which is what a gradient computes
	if o.N*oh*ow == 0 || c.InC < 32 || c.OutC < 32 {
		return 0
	}
	// There have to be enough squares for reading the transformed weights to pay.
	for _, m := range [...]int{4, 2} {
		if o.N*ceilDiv(oh, m)*ceilDiv(ow, m) >= 14 {
			return m
		}
	}
	return 0
}

// winograd is a convolution packed for Winograd's method.
type winograd struct {
	m       int       // outputs of a square on each axis
	layout  panels    // of each place
	u       []float32 // the places' panels, one after the other; nil if they are of 16 bits
	narrow  []float16 // those
	rounded bool      // to float16
	scratch []float32 // for packing
}

// places is the number of elements of a square.
func (w *winograd) places() int { return (w.m + 2) * (w.m + 2) }

func newWinograd(set isa, in, out, m int, half bool) *winograd {
	w := &winograd{m: m, layout: newPanels(set, in, out), rounded: half}
	if size := w.places() * w.layout.size(); half && set.multiplies(elementHalf) {
		w.narrow = asFloat16s(aligned(size / 2)) // panels have an even number of columns
	} else {
		w.u = aligned(size)
	}
	return w
}

// pack transforms the weights [out][3][3][in], times scale, a panel of output channels at a time.
func (w *winograd) pack(weights, scale []float32) {
	n := 9 * w.layout.k
	w.packFrom(func(column int, scratch []float32) []float32 {
		if scale == nil {
			return weights[column*n:]
		}
		scaleInto(w.layout.set, scratch[:n], weights[column*n:][:n], scale[column])
		return scratch
	})
}

// packGradient transforms the weights [in][3][3][out] of the convolution whose gradient this is: the
// window is turned round, and the channels change places.
func (w *winograd) packGradient(weights []float32) {
	in, out := w.layout.k, w.layout.n
	w.packFrom(func(column int, scratch []float32) []float32 {
		for tap := range 9 {
			for k := range in {
				scratch[tap*in+k] = weights[(k*9+8-tap)*out+column]
			}
		}
		return scratch
	})
}

// packFrom transforms the weights [3][3][in] that column returns, in scratch or elsewhere.
func (w *winograd) packFrom(column func(column int, scratch []float32) []float32) {
	l := w.layout
	width := l.set.panelColumns()
	if w.scratch == nil {
		w.scratch = aligned(w.places()*width*l.k + 36*16 + 9*l.k + width*l.k)
	}
	scratch := w.scratch
	laid := scratch[len(scratch)-width*l.k:] // a panel of one place, before it is rounded
	t := winogradTile{temporary: &scratch[w.places()*width*l.k]}
	for p := range l.count {
		n := min(width, l.n-p*width)
		for j := range n {
			t.in, t.srcLine, t.srcPixel = column(p*width+j, scratch[w.places()*width*l.k+36*16:]), 3*l.k, l.k
			t.out, t.dstLine, t.dstPixel = scratch[j*l.k:], (w.m+2)*width*l.k, width*l.k
			t.n = l.k
			t.transform(l.set, w.m, winogradWeights)
		}
		one := panels{l.set, l.k, n, 1}
		for place := range w.places() {
			from, to := scratch[place*width*l.k:], place*l.size()+l.start(p)
			if !w.rounded {
				packTransposed(one, w.u[to:], from, l.k)
				continue
			}
			packTransposed(one, laid, from, l.k)
			w.round(laid[:one.size()], to)
		}
	}
}

// round keeps the numbers of a panel, which begins at to, rounded to float16.
func (w *winograd) round(panel []float32, to int) {
	set := w.layout.set
	if w.narrow != nil {
		roundFloat16s(set, w.narrow[to:][:len(panel)], panel)
		return
	}
	for i, v := range panel {
		w.u[to+i] = roundFloat16(v).float32()
	}
}

// winogradTile is a square to be transformed, or several channels of it. Distances are in floats.
type winogradTile struct {
	in, out           []float32
	bias              []float32
	temporary         *float32 // a place of 36 vectors at the start of a cache line
	srcLine, srcPixel int
	dstLine, dstPixel int
	n                 int // channels
	low, high         float32
}

// winogradStep is one of the three transforms.
type winogradStep int

const (
	winogradInput winogradStep = iota
	winogradWeights
	winogradOutput
)

// winogradMatrices are the transforms in one dimension, by m/2-1 and step.
var winogradMatrices = [2][3][][]float32{
	{
		{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
		{{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
		{{1, 1, 1, 0}, {0, 1, -1, -1}},
	},
	{
		{{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
		{{1.0 / 4, 0, 0}, {-1.0 / 6, -1.0 / 6, -1.0 / 6}, {-1.0 / 6, 1.0 / 6, -1.0 / 6}, {1.0 / 24, 1.0 / 12, 1.0 / 6}, {1.0 / 24, -1.0 / 12, 1.0 / 6}, {0, 0, 1}},
		{{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}},
	},
}

// transform computes out = M·in·Mᵀ for every channel; an output gets the bias and the bounds.
func (t *winogradTile) transform(set isa, m int, step winogradStep) {
	matrix := winogradMatrices[m/2-1][step]
	rows, columns := len(matrix), len(matrix[0])
	_ = t.in[(columns-1)*(t.srcLine+t.srcPixel)+t.n-1]
	_ = t.out[(rows-1)*(t.dstLine+t.dstPixel)+t.n-1]
	if t.assembly(set, m, step) {
		return
	}
	var middle, result [6][6]float32
	for c := range t.n {
		for i := range rows {
			for j := range columns {
				var sum float32
				for k, f := range matrix[i] {
					sum += f * t.in[k*t.srcLine+j*t.srcPixel+c]
				}
				middle[i][j] = sum
			}
		}
		for i := range rows {
			for j := range rows {
				var sum float32
				for k, f := range matrix[j] {
					sum += f * middle[i][k]
				}
				result[i][j] = sum
			}
		}
		for i := range rows {
			for j := range rows {
				v := result[i][j]
				if step == winogradOutput {
					v = bound(v+t.bias[c], t.low, t.high)
				}
				t.out[i*t.dstLine+j*t.dstPixel+c] = v
			}
		}
	}
}

// winogradTask is a convolution by Winograd's method in progress, cut into blocks of squares by
// blocks of panels.
type winogradTask struct {
	*convTask
	*winograd
	acrossH, acrossW      int // squares of an image
	squares, blocks       int // of a block; blocks
	columns, columnBlocks int // panels of a block; blocks
	scratchPitch          int // of the transformed input
	inPlace, outPlace     int // distance of places in the transformed input and output
	outRow                int
}

const (
	winogradSquares = 28      // of a block, at most,
	winogradFloats  = 2 << 20 // or twice that with more weights, which come from afar
	winogradBlocks  = 4       // at least, if need be by panels
)

func (t *convTask) runWinograd(pool *Pool) {
	w := t.PackedConv.winograd
	x := &t.workspace.winograd
	*x = winogradTask{convTask: t, winograd: w}
	x.acrossH, x.acrossW = ceilDiv(t.outH, w.m), ceilDiv(t.outW, w.m)
	total := t.N * x.acrossH * x.acrossW
	squares := winogradSquares
	if max(len(w.u), len(w.narrow)) > winogradFloats || w.narrow != nil { // widened once a block
		squares *= 2
	}
	x.blocks = ceilDiv(total, squares)
	if x.blocks > 1 {
		x.blocks = roundUp(x.blocks, 2)
	}
	x.squares = ceilDiv(total, x.blocks)
	x.blocks = ceilDiv(total, x.squares)
	x.columnBlocks = min(max(winogradBlocks/x.blocks, 1), w.layout.count)
	x.columns = ceilDiv(w.layout.count, x.columnBlocks)
	x.columnBlocks = ceilDiv(w.layout.count, x.columns)
	// An odd number of cache lines between places spreads a square over the cache.
	odd := func(n int) int { return (ceilDiv(n, 16) | 1) * 16 }
	x.scratchPitch = t.in
	if aliases(t.in) {
		x.scratchPitch = spread(t.in)
	}
	x.inPlace = odd(x.squares * x.scratchPitch)
	x.outRow = x.columns * t.set.panelColumns()
	x.outPlace = odd(x.squares * x.outRow)
	floats := w.places()*(x.inPlace+x.outPlace) + 36*16 + w.places()*max(t.in, t.out)
	if w.narrow != nil {
		floats += t.in * t.set.panelColumns()
	}
	t.workspace.reserve(pool.Threads(), w.layout.padded(), floats, 1)
	clear(t.workspace.shared[:w.layout.padded()])
	pool.run(x.blocks*x.columnBlocks, x)
	*x = winogradTask{}
}

func (x *winogradTask) do(worker, i int) {
	l := &x.workspace.locals[worker]
	first := i / x.columnBlocks * x.squares
	count := min(x.squares, x.N*x.acrossH*x.acrossW-first)
	p := i % x.columnBlocks * x.columns
	q := min(p+x.columns, x.winograd.layout.count)
	places := x.places()
	v, rest := l.floats[:places*x.inPlace], l.floats[places*x.inPlace:]
	sums, rest := rest[:places*x.outPlace], rest[places*x.outPlace:]
	square := &l.square
	square.temporary = &rest[0]
	rest = rest[36*16:]
	for j := range count {
		x.input(square, v[j*x.scratchPitch:], rest, first+j)
	}
	if x.narrow == nil {
		x.multiply(l, v, sums, count, p, q)
	} else {
		x.multiplyHalves(l, v, sums, rest, count, p, q)
	}
	for j := range count {
		x.output(square, sums[j*x.outRow:], rest, first+j, p, q)
	}
	l.square = winogradTile{}
	l.tile.release()
}

// where returns the image and the first output of a square.
func (x *winogradTask) where(square int) (image, y, column int) {
	each := x.acrossH * x.acrossW
	at := square % each
	return square / each, at / x.acrossW * x.m, at % x.acrossW * x.m
}

// input transforms a square of the input; one that reaches over the border is copied first.
func (x *winogradTask) input(t *winogradTile, v, scratch []float32, square int) {
	image, y, column := x.where(square)
	y, column = y+x.phase.y.low(), column+x.phase.x.low()
	size := x.m + 2
	t.srcLine, t.srcPixel = x.inW*x.SrcPitch, x.SrcPitch
	if y >= 0 && column >= 0 && y+size <= x.inH && column+size <= x.inW {
		t.in = x.Src[((image*x.inH+y)*x.inW+column)*x.SrcPitch:]
	} else {
		scratch = scratch[:size*size*x.in]
		clear(scratch)
		left, right := max(-column, 0), min(size, x.inW-column)
		for i := range size {
			if line := y + i; line >= 0 && line < x.inH && left < right {
				gather(x.set, scratch[(i*size+left)*x.in:], x.in, x.Src[((image*x.inH+line)*x.inW+column+left)*x.SrcPitch:], x.SrcPitch, right-left, x.in)
			}
		}
		t.in, t.srcLine, t.srcPixel = scratch, size*x.in, x.in
	}
	t.out, t.dstLine, t.dstPixel = v, size*x.inPlace, x.inPlace
	t.n = x.in
	t.transform(x.set, x.m, winogradInput)
}

// multiply computes every place of the transformed output.
func (x *winogradTask) multiply(l *local, v, sums []float32, count, p, q int) {
	t := &l.tile
	layout := x.winograd.layout
	t.b, t.c, t.r = x.u, sums, nil
	t.bias = x.workspace.shared[:layout.padded()]
	t.a, t.aRow, t.run = v, x.scratchPitch, x.in
	t.cRow = x.outRow
	t.low, t.high, _ = None.clamp()
	l.taps[0] = 0
	t.taps = l.taps[:1]
	start := p * x.set.panelColumns() // of the first panel's columns, which begin at 0 in sums
	for place := range x.places() {
		t.b0 = place * layout.size()
		x.multiplyPlace(t, layout, place, count, -start, p, q)
	}
}

// multiplyHalves is multiply for weights of 16 bits, of which a panel at a time is widened.
func (x *winogradTask) multiplyHalves(l *local, v, sums, panel []float32, count, p, q int) {
	t := &l.tile
	layout := x.winograd.layout
	t.b, t.b0, t.c, t.r = panel, 0, sums, nil
	t.bias = x.workspace.shared[:layout.padded()]
	t.a, t.aRow, t.run = v, x.scratchPitch, x.in
	t.cRow = x.outRow
	t.low, t.high, _ = None.clamp()
	l.taps[0] = 0
	t.taps = l.taps[:1]
	for place := range x.places() {
		for i := p; i < q; i++ {
			column := i * x.set.panelColumns()
			one := newPanels(x.set, layout.k, min(x.set.panelColumns(), layout.n-column))
			expandFloat16s(x.set, panel[:one.size()], x.narrow[place*layout.size()+layout.start(i):])
			x.multiplyPlace(t, one, place, count, column-p*x.set.panelColumns(), 0, 1)
		}
	}
}

// multiplyPlace computes panels p … q-1 of a place for all squares; column is where those of panel 0 begin in the sums.
func (x *winogradTask) multiplyPlace(t *tile, layout panels, place, count, column, p, q int) {
	rows := ceilDiv(count, ceilDiv(count, x.set.tileRows()))
	for i := 0; i < count; i += rows {
		m := min(rows, count-i)
		second := i
		if m > x.set.groupRows() {
			second += ceilDiv(m, 2)
		}
		t.a0, t.a1 = place*x.inPlace+i*t.aRow, place*x.inPlace+second*t.aRow
		t.c0, t.c1 = place*x.outPlace+i*t.cRow+column, place*x.outPlace+second*t.cRow+column
		t.compute(layout, m, p, q)
	}
}

// output transforms a square of the output; one that reaches over the edge, or has more to come, is
// finished elsewhere and copied.
func (x *winogradTask) output(t *winogradTile, sums, scratch []float32, square, p, q int) {
	image, y, column := x.where(square)
	from := p * x.set.panelColumns()
	n := min(q*x.set.panelColumns(), x.out) - from
	size := x.m + 2
	t.in, t.srcLine, t.srcPixel = sums, size*x.outPlace, x.outPlace
	t.bias, t.n = x.bias[from:], n
	pixel := (image*x.outH+y)*x.outW + column
	whole := y+x.m <= x.outH && column+x.m <= x.outW
	if whole && x.Residual == nil {
		t.low, t.high = x.low, x.high
		t.out, t.dstLine, t.dstPixel = x.Dst[pixel*x.DstPitch+from:], x.outW*x.DstPitch, x.DstPitch
		t.transform(x.set, x.m, winogradOutput)
	} else {
		t.low, t.high, _ = None.clamp()
		t.out, t.dstLine, t.dstPixel = scratch, x.m*n, n
		t.transform(x.set, x.m, winogradOutput)
	}
	for i := range min(x.m, x.outH-y) {
		at := pixel + i*x.outW
		s := sweep{
			dst: x.Dst[at*x.DstPitch+from:], x: scratch[i*x.m*n:], step: [6]int{x.DstPitch, n},
			n: n, rows: min(x.m, x.outW-column), low: x.low, high: x.high,
		}
		switch {
		case x.Residual != nil:
			s.y, s.step[2] = x.Residual[at*x.ResidualPitch+from:], x.ResidualPitch
			s.do(x.set, opAdd)
		case !whole:
			s.do(x.set, opBound)
		}
		if x.rest != None {
			s.x, s.step[1] = s.dst, s.step[0]
			s.activate(x.set, x.rest)
		}
	}
}

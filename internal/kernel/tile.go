package kernel

// tile is what a micro-kernel computes in one call: a few rows of a matrix product,
//
//	c[i][j] = bound(bias[j] + Σ a[i][k]·b[k][j] (+ r[i][j]), low, high)
//
// for n columns in one or more panels. The k axis is a list of taps, each a run of consecutive
// elements of a at an offset of its own, so that a convolution reads its input where it lies.
//
// Rows come in two groups, each at a constant distance, so that a tile can span two lines of an
// image: of m rows, the first ⌈m/2⌉ form group 0 when m > groupRows, all do otherwise.
//
// The assembly reads this struct at the offsets that tile_test.go pins.
type tile struct {
	a, b, c []float32
	r       []float32 // residual, may be nil; may be c itself, to accumulate
	bias    []float32
	taps    []int // offset of each tap in a

	run          int // elements of each tap
	a0, a1, aRow int // a: first element of each group, distance of rows
	b0, bPanel   int // b: first element, distance of panels
	c0, c1, cRow int
	r0, r1, rRow int
	bias0, n     int // first column in bias; number of columns
	low, high    float32

	// For bytes: the sum times scale plus shift, by column, is the output; rScale is what one unit of
	// the residual is worth.
	scale, shift []float32
	rScale       float32

	kind   element // what a and b hold
	stored element // what c and r hold: kind, or float32

	edge [2][6 * 16]uint8 // of AVX2: a last panel of bytes of which some columns are missing, and its residual
}

// element is the type of a convolution's numbers. An element of a and b is always four bytes that
// are multiplied together: one float32, two bfloat16, or four bytes; but see elementHalf.
type element uint8

const (
	elementFloat32 element = iota
	elementBFloat16
	elementUint8
	elementHalf // a of float32, and words of b that hold two bfloat16 for two neighbours in a
)

// together is the number of channels in four bytes of a.
func (e element) together() int {
	if e == elementHalf {
		return 1
	}
	return 1 << e
}

// groupRows is the largest number of rows a kernel takes in one group; twice that is its largest
// tile where it has two groups.
func (s isa) groupRows() int {
	if s == avx512 {
		return 7
	}
	return 6
}

// groups is the number of groups the largest tile has.
func (s isa) groups() int {
	if s == avx512 {
		return 2
	}
	return 1
}

// tileRows is the number of rows of the largest tile.
func (s isa) tileRows() int { return s.groupRows() * s.groups() }

// panelColumns is the width of a panel.
func (s isa) panelColumns() int {
	switch s {
	case avx512:
		return 32
	case avx2:
		return 16
	}
	return 4
}

// narrowColumns is the width of a last panel that is at most that wide.
func (s isa) narrowColumns() int {
	switch s {
	case avx512:
		return 16
	case avx2:
		return 8
	}
	return s.panelColumns()
}

// panels is the layout of a k×n matrix in panels.
type panels struct {
	set   isa
	k, n  int
	count int
}

func newPanels(set isa, k, n int) panels {
	return panels{set, k, n, ceilDiv(n, set.panelColumns())}
}

// width returns the columns of panel p, padding included.
func (l panels) width(p int) int {
	w := l.set.panelColumns()
	if narrow := l.set.narrowColumns(); l.n-p*w <= narrow {
		return narrow
	}
	return w
}

// start returns the index of the first element of panel p.
func (l panels) start(p int) int { return p * l.set.panelColumns() * l.k }

// size returns the number of floats of the packed matrix.
func (l panels) size() int {
	if l.count == 0 {
		return 0
	}
	return l.start(l.count-1) + l.width(l.count-1)*l.k
}

// padded returns n rounded up to the columns of all panels.
func (l panels) padded() int {
	if l.count == 0 {
		return 0
	}
	return (l.count-1)*l.set.panelColumns() + l.width(l.count-1)
}

// compute runs the micro-kernel on m rows and panels p … q-1 of l. The caller has set a, b, c, r,
// bias, taps, run, aRow, cRow, rRow, low, high, the start of each group of rows for column 0 of
// panel 0, and b0 for panel 0.
func (t *tile) compute(l panels, m, p, q int) {
	width := l.set.panelColumns()
	b0, c0, c1, r0, r1 := t.b0, t.c0, t.c1, t.r0, t.r1
	at := func(p int) {
		skip := p * width
		t.b0, t.bias0 = b0+l.start(p), skip
		t.c0, t.c1, t.r0, t.r1 = c0+skip, c1+skip, r0+skip, r1+skip
	}
	t.bPanel = width * l.k
	wide := q
	if q == l.count && l.width(q-1) < width {
		wide--
	}
	// Of bytes, AVX2 can neither read nor write part of a panel.
	if l.set == avx2 && t.stored == elementUint8 && q == l.count && l.padded() > l.n {
		last, width := q-1, l.width(q-1)
		at(last)
		t.n = width
		t.computeEdge(m, l.n-last*l.set.panelColumns(), width)
		q, wide = last, min(wide, last)
	}
	if wide > p {
		at(p)
		t.n = min(l.n, wide*width) - p*width
		tileWide(l.set, m, t)
	}
	if wide < q {
		at(wide)
		t.n = l.n - wide*width
		tileNarrow(l.set, m, t)
	}
	t.b0, t.c0, t.c1, t.r0, t.r1 = b0, c0, c1, r0, r1
}

// computeEdge computes m rows of a panel of bytes of which only n columns are there.
func (t *tile) computeEdge(m, n, width int) {
	c, c0, cRow, r, r0, rRow := t.c, t.c0, t.cRow, t.r, t.r0, t.rRow
	if r != nil {
		from := asBytes(r, r0+(m-1)*rRow+n)
		for i := range m {
			copy(t.edge[1][i*width:], from[r0+i*rRow:][:n])
		}
		t.r, t.r0, t.rRow = asFloats(t.edge[1][:]), 0, width
	}
	t.c, t.c0, t.cRow = asFloats(t.edge[0][:]), 0, width
	if width < avx2.panelColumns() {
		tileNarrow(avx2, m, t)
	} else {
		tileWide(avx2, m, t)
	}
	dst := asBytes(c, c0+(m-1)*cRow+n)
	for i := range m {
		copy(dst[c0+i*cRow:][:n], t.edge[0][i*width:])
	}
	t.c, t.c0, t.cRow, t.r, t.r0, t.rRow = c, c0, cRow, r, r0, rRow
}

// tilePortable is the micro-kernel in plain Go, for one group of rows and panels of four columns.
func tilePortable(m int, t *tile) {
	i := 0
	for ; i+2 <= m; i += 2 {
		t.rowPair(t.a0+i*t.aRow, t.c0+i*t.cRow, t.r0+i*t.rRow)
	}
	if i < m {
		t.row(t.a0+i*t.aRow, t.c0+i*t.cRow, t.r0+i*t.rRow)
	}
}

// row computes one row.
func (t *tile) row(a0, c0, r0 int) {
	for p, j := 0, 0; j < t.n; p, j = p+1, j+4 {
		b := t.b[t.b0+p*t.bPanel:]
		bias := t.bias[t.bias0+j : t.bias0+j+4]
		x0, x1, x2, x3 := bias[0], bias[1], bias[2], bias[3]
		for _, tap := range t.taps {
			a := t.a[a0+tap : a0+tap+t.run]
			for k, v := range a {
				w := b[4*k : 4*k+4 : 4*k+4]
				x0 += v * w[0]
				x1 += v * w[1]
				x2 += v * w[2]
				x3 += v * w[3]
			}
			b = b[4*t.run:]
		}
		t.store(c0+j, r0+j, t.n-j, [4]float32{x0, x1, x2, x3})
	}
}

// rowPair computes two neighbouring rows of a group.
func (t *tile) rowPair(a0, c0, r0 int) {
	for p, j := 0, 0; j < t.n; p, j = p+1, j+4 {
		b := t.b[t.b0+p*t.bPanel:]
		bias := t.bias[t.bias0+j : t.bias0+j+4]
		x0, x1, x2, x3 := bias[0], bias[1], bias[2], bias[3]
		y0, y1, y2, y3 := x0, x1, x2, x3
		for _, tap := range t.taps {
			a := t.a[a0+tap : a0+tap+t.run]
			a2 := t.a[a0+t.aRow+tap:][:len(a)]
			for k, v := range a {
				w := b[4*k : 4*k+4 : 4*k+4]
				x0 += v * w[0]
				x1 += v * w[1]
				x2 += v * w[2]
				x3 += v * w[3]
				u := a2[k]
				y0 += u * w[0]
				y1 += u * w[1]
				y2 += u * w[2]
				y3 += u * w[3]
			}
			b = b[4*t.run:]
		}
		t.store(c0+j, r0+j, t.n-j, [4]float32{x0, x1, x2, x3})
		t.store(c0+t.cRow+j, r0+t.rRow+j, t.n-j, [4]float32{y0, y1, y2, y3})
	}
}

// store ends up to four columns of a row.
func (t *tile) store(c0, r0, n int, x [4]float32) {
	n = min(n, 4)
	c := t.c[c0 : c0+n]
	if t.r != nil {
		for j, v := range t.r[r0 : r0+n] {
			x[j] += v
		}
	}
	for j := range c {
		c[j] = bound(x[j], t.low, t.high)
	}
}

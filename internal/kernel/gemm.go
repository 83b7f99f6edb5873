package kernel

import "math"

// Gemm computes c = alpha·op(a)·op(b) + beta·c, where op transposes when its flag is set: op(a) is
// m×k, op(b) is k×n, c is m×n. lda, ldb and ldc are the leading dimensions of the matrices as
// they lie in memory. With beta zero, c is written without being read. c must not overlap a or b.
// workspace may be nil.
func Gemm(pool *Pool, transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int, workspace *Workspace) {
	gemm(active(), elementFloat32, pool, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, workspace)
}

func gemm(set isa, kind element, pool *Pool, transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int, workspace *Workspace) {
	if m == 0 || n == 0 {
		return
	}
	need("gemm", "c", c, matrixSize(m, n, ldc, false))
	need("gemm", "a", a, matrixSize(m, k, lda, transA))
	need("gemm", "b", b, matrixSize(k, n, ldb, transB))
	w := workspace.orNew()
	w.plain = plainMatrix{b: b, row: ldb, transposed: transB, scale: alpha}
	if alpha == 0 {
		k = 0
	}
	w.gemm = gemmTask{
		set: set, kind: kind, workspace: w, m: m, n: n, k: k,
		a: a, aRow: lda, aTransposed: transA, right: &w.plain, c: c, cRow: ldc, beta: beta,
	}
	w.gemm.run(pool)
	w.gemm, w.plain = gemmTask{}, plainMatrix{}
}

// matrixSize returns the elements from the first to the last of op(x), rows×columns.
func matrixSize(rows, columns, lead int, transposed bool) int {
	if transposed {
		rows, columns = columns, rows
	}
	if rows == 0 || columns == 0 {
		return 0
	}
	if lead < columns {
		panic("kernel: gemm: leading dimension is less than the length of a row")
	}
	return (rows-1)*lead + columns
}

// rightMatrix is what can stand on the right of a product.
type rightMatrix interface {
	// pack lays out rows k … k+l.k-1 of columns n … n+l.n-1, panel p of l.
	pack(l panels, p int, dst []float32, k, n int)
}

// plainMatrix is a matrix in memory.
type plainMatrix struct {
	b          []float32
	row        int
	transposed bool
	scale      float32
}

func (x *plainMatrix) pack(l panels, p int, dst []float32, k, n int) {
	n += p * l.set.panelColumns()
	one := panels{l.set, l.k, min(l.n-p*l.set.panelColumns(), l.set.panelColumns()), 1}
	if !x.transposed {
		packRows(one, dst, 0, x.b[k*x.row+n:], x.row, l.k, x.scale)
		return
	}
	packTransposed(one, dst, x.b[n*x.row+k:], x.row)
	if x.scale != 1 {
		dst = dst[:one.size()]
		scaleInto(l.set, dst, dst, x.scale)
	}
}

// gemmTask is a matrix product in progress. The right matrix is packed block by block, k first, by
// all threads together; then all threads multiply.
type gemmTask struct {
	set         isa
	kind        element // what is multiplied: float32, or rounded to bfloat16
	workspace   *Workspace
	m, n, k     int
	a           []float32
	aRow        int
	aTransposed bool
	right       rightMatrix
	c           []float32
	cRow        int
	beta        float32

	packing              bool
	depth                int    // k of this block
	layout               panels // of words
	k0, n0               int
	rows, rowBlocks      int
	columns, columnBlock int
	zeros                []float32 // a bias
}

const (
	gemmDepth    = 512  // k of a block
	gemmColumns  = 256  // columns that rows of the left matrix meet before the next ones do
	gemmGathered = 1024 // columns of a block whose left matrix is gathered, which costs the less the more columns it meets
	gemmBlocks   = 8    // at least so many pieces, where there are enough panels
)

func (t *gemmTask) run(pool *Pool) {
	depth := min(gemmDepth, t.k)
	if !t.set.multiplies(t.kind) {
		t.kind = elementFloat32
	}
	columns := gemmColumns
	if t.gathers() {
		columns = gemmGathered
	}
	columns = min(columns, roundUp(t.n, t.set.panelColumns()))
	t.rows = min(4*t.set.tileRows(), roundUp(t.m, t.set.tileRows()))
	t.rowBlocks = ceilDiv(t.m, t.rows)
	bias := roundUp(columns, 16)
	t.workspace.reserve(pool.Threads(), columns*depth+bias, max(t.rows*t.pitch(depth), depth*t.set.panelColumns()), 1)
	t.zeros = t.workspace.shared[:bias]
	clear(t.zeros)
	if t.beta != 0 && t.beta != 1 {
		for i := range t.m {
			row := t.c[i*t.cRow:][:t.n]
			for j := range row {
				row[j] *= t.beta
			}
		}
	}
	for t.n0 = 0; t.n0 < t.n; t.n0 += columns {
		for t.k0 = 0; t.k0 == 0 || t.k0 < t.k; t.k0 += gemmDepth {
			t.depth = min(depth, t.k-t.k0)
			t.layout = newPanels(t.set, ceilDiv(t.depth, t.kind.together()), min(columns, t.n-t.n0))
			if t.layout.k > 0 {
				t.packing = true
				pool.run(t.layout.count, t)
				t.packing = false
			}
			t.columns = t.layout.count
			if t.rowBlocks < gemmBlocks {
				t.columns = ceilDiv(t.layout.count, ceilDiv(gemmBlocks, t.rowBlocks))
			}
			t.columnBlock = ceilDiv(t.layout.count, t.columns)
			pool.run(t.rowBlocks*t.columnBlock, t)
		}
	}
}

// gathers tells whether rows of the left matrix are gathered in scratch memory: those that are not read in place.
func (t *gemmTask) gathers() bool {
	return t.aTransposed || aliases(t.aRow) || t.kind != elementFloat32
}

// pitch is the distance of rows of a block of the left matrix that is gathered.
func (t *gemmTask) pitch(depth int) int { return spread(roundUp(depth, t.kind.together())) }

// pack lays out panel i of a block of the right matrix.
func (t *gemmTask) pack(l *local, i int, packed []float32) {
	if t.kind == elementFloat32 {
		t.right.pack(t.layout, i, packed, t.k0, t.n0)
		return
	}
	wide := panels{t.set, t.depth, t.layout.n, t.layout.count}
	t.right.pack(wide, i, l.floats, t.k0, t.n0)
	width := wide.width(i)
	pairRows(panels{t.set, t.layout.k, width, 1}, packed, 0, l.floats, width, t.depth)
}

// gather lays out some rows of the left matrix in scratch memory, rounded if they are to be.
func (t *gemmTask) gather(dst []float32, row, rows int) {
	pitch := t.pitch(t.depth)
	if t.aTransposed {
		transpose(t.set, dst, pitch, t.a[t.k0*t.aRow+row:], t.aRow, t.depth, rows)
	} else {
		gather(t.set, dst, pitch, t.a[row*t.aRow+t.k0:], t.aRow, rows, t.depth)
	}
	if t.kind == elementFloat32 {
		return
	}
	if t.depth%2 != 0 {
		for i := range rows {
			dst[i*pitch+t.depth] = 0
		}
	}
	roundRows(t.set, dst, pitch, dst, pitch, rows, t.layout.k)
}

func (t *gemmTask) do(worker, i int) {
	packed := t.workspace.shared[len(t.zeros):]
	l := &t.workspace.locals[worker]
	if t.packing {
		t.pack(l, i, packed[t.layout.start(i):])
		return
	}
	p := i % t.columnBlock * t.columns
	q := min(p+t.columns, t.layout.count)
	row := i / t.columnBlock * t.rows
	rows := min(t.rows, t.m-row)
	x := &l.tile
	x.b, x.b0 = packed, 0
	x.bias = t.zeros
	x.c, x.cRow = t.c, t.cRow
	x.r, x.rRow = nil, t.cRow
	if t.k0 > 0 || t.beta != 0 {
		x.r = t.c
	}
	x.low, x.high = float32(math.Inf(-1)), float32(math.Inf(1))
	x.kind = t.kind
	first := row*t.aRow + t.k0
	x.a, x.aRow, x.run = t.a, t.aRow, t.layout.k
	l.taps[0] = 0
	x.taps = l.taps[:1]
	if t.depth == 0 {
		x.taps = nil // nothing to read
	} else if t.gathers() {
		x.a, x.aRow, first = l.floats, t.pitch(t.depth), 0
		t.gather(x.a, row, rows)
	}
	for step := gemmColumns / t.set.panelColumns(); p < q; p += step {
		for i := 0; i < rows; i += t.set.tileRows() {
			m := min(t.set.tileRows(), rows-i)
			second := i
			if m > t.set.groupRows() {
				second += ceilDiv(m, 2)
			}
			x.a0, x.a1 = first+i*x.aRow, first+second*x.aRow
			x.c0, x.c1 = (row+i)*x.cRow+t.n0, (row+second)*x.cRow+t.n0
			x.r0, x.r1 = x.c0, x.c1
			x.compute(t.layout, m, p, min(p+step, q))
		}
	}
	x.release()
}

// PackedDense is a dense layer with its weights laid out for the instruction set in use.
type PackedDense struct{ conv *PackedConv }

// PackDense lays out the weights [out][in] and the bias [out], which may be nil.
func PackDense(in, out int, weights, bias []float32) (*PackedDense, error) {
	c, err := PackConv(denseGeometry(in, out), weights, bias)
	if err != nil {
		return nil, err
	}
	return &PackedDense{c}, nil
}

func denseGeometry(in, out int) Conv {
	return Conv{InC: in, OutC: out, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
}

// Run computes dst = act(src·weightsᵀ + bias): src is [rows][in], dst is [rows][out]. workspace may
// be nil.
func (d *PackedDense) Run(pool *Pool, dst, src []float32, rows int, act Activation, workspace *Workspace) {
	d.conv.Run(pool, dst, src, rows, 1, 1, nil, act, workspace)
}

// Repack replaces the weights and the bias.
func (d *PackedDense) Repack(weights, bias []float32) error { return d.conv.Repack(weights, bias) }

// Bytes returns the memory of the packed weights.
func (d *PackedDense) Bytes() int { return d.conv.Bytes() }

package kernel

import (
	"errors"
	"fmt"
	"math"
)

// PackedDenseInt8 is a dense layer that multiplies bytes: signed weights with a scale for each output, and rows of float32 that are
// quantised as they come (dynamic quantisation), each by itself, to bytes that divide its range, which includes 0, into 255 steps. What
// a row gives therefore does not depend on the others. Sums are exact integers; without an activation that is no bound the results of all
// instruction sets are the same.
type PackedDenseInt8 struct {
	packed  *PackedConv // of rows whose 0 is denseZero
	bias    []float32
	weights []float32 // the sums of the outputs' weights, for rows whose 0 is another byte
	in, out int
}

const denseZero = 128

// PackDenseInt8 quantises the weights [out][in], each output's by its largest magnitude, and lays them out. The bias [out] may be nil. in
// must be a multiple of four.
func PackDenseInt8(in, out int, weights, bias []float32) (*PackedDenseInt8, error) {
	return packDenseInt8(active(), in, out, weights, bias)
}

func packDenseInt8(set isa, in, out int, weights, bias []float32) (*PackedDenseInt8, error) {
	if in < 1 || out < 1 {
		return nil, errors.New("dense layer of bytes: inputs and outputs must be positive")
	}
	if bias != nil && len(bias) != out {
		return nil, fmt.Errorf("dense layer of bytes: %d biases, want %d", len(bias), out)
	}
	packed, err := packConvInt8(set, denseGeometry(in, out), weights, nil, Int8Options{Input: Quantization{Scale: 1, Zero: denseZero}})
	if err != nil {
		return nil, fmt.Errorf("dense layer of bytes: %w", err)
	}
	d := &PackedDenseInt8{packed: packed.packed, bias: aligned(out), weights: aligned(out), in: in, out: out}
	copy(d.bias, bias)
	for i := range d.weights {
		d.weights[i] = d.packed.scale[i] * float32(int32(math.Float32bits(d.packed.bias[i]))/-denseZero)
	}
	return d, nil
}

// Bytes returns the memory of the packed weights.
func (d *PackedDenseInt8) Bytes() int {
	return d.packed.Bytes() + 4*(len(d.packed.scale)+2*len(d.packed.shift[0])+2*d.out)
}

// DenseView says where a dense layer reads and writes, as [ConvView] does.
type DenseView struct {
	Dst, Src, Residual                []float32
	DstPitch, SrcPitch, ResidualPitch int
	Rows                              int
}

// RunView computes dst = act(src·weightsᵀ + bias + residual). The residual may be dst; src may not. A row with a number that is not finite
// gives NaN. workspace may be nil.
func (d *PackedDenseInt8) RunView(pool *Pool, v DenseView, act Activation, workspace *Workspace) {
	if v.Rows == 0 {
		return
	}
	const name = "dense layer of bytes"
	v.SrcPitch, v.DstPitch, v.ResidualPitch = pitch(v.SrcPitch, d.in), pitch(v.DstPitch, d.out), pitch(v.ResidualPitch, d.out)
	need(name, "src", v.Src, (v.Rows-1)*v.SrcPitch+d.in)
	need(name, "dst", v.Dst, (v.Rows-1)*v.DstPitch+d.out)
	if v.Residual != nil {
		need(name, "residual", v.Residual, (v.Rows-1)*v.ResidualPitch+d.out)
	}
	space := workspace.orNew()
	t := &space.denseInt8
	*t = denseInt8Task{PackedDenseInt8: d, DenseView: v, act: act, space: space}
	t.run(pool)
	*t = denseInt8Task{}
}

// denseInt8Task is such a layer in progress: all threads quantise the rows, and then multiply.
type denseInt8Task struct {
	*PackedDenseInt8
	DenseView
	act   Activation
	space *Workspace

	quantising bool
	words      []float32 // quantised rows, four bytes each, at distance pitch
	pitch      int
	scales     []float32 // what a step of each row is worth
	shifts     []float32 // by what sums of weights the row's numbers are too large
	rowBlocks  int
}

// A piece is so many rows of the input, or a block of so many rows by so many panels of the output: sums of a tile stay in the L1 cache until
// they are scaled, and the weights of a block in the L2 cache for all its rows.
const (
	denseQuantised = 16
	denseTiles     = 4
	densePanels    = 8
)

func (t *denseInt8Task) run(pool *Pool) {
	set := t.packed.set
	t.pitch = spread(t.in / 4)
	t.words = t.space.widened(0, t.Rows*t.pitch)
	part := partition{t.space.widened(1, 2*t.Rows)}
	t.scales, t.shifts = part.take(t.Rows), part.take(t.Rows)
	t.space.reserve(pool.Threads(), 0, set.tileRows()*densePanels*set.panelColumns(), 1)
	t.quantising = true
	pool.run(ceilDiv(t.Rows, denseQuantised), t)
	t.quantising = false
	t.rowBlocks = ceilDiv(t.Rows, denseTiles*set.tileRows())
	pool.run(t.rowBlocks*ceilDiv(t.packed.phases[0].layout.count, densePanels), t)
}

func (t *denseInt8Task) do(worker, i int) {
	if t.quantising {
		for row := i * denseQuantised; row < min((i+1)*denseQuantised, t.Rows); row++ {
			q := quantizeRow(t.packed.set, asBytes(t.words[row*t.pitch:], t.in), t.Src[row*t.SrcPitch:][:t.in])
			t.scales[row], t.shifts[row] = q.Scale, q.Scale*float32(denseZero-int(q.Zero))
		}
		return
	}
	l, set, layout := &t.space.locals[worker], t.packed.set, t.packed.phases[0].layout
	p := i / t.rowBlocks * densePanels
	q := min(p+densePanels, layout.count)
	first, last := p*set.panelColumns(), min(q*set.panelColumns(), layout.n)
	x := &l.tile
	l.taps[0] = 0
	*x = tile{
		a: t.words, aRow: t.pitch, run: t.packed.in, taps: l.taps[:1],
		b: t.packed.phases[0].b, bias: t.packed.bias, scale: t.packed.scale, shift: t.packed.shift[0],
		c: l.floats, cRow: densePanels * set.panelColumns(),
		low: float32(math.Inf(-1)), high: float32(math.Inf(1)), kind: elementUint8, stored: elementFloat32,
	}
	begin := i % t.rowBlocks * denseTiles * set.tileRows()
	for row := begin; row < min(begin+denseTiles*set.tileRows(), t.Rows); row += set.tileRows() {
		m := min(set.tileRows(), t.Rows-row)
		second := 0
		if m > set.groupRows() {
			second = ceilDiv(m, 2)
		}
		x.a0, x.a1 = row*x.aRow, (row+second)*x.aRow
		x.c0, x.c1 = -first, second*x.cRow-first // the tile counts columns from that of the whole
		x.compute(layout, m, p, q)
		t.finish(set, l.floats, x.cRow, row, m, first, last)
	}
	x.release()
}

// finish scales the sums of m rows, adds bias and residual, and stores what the activation makes of them.
func (t *denseInt8Task) finish(set isa, sums []float32, pitch, row, m, first, last int) {
	for i := range m {
		v := sweep{
			dst: t.Dst[(row+i)*t.DstPitch+first:], x: sums[i*pitch:], y: t.bias[first:last], z: t.weights[first:last], n: last - first, rows: 1,
			low: t.scales[row+i], high: t.shifts[row+i],
		}
		if t.Residual == nil {
			v.do(set, opRescale)
			continue
		}
		v.u = t.Residual[(row+i)*t.ResidualPitch+first:]
		v.do(set, opRescaleAdd)
	}
	if t.act != None {
		y := t.Dst[row*t.DstPitch+first:]
		v := sweep{dst: y, x: y, step: [6]int{t.DstPitch, t.DstPitch}, n: last - first, rows: m}
		v.activate(set, t.act)
	}
}

// leastRange is what the range of a row must reach not to count as zeros, so that the inverse of its steps is finite.
const leastRange = 1e-30

// quantizeRow writes a row as bytes and returns what they mean: of a row with a number that is not finite, NaN.
func quantizeRow(set isa, dst []uint8, src []float32) Quantization {
	low, high, finite := extremes(set, src)
	reach := high - low
	if finite != 0 || reach < leastRange || reach > math.MaxFloat32 {
		for i := range dst {
			dst[i] = denseZero
		}
		if finite == 0 && reach < leastRange {
			return Quantization{Zero: denseZero}
		}
		return Quantization{Scale: float32(math.NaN()), Zero: denseZero}
	}
	steps := 255 / reach
	zero := float32(math.RoundToEven(float64(-low * steps)))
	quantizeInto(set, dst, src, steps, zero)
	return Quantization{Scale: reach / 255, Zero: uint8(zero)}
}

// extremes are the least and the greatest of x and 0, and finite is 0 unless a number is not finite.
func extremes(set isa, x []float32) (low, high, finite float32) {
	low, high, finite, n := extremesAssembly(set, x)
	for _, v := range x[n:] {
		low, high, finite = min(low, v), max(high, v), finite+v*0
	}
	return low, high, finite
}

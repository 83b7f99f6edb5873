package kernel

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// RecurrentCell is what a recurrent layer computes at each token.
type RecurrentCell int

// The cells: long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers and others, 2000), and the
// gated recurrent unit (Cho and others 2014, arXiv:1406.1078) with the reset gate behind the product, as cuDNN has it.
const (
	LSTM RecurrentCell = iota
	GRU
)

// String returns the name: lstm, gru.
func (c RecurrentCell) String() string {
	switch c {
	case LSTM:
		return "lstm"
	case GRU:
		return "gru"
	}
	return fmt.Sprintf("recurrent cell(%d)", int(c))
}

// Gates is how many blocks of units the weights have: of an LSTM input, forget, candidate, output; of a GRU reset, update,
// candidate.
func (c RecurrentCell) Gates() int {
	if c == GRU {
		return 3
	}
	return 4
}

// Recurrent is a recurrent layer. Weights are [gates·Units, Inputs] and [gates·Units, Units], the bias [gates·Units]; of a GRU
// the products with the state have a bias too, of which the candidate's part is under the reset gate.
type Recurrent struct {
	Cell          RecurrentCell
	Units, Inputs int
	Reverse       bool // from the last token to the first
	Last          bool // gives the output of the last token that it takes; else those of all
	HardSigmoid   bool // gates are clamp(x/5 + 1/2) to 0 … 1, as Keras had them
}

// RecurrentWeights are those of a layer. Inner is nil but for a GRU.
type RecurrentWeights struct{ Input, State, Bias, Inner []float32 }

// RecurrentTrace is what the gradient is computed from: Run writes it. It may be used again.
//
// Rows lie without padding, the tokens of one sequence after those of the one before, as do those of all other slices here.
type RecurrentTrace struct {
	gates  []float32 // [rows][gates·units], after their functions
	cells  []float32 // [rows][units], of an LSTM
	inner  []float32 // [rows][units], of a GRU: the candidate's product with the state
	states []float32 // [rows][units]: the outputs

	source         []float32 // [rows][inputs], if the caller's have padding between them
	flow, flowTo   []float32 // [rows][gates·units]: gradients of the gates, and of the products with the state, of a GRU
	shifted        []float32 // [rows][units]: states before
	starts         []int     // of each sequence: its first row
	order          []int     // of the sequences, the longest first
	weights        stateProduct
	threads        []recurrentThread
	rows           int
	padded, spread bool // rows of the caller: some are padding; they lie otherwise than here
}

// recurrentThread is the sequences that one thread takes from the first token to the last, and its scratch memory.
type recurrentThread struct {
	order         []int
	before, moved []float32 // of a step: states or their gradients, and products
	memory        []float32 // of a step: gradients of cells
	tile          tile
	taps          [1]int
}

// sized returns a slice of n elements that may hold anything, in the memory of one if that is large enough.
func sized[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// prepare says where rows lie, and shares the sequences out to threads: each has some of every length, the longest first.
func (r Recurrent) prepare(t *RecurrentTrace, threads int, sequences []Sequence) {
	t.starts, t.order = sized(t.starts, len(sequences)), sized(t.order, len(sequences))
	t.rows, t.spread = 0, false
	for i, s := range sequences {
		t.starts[i], t.order[i] = t.rows, i
		t.spread = t.spread || s.First != t.rows
		t.rows += s.Length
	}
	t.padded = rowsOf(sequences) != t.rows
	slices.SortStableFunc(t.order, func(a, b int) int { return cmp.Compare(sequences[b].Length, sequences[a].Length) })
	t.threads = sized(t.threads, min(threads, len(sequences)))
	for i := range t.threads {
		t.threads[i].order = t.threads[i].order[:0]
	}
	for i, of := range t.order {
		thread := &t.threads[i%len(t.threads)]
		thread.order = append(thread.order, of)
	}
}

// at is the row of token number step of a sequence, in the order in which the layer takes them.
func (r Recurrent) at(t *RecurrentTrace, sequences []Sequence, of, step int) int {
	if r.Reverse {
		return t.starts[of] + sequences[of].Length - 1 - step
	}
	return t.starts[of] + step
}

// active is how many of the thread's sequences, in order, have a token of that number, of the first n.
func (w *recurrentThread) active(sequences []Sequence, n, step int) int {
	for n > 0 && sequences[w.order[n-1]].Length <= step {
		n--
	}
	return n
}

// compact returns rows of n floats of the caller without padding.
func (t *RecurrentTrace) compact(sequences []Sequence, dst, src []float32, n int) []float32 {
	if !t.spread {
		return src[:t.rows*n]
	}
	dst = sized(dst, t.rows*n)
	for i, s := range sequences {
		copy(dst[t.starts[i]*n:], src[s.First*n:(s.First+s.Length)*n])
	}
	return dst
}

// expand writes rows of n floats to where the caller has them, and zeros for padding.
func (t *RecurrentTrace) expand(sequences []Sequence, dst, src []float32, n int) {
	for i, s := range sequences {
		at := copy(dst[s.First*n:], src[t.starts[i]*n:(t.starts[i]+s.Length)*n])
		clear(dst[s.First*n+at : (s.First+s.Rows)*n])
	}
}

// Run computes the outputs for rows of src: of all tokens into the rows of dst, zeros for padding; or with Last one row a sequence.
// Each thread takes its sequences from the first token to the last, without waiting for the others.
func (r Recurrent) Run(pool *Pool, sequences []Sequence, dst, src []float32, w RecurrentWeights, t *RecurrentTrace, workspace *Workspace) {
	const name = "recurrent layer"
	u, wide := r.Units, r.Cell.Gates()*r.Units
	rows := rowsOf(sequences)
	outputs := rows
	if r.Last {
		outputs = len(sequences)
	}
	need(name, "dst", dst, outputs*u)
	need(name, "src", src, rows*r.Inputs)
	set := active()
	r.prepare(t, pool.Threads(), sequences)
	t.gates, t.states = sized(t.gates, t.rows*wide), sized(t.states, t.rows*u)
	if r.Cell == LSTM {
		t.cells = sized(t.cells, t.rows*u)
	} else {
		t.inner = sized(t.inner, t.rows*u)
	}
	t.source = t.compact(sequences, t.source, src, r.Inputs)
	Gemm(pool, false, true, t.rows, wide, r.Inputs, 1, t.source, r.Inputs, w.Input, r.Inputs, 0, t.gates, wide, workspace)
	if !t.spread {
		t.source = nil // it is the caller's
	}
	t.weights.pack(set, u, wide, w.State, u, true)
	pool.Each(len(t.threads), func(_, i int) { r.forward(set, t, &t.threads[i], sequences, w) })
	if !r.Last {
		t.expand(sequences, dst, t.states, u)
		return
	}
	for i, s := range sequences {
		if s.Length == 0 {
			clear(dst[i*u : (i+1)*u])
			continue
		}
		copy(dst[i*u:(i+1)*u], t.states[r.at(t, sequences, i, s.Length-1)*u:])
	}
}

// forward computes all tokens of a thread's sequences.
func (r Recurrent) forward(set isa, t *RecurrentTrace, thread *recurrentThread, sequences []Sequence, w RecurrentWeights) {
	u, wide := r.Units, r.Cell.Gates()*r.Units
	n := len(thread.order)
	pitch := spread(u)
	thread.before, thread.moved = sized(thread.before, n*pitch), sized(thread.moved, n*wide)
	clear(thread.moved)
	for step := 0; ; step++ {
		if n = thread.active(sequences, n, step); n == 0 {
			return
		}
		if step > 0 {
			for i, of := range thread.order[:n] {
				copy(thread.before[i*pitch:i*pitch+u], t.states[r.at(t, sequences, of, step-1)*u:])
			}
			t.weights.multiply(thread, thread.moved, wide, thread.before, pitch, n, false)
		}
		for i, of := range thread.order[:n] {
			before := -1
			if step > 0 {
				before = r.at(t, sequences, of, step-1)
			}
			r.step(set, t, r.at(t, sequences, of, step), before, thread.moved[i*wide:(i+1)*wide], w)
		}
	}
}

// step computes one token. moved are the products of the state before, zeros at the first; it may be written over.
func (r Recurrent) step(set isa, t *RecurrentTrace, row, before int, moved []float32, w RecurrentWeights) {
	u := r.Units
	wide := len(moved)
	z, h := t.gates[row*wide:(row+1)*wide], t.states[row*u:(row+1)*u]
	if r.Cell == LSTM && !r.HardSigmoid {
		token := lstmToken{gates: z, moved: moved, bias: w.Bias, cell: t.cells[row*u : (row+1)*u], state: h, units: u, first: 1}
		if before >= 0 {
			token.before, token.first = t.cells[before*u:(before+1)*u], 0
		}
		if token.forward(set) {
			return
		}
	}
	if r.Cell == LSTM {
		addInto(set, moved, moved, w.Bias)
		addInto(set, z, z, moved)
		r.gate(set, z[:2*u])
		activateInto(set, Tanh, z[2*u:3*u], z[2*u:3*u])
		r.gate(set, z[3*u:])
		in, forget, candidate, out := z[:u], z[u:2*u], z[2*u:3*u], z[3*u:]
		c := t.cells[row*u : (row+1)*u]
		mulInto(set, c, in, candidate)
		if before >= 0 { // rounded before it is added, on every instruction set
			mulInto(set, h, forget, t.cells[before*u:(before+1)*u])
			addInto(set, c, c, h)
		}
		activateInto(set, Tanh, h, c)
		mulInto(set, h, h, out)
		if before < 0 {
			clear(moved)
		}
		return
	}
	for j := range z[:2*u] {
		z[j] += moved[j] + (w.Bias[j] + w.Inner[j])
	}
	r.gate(set, z[:2*u])
	reset, update, candidate := z[:u], z[u:2*u], z[2*u:]
	inner := t.inner[row*u : (row+1)*u]
	addInto(set, inner, moved[2*u:], w.Inner[2*u:])
	for j := range inner {
		candidate[j] += w.Bias[2*u+j] + float32(reset[j]*inner[j])
	}
	activateInto(set, Tanh, candidate, candidate)
	for j := range h {
		h[j] = float32((1 - update[j]) * candidate[j])
	}
	if before >= 0 {
		for j, old := range t.states[before*u : (before+1)*u] {
			h[j] += float32(update[j] * old)
		}
	}
}

// addInto computes dst = a + b; b has at least as many elements.
func addInto(set isa, dst, a, b []float32) {
	s := sweep{dst: dst, x: a, y: b, n: len(dst), rows: 1, low: float32(math.Inf(-1)), high: float32(math.Inf(1))}
	s.do(set, opAdd)
}

// mulInto computes dst = a·b.
func mulInto(set isa, dst, a, b []float32) {
	s := sweep{dst: dst, x: a, y: b, n: len(dst), rows: 1}
	s.do(set, opMul)
}

// gate applies the function of gates.
func (r Recurrent) gate(set isa, z []float32) {
	if !r.HardSigmoid {
		activateInto(set, Sigmoid, z, z)
		return
	}
	for j, x := range z {
		z[j] = min(max(float32(0.2*x)+0.5, 0), 1)
	}
}

// slope is the derivative of gates, of what they gave.
func (r Recurrent) slope(y float32) float32 {
	switch {
	case !r.HardSigmoid:
		return y * (1 - y)
	case y > 0 && y < 1:
		return 0.2
	}
	return 0
}

// Backward computes the gradients of the input and the weights from that of the output and the trace of Run. Those that are nil
// are left out; padding has zeros. Those of the weights are one product each over all tokens.
func (r Recurrent) Backward(pool *Pool, sequences []Sequence, dsrc []float32, d RecurrentWeights, ddst, src []float32, w RecurrentWeights, t *RecurrentTrace, workspace *Workspace) {
	u, wide := r.Units, r.Cell.Gates()*r.Units
	set := active()
	r.prepare(t, pool.Threads(), sequences)
	t.flow = sized(t.flow, t.rows*wide)
	inner := t.flow // gradients of the products with the state: of a GRU they differ in the candidate
	if r.Cell == GRU {
		t.flowTo = sized(t.flowTo, t.rows*wide)
		inner = t.flowTo
	}
	t.weights.pack(set, wide, u, w.State, u, false)
	pool.Each(len(t.threads), func(_, i int) { r.backward(set, t, &t.threads[i], sequences, ddst, inner) })
	if dsrc != nil {
		into := dsrc
		if t.padded || t.spread {
			into = sized(t.shifted, t.rows*max(u, r.Inputs)) // free until the states before are needed
			t.shifted = into
		}
		Gemm(pool, false, false, t.rows, r.Inputs, wide, 1, t.flow, wide, w.Input, r.Inputs, 0, into, r.Inputs, workspace)
		if t.padded || t.spread {
			t.expand(sequences, dsrc, into, r.Inputs)
		}
	}
	if d.Input != nil {
		source := src
		if t.spread {
			source = t.source
		}
		Gemm(pool, true, false, wide, r.Inputs, t.rows, 1, t.flow, wide, source, r.Inputs, 0, d.Input, r.Inputs, workspace)
	}
	if d.State != nil {
		t.shifted = sized(t.shifted, t.rows*u)
		for of, s := range sequences {
			for step := range s.Length {
				to := t.shifted[r.at(t, sequences, of, step)*u:][:u]
				if step == 0 {
					clear(to)
				} else {
					copy(to, t.states[r.at(t, sequences, of, step-1)*u:])
				}
			}
		}
		Gemm(pool, true, false, wide, u, t.rows, 1, inner, wide, t.shifted, u, 0, d.State, u, workspace)
	}
	addUpRows(set, d.Bias, t.flow, wide)
	addUpRows(set, d.Inner, inner, wide)
}

// addUpRows adds rows up; into nil it does nothing.
func addUpRows(set isa, dst, rows []float32, width int) {
	if dst == nil {
		return
	}
	clear(dst)
	v := sweep{dst: dst, x: rows, step: [6]int{0, width}, n: width, rows: len(rows) / width}
	v.do(set, opAccumulate)
}

// backward computes the gradients of the gates of all tokens of a thread's sequences, from the last to the first.
func (r Recurrent) backward(set isa, t *RecurrentTrace, thread *recurrentThread, sequences []Sequence, ddst, inner []float32) {
	u, wide := r.Units, r.Cell.Gates()*r.Units
	all := len(thread.order)
	thread.before, thread.memory = sized(thread.before, all*u), sized(thread.memory, all*u)
	pitch := spread(wide)
	thread.moved = sized(thread.moved, all*pitch)
	clear(thread.before)
	clear(thread.memory)
	for step := sequences[thread.order[0]].Length - 1; step >= 0; step-- {
		n := thread.active(sequences, all, step)
		for i, of := range thread.order[:n] {
			s := sequences[of]
			row, before := r.at(t, sequences, of, step), -1
			if step > 0 {
				before = r.at(t, sequences, of, step-1)
			}
			dh := thread.before[i*u : (i+1)*u]
			if !r.Last {
				addInto(set, dh, dh, ddst[(s.First+row-t.starts[of])*u:])
			} else if step == s.Length-1 {
				copy(dh, ddst[of*u:(of+1)*u])
			}
			r.stepBack(set, t, row, before, dh, thread.memory[i*u:(i+1)*u], t.flow[row*wide:(row+1)*wide], inner[row*wide:(row+1)*wide])
			if step > 0 {
				copy(thread.moved[i*pitch:i*pitch+wide], inner[row*wide:])
			}
		}
		if step > 0 { // into the states before; those of a GRU have a part already
			t.weights.multiply(thread, thread.before, u, thread.moved, pitch, n, r.Cell == GRU)
		}
	}
}

// stepBack computes the gradients of the gates of one token. dh is that of its state, and becomes that of the state before as far
// as it does not come through a product; dc is that of its cell, and becomes that of the cell before.
func (r Recurrent) stepBack(set isa, t *RecurrentTrace, row, before int, dh, dc, flow, inner []float32) {
	u := r.Units
	wide := len(flow)
	z := t.gates[row*wide : (row+1)*wide]
	if r.Cell == LSTM {
		in, forget, candidate, out := z[:u], z[u:][:u], z[2*u:][:u], z[3*u:][:u]
		toIn, toForget, toCandidate, toOut := flow[:u], flow[u:][:u], flow[2*u:][:u], flow[3*u:][:u]
		dh, dc = dh[:u], dc[:u]
		if !r.HardSigmoid {
			token := lstmToken{gates: z, flow: flow, state: dh, memory: dc, cell: t.cells[row*u : (row+1)*u], units: u, first: 1}
			if before >= 0 {
				token.before, token.first = t.cells[before*u:(before+1)*u], 0
			}
			if token.backward(set) {
				return
			}
		}
		activateInto(set, Tanh, toIn, t.cells[row*u:(row+1)*u]) // for now
		for j, y := range toIn {
			toOut[j] = dh[j] * y * r.slope(out[j])
			c := dc[j] + float32(dh[j]*out[j]*(1-y*y))
			toIn[j] = c * candidate[j] * r.slope(in[j])
			toCandidate[j] = c * in[j] * (1 - candidate[j]*candidate[j])
			toForget[j] = c * r.slope(forget[j])
			dc[j] = c * forget[j]
		}
		if before < 0 {
			clear(toForget)
			return
		}
		mulInto(set, toForget, toForget, t.cells[before*u:(before+1)*u])
		return
	}
	reset, update, candidate := z[:u], z[u:][:u], z[2*u:][:u]
	toReset, toUpdate, toCandidate := flow[:u], flow[u:][:u], flow[2*u:][:u]
	hidden := t.inner[row*u:][:u]
	for j := range dh {
		old := float32(0)
		if before >= 0 {
			old = t.states[before*u+j]
		}
		dn := dh[j] * (1 - update[j]) * (1 - candidate[j]*candidate[j])
		toUpdate[j] = dh[j] * (old - candidate[j]) * r.slope(update[j])
		toReset[j] = dn * hidden[j] * r.slope(reset[j])
		toCandidate[j] = dn
		inner[j], inner[u+j], inner[2*u+j] = toReset[j], toUpdate[j], dn*reset[j]
		dh[j] *= update[j]
	}
}

// stateProduct is the weights on the state, laid out once for the products of all tokens.
type stateProduct struct {
	set    isa
	k, n   int
	blocks []panels // of the rows of the weights, [gemmDepth] each
	packed []float32
	bias   []float32 // zeros
}

// pack lays out a k×n matrix, which is given as its transpose if so.
func (p *stateProduct) pack(set isa, k, n int, b []float32, row int, transposed bool) {
	p.set, p.k, p.n = set, k, n
	p.blocks = p.blocks[:0]
	size := 0
	for k0 := 0; k0 < k; k0 += gemmDepth {
		l := newPanels(set, min(gemmDepth, k-k0), n)
		p.blocks = append(p.blocks, l)
		size += l.size()
	}
	if cap(p.packed) < size {
		p.packed = aligned(size)
	}
	p.packed = p.packed[:size]
	if pad := roundUp(n, 2*set.panelColumns()); len(p.bias) < pad {
		p.bias = make([]float32, pad)
	}
	at := 0
	for i, l := range p.blocks {
		if transposed {
			packTransposed(l, p.packed[at:], b[i*gemmDepth:], row)
		} else {
			packRows(l, p.packed[at:], 0, b[i*gemmDepth*row:], row, l.k, 1)
		}
		at += l.size()
	}
}

// multiply computes rows of dst = src·weights, or adds to them.
func (p *stateProduct) multiply(thread *recurrentThread, dst []float32, dstRow int, src []float32, srcRow, rows int, add bool) {
	x := &thread.tile
	*x = tile{a: src, aRow: srcRow, b: p.packed, bias: p.bias, c: dst, cRow: dstRow, rRow: dstRow, taps: thread.taps[:],
		low: float32(math.Inf(-1)), high: float32(math.Inf(1)), kind: elementFloat32}
	at := 0
	for block, l := range p.blocks {
		if block > 0 || add {
			x.r = dst
		}
		x.run, x.b0 = l.k, at
		for i := 0; i < rows; i += p.set.tileRows() {
			m := min(p.set.tileRows(), rows-i)
			second := i
			if m > p.set.groupRows() {
				second += ceilDiv(m, 2)
			}
			x.a0, x.a1 = block*gemmDepth+i*srcRow, block*gemmDepth+second*srcRow
			x.c0, x.c1 = i*dstRow, second*dstRow
			x.r0, x.r1 = x.c0, x.c1
			x.compute(l, m, 0, l.count)
		}
		at += l.size()
	}
	x.release()
}

package kernel

import (
	"cmp"
	"fmt"
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
type RecurrentTrace struct {
	gates  []float32 // [rows][gates·units], after their functions
	cells  []float32 // [rows][units], of an LSTM
	inner  []float32 // [rows][units], of a GRU: the candidate's product with the state
	states []float32 // [rows][units]: the outputs

	order         []int     // of the sequences, the longest first
	before, moved []float32 // of a step: states, and their products
	memory        []float32 // of a step: gradients of cells
	flow, shifted []float32 // gradients of gates, and states before; [rows]
}

// grown returns a slice of n zeros, in the memory of one if that is large enough.
func grown(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// prepare sorts the sequences and makes room.
func (r Recurrent) prepare(t *RecurrentTrace, sequences []Sequence) (rows int) {
	rows = rowsOf(sequences)
	t.order = t.order[:0]
	for i := range sequences {
		t.order = append(t.order, i)
	}
	slices.SortStableFunc(t.order, func(a, b int) int { return cmp.Compare(sequences[b].Length, sequences[a].Length) })
	return rows
}

// at is the row of token number step of a sequence, in the order in which the layer takes them.
func (r Recurrent) at(s Sequence, step int) int {
	if r.Reverse {
		return s.First + s.Length - 1 - step
	}
	return s.First + step
}

// active is how many of the sequences, in order, have a token of that number.
func (t *RecurrentTrace) active(sequences []Sequence, step int) int {
	n := 0
	for n < len(t.order) && sequences[t.order[n]].Length > step {
		n++
	}
	return n
}

// Run computes the outputs for rows of src: of all tokens into the rows of dst, zeros for padding; or with Last one row a sequence.
func (r Recurrent) Run(pool *Pool, sequences []Sequence, dst, src []float32, w RecurrentWeights, t *RecurrentTrace, workspace *Workspace) {
	const name = "recurrent layer"
	u, wide := r.Units, r.Cell.Gates()*r.Units
	rows := r.prepare(t, sequences)
	outputs := rows
	if r.Last {
		outputs = len(sequences)
	}
	need(name, "dst", dst, outputs*u)
	need(name, "src", src, rows*r.Inputs)
	set := active()
	t.gates, t.states = grown(t.gates, rows*wide), grown(t.states, rows*u)
	if r.Cell == LSTM {
		t.cells = grown(t.cells, rows*u)
	} else {
		t.inner = grown(t.inner, rows*u)
	}
	t.before, t.moved = grown(t.before, len(sequences)*u), grown(t.moved, len(sequences)*wide)
	Gemm(pool, false, true, rows, wide, r.Inputs, 1, src, r.Inputs, w.Input, r.Inputs, 0, t.gates, wide, workspace)
	longest := 0
	if len(t.order) > 0 {
		longest = sequences[t.order[0]].Length
	}
	for step := range longest {
		n := t.active(sequences, step)
		if step > 0 {
			for i, of := range t.order[:n] {
				row := r.at(sequences[of], step-1)
				copy(t.before[i*u:(i+1)*u], t.states[row*u:])
			}
			Gemm(pool, false, true, n, wide, u, 1, t.before, u, w.State, u, 0, t.moved, wide, workspace)
		}
		pool.Each(n, func(_, i int) {
			row := r.at(sequences[t.order[i]], step)
			before := -1
			if step > 0 {
				before = r.at(sequences[t.order[i]], step-1)
			}
			r.step(set, t, row, before, t.moved[i*wide:(i+1)*wide], w)
		})
	}
	if !r.Last {
		copy(dst, t.states)
		return
	}
	for i, s := range sequences {
		if s.Length == 0 {
			clear(dst[i*u : (i+1)*u])
			continue
		}
		copy(dst[i*u:(i+1)*u], t.states[r.at(s, s.Length-1)*u:])
	}
}

// step computes one token. moved are the products of the state before, zeros at the first.
func (r Recurrent) step(set isa, t *RecurrentTrace, row, before int, moved []float32, w RecurrentWeights) {
	u := r.Units
	wide := len(moved)
	z, h := t.gates[row*wide:(row+1)*wide], t.states[row*u:(row+1)*u]
	if r.Cell == LSTM {
		for j := range z {
			z[j] += moved[j] + w.Bias[j]
		}
		r.gate(set, z[:2*u])
		activateInto(set, Tanh, z[2*u:3*u], z[2*u:3*u])
		r.gate(set, z[3*u:])
		in, forget, candidate, out := z[:u], z[u:2*u], z[2*u:3*u], z[3*u:]
		c := t.cells[row*u : (row+1)*u]
		for j := range c {
			c[j] = in[j] * candidate[j]
		}
		if before >= 0 {
			for j, old := range t.cells[before*u : (before+1)*u] {
				c[j] += float32(forget[j] * old)
			}
		}
		activateInto(set, Tanh, h, c)
		for j := range h {
			h[j] *= out[j]
		}
		return
	}
	for j := range z[:2*u] {
		z[j] += moved[j] + (w.Bias[j] + w.Inner[j])
	}
	r.gate(set, z[:2*u])
	reset, update, candidate := z[:u], z[u:2*u], z[2*u:]
	inner := t.inner[row*u : (row+1)*u]
	for j := range inner {
		inner[j] = moved[2*u+j] + w.Inner[2*u+j]
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
// are left out; padding has zeros.
func (r Recurrent) Backward(pool *Pool, sequences []Sequence, dsrc []float32, d RecurrentWeights, ddst, src []float32, w RecurrentWeights, t *RecurrentTrace, workspace *Workspace) {
	u, wide := r.Units, r.Cell.Gates()*r.Units
	rows := rowsOf(sequences)
	set := active()
	t.flow, t.memory = grown(t.flow, rows*wide), grown(t.memory, len(sequences)*u)
	t.before, t.moved = grown(t.before, len(sequences)*u), grown(t.moved, len(sequences)*wide)
	inner := t.flow // gradients of the products with the state: of a GRU they differ in the candidate
	if r.Cell == GRU {
		inner = make([]float32, rows*wide)
	}
	longest := 0
	if len(t.order) > 0 {
		longest = sequences[t.order[0]].Length
	}
	for step := longest - 1; step >= 0; step-- {
		n := t.active(sequences, step)
		pool.Each(n, func(_, i int) {
			of := t.order[i]
			s := sequences[of]
			row, before := r.at(s, step), -1
			if step > 0 {
				before = r.at(s, step-1)
			}
			dh := t.before[i*u : (i+1)*u]
			if !r.Last {
				for j, x := range ddst[row*u : (row+1)*u] {
					dh[j] += x
				}
			} else if step == s.Length-1 {
				copy(dh, ddst[of*u:(of+1)*u])
			}
			r.stepBack(set, t, row, before, dh, t.memory[i*u:(i+1)*u], t.flow[row*wide:(row+1)*wide], inner[row*wide:(row+1)*wide])
			copy(t.moved[i*wide:(i+1)*wide], inner[row*wide:])
		})
		if step > 0 { // into the states before; those of a GRU have a part already
			keep := float32(0)
			if r.Cell == GRU {
				keep = 1
			}
			Gemm(pool, false, false, n, u, wide, 1, t.moved, wide, w.State, u, keep, t.before, u, workspace)
		}
	}
	if dsrc != nil {
		Gemm(pool, false, false, rows, r.Inputs, wide, 1, t.flow, wide, w.Input, r.Inputs, 0, dsrc, r.Inputs, workspace)
	}
	if d.Input != nil {
		Gemm(pool, true, false, wide, r.Inputs, rows, 1, t.flow, wide, src, r.Inputs, 0, d.Input, r.Inputs, workspace)
	}
	if d.State != nil {
		t.shifted = grown(t.shifted, rows*u)
		for _, s := range sequences {
			for step := 1; step < s.Length; step++ {
				row, before := r.at(s, step), r.at(s, step-1)
				copy(t.shifted[row*u:(row+1)*u], t.states[before*u:])
			}
		}
		Gemm(pool, true, false, wide, u, rows, 1, inner, wide, t.shifted, u, 0, d.State, u, workspace)
	}
	addUpRows(d.Bias, t.flow, wide)
	addUpRows(d.Inner, inner, wide)
}

// addUpRows adds rows up; into nil it does nothing.
func addUpRows(dst, rows []float32, width int) {
	if dst == nil {
		return
	}
	clear(dst)
	for at := 0; at < len(rows); at += width {
		for j, x := range rows[at : at+width] {
			dst[j] += x
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
		in, forget, candidate, out := z[:u], z[u:2*u], z[2*u:3*u], z[3*u:]
		squashed := flow[:u] // for now
		activateInto(set, Tanh, squashed, t.cells[row*u:(row+1)*u])
		for j, y := range squashed {
			flow[3*u+j] = dh[j] * y * r.slope(out[j])
			dc[j] += float32(dh[j] * out[j] * (1 - y*y))
			flow[j] = dc[j] * candidate[j] * r.slope(in[j])
			flow[2*u+j] = dc[j] * in[j] * (1 - candidate[j]*candidate[j])
			flow[u+j] = 0
			if before >= 0 {
				flow[u+j] = dc[j] * t.cells[before*u+j] * r.slope(forget[j])
			}
			dc[j] *= forget[j]
		}
		return
	}
	reset, update, candidate := z[:u], z[u:2*u], z[2*u:]
	for j := range dh {
		old := float32(0)
		if before >= 0 {
			old = t.states[before*u+j]
		}
		dn := dh[j] * (1 - update[j]) * (1 - candidate[j]*candidate[j])
		flow[u+j] = dh[j] * (old - candidate[j]) * r.slope(update[j])
		flow[j] = dn * t.inner[row*u+j] * r.slope(reset[j])
		flow[2*u+j] = dn
		inner[j], inner[u+j], inner[2*u+j] = flow[j], flow[u+j], dn*reset[j]
		dh[j] *= update[j]
	}
}

package kernel

import "math"

// Attention is scaled dot-product attention of several heads (Vaswani et al. 2017, arXiv:1706.03762): for each head
// softmax(Q·Kᵀ/√Width)·V, computed tile by tile with a running maximum and sum (Milakov and Gimelshein 2018,
// arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135), so that the products of all queries with all keys are never in
// memory together.
type Attention struct {
	Heads  int
	Width  int  // of a head
	Causal bool // a token sees those up to itself
}

// Sequence is where the tokens of one example lie in a batch: rows First … First+Length-1. Rows First+Length … First+Rows-1
// are padding: nobody sees them, and what they would see is 0.
type Sequence struct{ First, Length, Rows int }

// Tokens are vectors side by side, a row a token: those of head h begin at h·Width of the row.
type Tokens struct {
	Data  []float32
	Pitch int // distance of rows
}

// The tiles: so many queries meet so many keys at a time. Their products, of one thread, fit into a level-2 cache. Sequences of few tokens
// meet all their keys at once.
const (
	attentionQueries = 64
	attentionKeys    = 256
	attentionAtOnce  = 512
)

// Run computes dst of the queries, keys and values. logs, [Heads][rows], is where the logarithms (to base 2) of the sums of the
// softmax go, which the gradient needs; it may be nil. What a sequence gives does not depend on the others.
func (a Attention) Run(pool *Pool, sequences []Sequence, dst, q, k, v Tokens, logs []float32, workspace *Workspace) {
	a.run(active(), pool, sequences, dst, q, k, v, logs, workspace)
}

func (a Attention) run(set isa, pool *Pool, sequences []Sequence, dst, q, k, v Tokens, logs []float32, workspace *Workspace) {
	rows := a.check(sequences, dst, q, k, v)
	w := workspace.orNew()
	t := &w.attention
	t.Attention, t.set, t.sequences, t.rows = a, set, sequences, rows
	t.q, t.k, t.v, t.dst, t.logs = q, k, v, dst, logs
	if logs != nil {
		need("attention", "logs", logs, a.Heads*rows)
	}
	longest, scratch := 0, 0
	for _, s := range sequences {
		if s.Length > attentionAtOnce {
			scratch = a.forwardScratch()
		} else {
			longest = max(longest, s.Length)
		}
	}
	t.start(pool, max(scratch, a.atOnceScratch(set, longest)))
	*t = attentionTask{spaces: t.spaces}
}

// Backward computes the gradients of queries, keys and values from that of what [Attention.Run] gave, its output and the logs
// that it wrote.
func (a Attention) Backward(pool *Pool, sequences []Sequence, dq, dk, dv, ddst, dst, q, k, v Tokens, logs []float32, workspace *Workspace) {
	a.backward(active(), pool, sequences, dq, dk, dv, ddst, dst, q, k, v, logs, workspace)
}

func (a Attention) backward(set isa, pool *Pool, sequences []Sequence, dq, dk, dv, ddst, dst, q, k, v Tokens, logs []float32, workspace *Workspace) {
	rows := a.check(sequences, dq, dk, dv, ddst, dst, q, k, v)
	need("attention", "logs", logs, a.Heads*rows)
	w := workspace.orNew()
	t := &w.attention
	t.Attention, t.set, t.sequences, t.rows, t.gradient = a, set, sequences, rows, true
	t.q, t.k, t.v, t.dst, t.logs = q, k, v, dst, logs
	t.dq, t.dk, t.dv, t.ddst = dq, dk, dv, ddst
	t.start(pool, a.backwardScratch())
	*t = attentionTask{spaces: t.spaces}
}

// check sees to it that all rows are there, and returns their number.
func (a Attention) check(sequences []Sequence, all ...Tokens) int {
	rows := 0
	for _, s := range sequences {
		if s.First < 0 || s.Length < 1 || s.Length > s.Rows {
			panic("kernel: attention: a sequence has no tokens, or more than rows")
		}
		rows = max(rows, s.First+s.Rows)
	}
	for _, x := range all {
		need("attention", "tokens", x.Data, matrixSize(rows, a.Heads*a.Width, x.Pitch, false))
	}
	return rows
}

// attentionTask is an attention in progress; its pieces are the heads of the sequences.
type attentionTask struct {
	Attention
	set       isa
	sequences []Sequence
	rows      int
	gradient  bool

	q, k, v, dst     Tokens
	dq, dk, dv, ddst Tokens
	logs             []float32

	spaces []*attentionSpace // by thread
}

// attentionSpace is the scratch memory of a thread.
type attentionSpace struct {
	Workspace
	floats []float32
	tile   tile
	taps   [1]int
}

func (t *attentionTask) start(pool *Pool, scratch int) {
	for len(t.spaces) < pool.Threads() {
		t.spaces = append(t.spaces, new(attentionSpace))
	}
	for _, s := range t.spaces {
		if len(s.floats) < scratch {
			s.floats = aligned(scratch)
		}
	}
	pool.run(len(t.sequences)*t.Heads, t)
}

func (t *attentionTask) do(worker, i int) {
	h := head{t: t, space: t.spaces[worker], sequence: t.sequences[i/t.Heads], number: i % t.Heads}
	switch {
	case t.gradient:
		h.backward()
	case h.sequence.Length <= attentionAtOnce:
		h.forwardAtOnce()
	default:
		h.forward()
	}
}

// head is one head of one sequence at work.
type head struct {
	t        *attentionTask
	space    *attentionSpace
	sequence Sequence
	number   int
}

// rows returns the head's part of x, from a token of the sequence on.
func (h *head) rows(x Tokens, token int) []float32 {
	return x.Data[(h.sequence.First+token)*x.Pitch+h.number*h.t.Width:]
}

// product computes c = op(a)·op(b)·alpha + beta·c on this thread.
func (h *head) product(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	gemm(h.t.set, elementFloat32, nil, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, &h.space.Workspace)
}

// scale is what products are multiplied by, for powers of 2.
func (a Attention) scale() float32 { return float32(math.Log2E / math.Sqrt(float64(a.Width))) }

func (a Attention) forwardScratch() int {
	return attentionQueries * (attentionKeys + a.Width + 4)
}

// atOnceScratch is what a sequence of so many tokens, which meet all at once, takes.
func (a Attention) atOnceScratch(set isa, tokens int) int {
	k, v := newPanels(set, a.Width, tokens), newPanels(set, tokens, a.Width)
	return k.size() + v.size() + max(k.padded(), v.padded()) + attentionQueries*spread(roundUp(tokens, 16)) + 4*16
}

// scores computes the products of keys from … from+keys-1, the rows, with the queries first … first+queries-1.
func (h *head) scores(dst []float32, from, keys, first, queries int) {
	t := h.t
	h.product(false, true, keys, queries, t.Width, 1, h.rows(t.k, from), t.k.Pitch, h.rows(t.q, first), t.q.Pitch, 0, dst, queries)
	if !t.Causal {
		return
	}
	for i := range keys {
		unseen := min(max(from+i-first, 0), queries)
		for j := range unseen {
			dst[i*queries+j] = float32(math.Inf(-1))
		}
	}
}

// keysSeen is the number of keys that queries up to last see.
func (h *head) keysSeen(last int) int {
	if h.t.Causal {
		return min(last+1, h.sequence.Length)
	}
	return h.sequence.Length
}

func (h *head) forward() {
	t, width := h.t, h.t.Width
	for first := 0; first < h.sequence.Length; first += attentionQueries {
		queries := min(attentionQueries, h.sequence.Length-first)
		part := partition{h.space.floats}
		scores, sums := part.take(attentionKeys*queries), part.take(width*queries)
		top, before, total, factor := part.take(queries), part.take(queries), part.take(queries), part.take(queries)
		for i := range queries {
			top[i], total[i] = float32(math.Inf(-1)), 0
		}
		seen := h.keysSeen(first + queries - 1)
		for from := 0; from < seen; from += attentionKeys {
			keys := min(attentionKeys, seen-from)
			h.scores(scores, from, keys, first, queries)
			copy(before, top)
			s := sweep{dst: top, x: scores, step: [6]int{0, queries}, n: queries, rows: keys}
			s.do(t.set, opMaximum)
			s = sweep{dst: scores, x: scores, y: top, step: [6]int{queries, queries, 0}, n: queries, rows: keys, low: t.scale()}
			s.do(t.set, opExp2)
			beta := float32(0)
			if from > 0 {
				beta = 1
				s = sweep{dst: factor, x: before, y: top, n: queries, rows: 1, low: t.scale()}
				s.do(t.set, opExp2)
				s = sweep{dst: sums, x: sums, y: factor, step: [6]int{queries, queries, 0}, n: queries, rows: width}
				s.do(t.set, opMul)
				s = sweep{dst: total, x: total, y: factor, n: queries, rows: 1}
				s.do(t.set, opMul)
			}
			s = sweep{dst: total, x: scores, step: [6]int{0, queries}, n: queries, rows: keys}
			s.do(t.set, opAccumulate)
			h.product(true, false, width, queries, keys, 1, h.rows(t.v, from), t.v.Pitch, scores, queries, beta, sums, queries)
		}
		for i, sum := range total {
			factor[i] = 1 / sum
		}
		s := sweep{dst: sums, x: sums, y: factor, step: [6]int{queries, queries, 0}, n: queries, rows: width}
		s.do(t.set, opMul)
		transpose(t.set, h.rows(t.dst, first), t.dst.Pitch, sums, queries, width, queries)
		if t.logs != nil {
			logs := h.logs(first, queries)
			for i, sum := range total {
				logs[i] = float32(float64(top[i])*float64(t.scale()) + math.Log2(float64(sum)))
			}
		}
	}
	h.clear(t.dst)
}

// forwardAtOnce is forward where a query meets all keys at once: they are laid out once, and so are the values.
func (h *head) forwardAtOnce() {
	t, keys, width := h.t, h.sequence.Length, h.t.Width
	k, v := newPanels(t.set, width, keys), newPanels(t.set, keys, width)
	part := partition{h.space.floats}
	right, values, zeros := part.take(roundUp(k.size(), 16)), part.take(roundUp(v.size(), 16)), part.take(roundUp(max(k.padded(), v.padded()), 16))
	pitch := spread(roundUp(keys, 16))
	scores := part.take(attentionQueries * pitch)
	clear(zeros)
	packTransposed(k, right, h.rows(t.k, 0), t.k.Pitch)
	packRows(v, values, 0, h.rows(t.v, 0), t.v.Pitch, keys, 1)
	for first := 0; first < keys; first += attentionQueries {
		queries := min(attentionQueries, keys-first)
		h.multiply(k, right, zeros, h.rows(t.q, first), t.q.Pitch, queries, scores, pitch)
		for i := range queries {
			row := softmaxRow{x: scores[i*pitch:][:keys], n: keys, factor: t.scale()}
			if t.Causal {
				clear(row.x[first+i+1:])
				row.n = first + i + 1
			}
			row.compute(t.set)
			if t.logs != nil {
				h.logs(first+i, 1)[0] = float32(float64(row.top)*float64(t.scale()) + math.Log2(float64(row.total)))
			}
		}
		h.multiply(v, values, zeros, scores, pitch, queries, h.rows(t.dst, first), t.dst.Pitch)
	}
	h.clear(t.dst)
}

// multiply computes rows of c = a·b, of which b is laid out.
func (h *head) multiply(l panels, b, zeros, a []float32, aRow, rows int, c []float32, cRow int) {
	x, set := &h.space.tile, h.t.set
	*x = tile{a: a, aRow: aRow, b: b, bias: zeros, c: c, cRow: cRow, taps: h.space.taps[:], run: l.k,
		low: float32(math.Inf(-1)), high: float32(math.Inf(1)), kind: elementFloat32}
	for i := 0; i < rows; i += set.tileRows() {
		m := min(set.tileRows(), rows-i)
		second := i
		if m > set.groupRows() {
			second += ceilDiv(m, 2)
		}
		x.a0, x.a1 = i*aRow, second*aRow
		x.c0, x.c1 = i*cRow, second*cRow
		x.compute(l, m, 0, l.count)
	}
	x.release()
}

// softmaxRow is the softmax of a row, to the base of 2, in place.
//
// The assembly reads this struct at the offsets that attention_test.go pins.
type softmaxRow struct {
	x      []float32
	n      int
	factor float32 // of the exponents
	top    float32 // the greatest of x
	total  float32 // the sum that x was divided by
}

// compute replaces x by 2^((x - top)·factor), divided by their sum.
func (r *softmaxRow) compute(set isa) {
	if softmaxRowAssembly(set, r) {
		return
	}
	x := r.x[:r.n]
	r.top = greatest(x)
	total := 0.0
	for i, v := range x {
		e := math.Exp2(max(float64(v-r.top)*float64(r.factor), exp2Low))
		x[i] = float32(e)
		total += e
	}
	r.total = float32(total)
	share := 1 / r.total
	for i := range x {
		x[i] *= share
	}
}

// logs are those of some queries.
func (h *head) logs(first, queries int) []float32 {
	return h.t.logs[h.number*h.t.rows+h.sequence.First+first:][:queries]
}

// clear sets what stands at padding to zero.
func (h *head) clear(x Tokens) {
	for i := h.sequence.Length; i < h.sequence.Rows; i++ {
		clear(h.rows(x, i)[:h.t.Width])
	}
}

func (a Attention) backwardScratch() int {
	return attentionQueries * (3*attentionKeys + 2)
}

// backward computes the softmax again, tile by tile, from the logarithms of its sums.
func (h *head) backward() {
	t, width := h.t, h.t.Width
	alpha := float32(1 / math.Sqrt(float64(width)))
	for i := range h.sequence.Length {
		clear(h.rows(t.dq, i)[:width])
		clear(h.rows(t.dk, i)[:width])
		clear(h.rows(t.dv, i)[:width])
	}
	for first := 0; first < h.sequence.Length; first += attentionQueries {
		queries := min(attentionQueries, h.sequence.Length-first)
		part := partition{h.space.floats}
		shares, slopes, scores := part.take(attentionKeys*queries), part.take(attentionKeys*queries), part.take(attentionKeys*queries)
		top, dot := part.take(queries), part.take(queries)
		for i, log := range h.logs(first, queries) {
			top[i] = log / t.scale()
			y, dy := h.rows(t.dst, first+i)[:width], h.rows(t.ddst, first+i)
			var sum float32
			for j, v := range y {
				sum += v * dy[j]
			}
			dot[i] = sum
		}
		seen := h.keysSeen(first + queries - 1)
		for from := 0; from < seen; from += attentionKeys {
			keys := min(attentionKeys, seen-from)
			h.scores(shares, from, keys, first, queries)
			s := sweep{dst: shares, x: shares, y: top, step: [6]int{queries, queries, 0}, n: queries, rows: keys, low: t.scale()}
			s.do(t.set, opExp2)
			h.product(false, false, keys, width, queries, 1, shares, queries, h.rows(t.ddst, first), t.ddst.Pitch, 1, h.rows(t.dv, from), t.dv.Pitch)
			h.product(false, true, keys, queries, width, 1, h.rows(t.v, from), t.v.Pitch, h.rows(t.ddst, first), t.ddst.Pitch, 0, slopes, queries)
			clear(scores[:keys*queries])
			s = sweep{dst: scores, x: shares, y: slopes, z: dot, step: [6]int{queries, queries, queries, 0}, n: queries, rows: keys}
			s.do(t.set, opAddCentred)
			h.product(true, false, queries, width, keys, alpha, scores, queries, h.rows(t.k, from), t.k.Pitch, 1, h.rows(t.dq, first), t.dq.Pitch)
			h.product(false, false, keys, width, queries, alpha, scores, queries, h.rows(t.q, first), t.q.Pitch, 1, h.rows(t.dk, from), t.dk.Pitch)
		}
	}
	h.clear(t.dq)
	h.clear(t.dk)
	h.clear(t.dv)
}

// partition hands out memory piece by piece.
type partition struct{ rest []float32 }

func (p *partition) take(n int) []float32 {
	out := p.rest[:n:n]
	p.rest = p.rest[n:]
	return out
}

package graph

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Attention is scaled dot-product attention of several heads; see [kernel.Attention].
func (g *Graph) Attention(q, k, v *Node, heads int, causal bool, sequences Sequences) *Node {
	if node := g.unfit(sequences, q, k, v); node != nil {
		return node
	}
	channels := q.Shape()[2]
	a := kernel.Attention{Heads: heads, Width: channels / heads, Causal: causal}
	logs := make([]float32, heads*q.Shape().TotalSize()/channels)
	tokens := func(x []float32) kernel.Tokens { return kernel.Tokens{Data: x, Pitch: channels} }
	return g.attention(q, k, v, func(y []float32, v [][]float32) {
		a.Run(g.run.pool, sequences, tokens(y), tokens(v[0]), tokens(v[1]), tokens(v[2]), logs, &g.run.scratch.Workspace)
	}, func(dq, dk, dv, dy, y []float32, v [][]float32) {
		a.Backward(g.run.pool, sequences, tokens(dq), tokens(dk), tokens(dv), tokens(dy), tokens(y), tokens(v[0]), tokens(v[1]), tokens(v[2]), logs, &g.run.scratch.Workspace)
	})
}

// DroppedAttention is [Graph.Attention] with dropout of its weights, which are set to zero with probability rate after the softmax,
// and else multiplied by 1/(1−rate), as Vaswani et al. trained theirs. What is dropped follows from the graph's [Draw] and the
// layer's name. A block of queries at a time meets all keys: there is no matrix of all queries with all keys.
func (g *Graph) DroppedAttention(q, k, v *Node, heads int, causal bool, sequences Sequences, rate float32, layer string) *Node {
	if rate == 0 {
		return g.Attention(q, k, v, heads, causal, sequences)
	}
	if node := g.unfit(sequences, q, k, v); node != nil {
		return node
	}
	channels := q.Shape()[2]
	d := &droppedAttention{
		heads: heads, width: channels / heads, pitch: channels, causal: causal, sequences: sequences, layer: layer,
		rows: sequences[0].Rows, drop: uint32(min(float64(rate)*(1<<32), math.MaxUint32)), keep: 1 / (1 - rate),
	}
	return g.attention(q, k, v, func(y []float32, v [][]float32) {
		d.draw(g)
		d.each(g.run.pool, func(h droppedHead) { h.forward(y, v[0], v[1], v[2]) })
	}, func(dq, dk, dv, dy, _ []float32, v [][]float32) {
		d.each(g.run.pool, func(h droppedHead) { h.backward(dq, dk, dv, dy, v[0], v[1], v[2]) })
	})
}

// unfit stands in for an attention whose inputs do not fit the sequences; nil if they do.
func (g *Graph) unfit(sequences Sequences, inputs ...*Node) *Node {
	for _, x := range inputs {
		if err := sequences.fits(x); err != nil {
			g.fail(fmt.Errorf("attention: %w", err))
			return standIn(inputs[0].Shape())
		}
	}
	return nil
}

// attention is an operation on queries, keys and values whose three gradients are computed together; those of keys and values lie
// aside.
func (g *Graph) attention(q, k, v *Node, forward func(y []float32, v [][]float32), backward func(dq, dk, dv, dy, y []float32, v [][]float32)) *Node {
	return g.add(operation{
		name:   "attention",
		output: q.Shape().Clone(),
		forward: func(y []float32, v [][]float32) error {
			forward(y, v)
			return nil
		},
		backward: func(in gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			dk, dv := make([]float32, in[1].Shape().TotalSize()), make([]float32, in[2].Shape().TotalSize())
			dq, err := g.apply(operation{
				name:   "attention, gradient of the queries",
				output: in[0].Shape().Clone(),
				forward: func(dq []float32, v [][]float32) error {
					backward(dq, dk, dv, v[0], v[1], v[2:])
					return nil
				},
			}, dy, y, in[0], in[1], in[2])
			gradients := gorgonia.Nodes{dq, nil, nil}
			for i, data := range [][]float32{dk, dv} {
				if err == nil && g.learns[in[i+1]] {
					gradients[i+1], err = g.aside([]string{"attention, gradient of the keys", "attention, gradient of the values"}[i], in[i+1].Shape().Clone(), data, dq)
				}
			}
			return gradients, err
		},
	}, q, k, v)
}

// droppedQueries is how many queries meet the keys at a time.
const droppedQueries = 64

// droppedAttention is an attention whose weights are dropped.
type droppedAttention struct {
	heads, width, pitch int
	causal              bool
	sequences           Sequences
	rows                int // of a sequence, padding among them
	layer               string

	seed uint64 // of the run
	drop uint32 // random numbers below it are dropped
	keep float32

	spaces []*droppedSpace // by thread
}

// droppedSpace is the scratch memory of a thread.
type droppedSpace struct {
	kernel.Workspace
	shares, kept, slopes []float32 // [droppedQueries][rows]
}

// draw chooses what the run drops.
func (d *droppedAttention) draw(g *Graph) { d.seed = g.run.draw.Stream(d.layer).Uint64() }

// each does the heads of all sequences, spread over the threads.
func (d *droppedAttention) each(pool *kernel.Pool, do func(droppedHead)) {
	for len(d.spaces) < pool.Threads() {
		n := min(droppedQueries, d.rows) * d.rows
		d.spaces = append(d.spaces, &droppedSpace{shares: make([]float32, n), kept: make([]float32, n), slopes: make([]float32, n)})
	}
	pool.Each(len(d.sequences)*d.heads, func(worker, i int) {
		do(droppedHead{d, d.spaces[worker], d.sequences[i/d.heads], i, i % d.heads * d.width})
	})
}

// droppedHead is one head of one sequence.
type droppedHead struct {
	*droppedAttention
	space    *droppedSpace
	sequence kernel.Sequence
	number   int // of all heads of all sequences
	channel  int // its first
}

// of are the head's channels from a token of the sequence on.
func (h *droppedHead) of(x []float32, token int) []float32 {
	return x[(h.sequence.First+token)*h.pitch+h.channel:]
}

// product computes c = alpha·op(a)·op(b) + beta·c on this thread.
func (h *droppedHead) product(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	kernel.Gemm(nil, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, &h.space.Workspace)
}

// blocks calls do with the first of some queries, how many they are and how many keys they may see.
func (h *droppedHead) blocks(do func(first, queries, keys int)) {
	for first := 0; first < h.sequence.Length; first += droppedQueries {
		queries, keys := min(droppedQueries, h.sequence.Length-first), h.sequence.Length
		if h.causal {
			keys = first + queries
		}
		do(first, queries, keys)
	}
}

// weights computes the weights of some queries, [queries][keys], and what is left of them.
func (h *droppedHead) weights(first, queries, keys int, q, k []float32) (shares, kept []float32) {
	shares, kept = h.space.shares[:queries*keys], h.space.kept[:queries*keys]
	h.product(false, true, queries, keys, h.width, float32(1/math.Sqrt(float64(h.width))), h.of(q, first), h.pitch, h.of(k, 0), h.pitch, 0, shares, keys)
	if h.causal {
		for i := range queries {
			for j := first + i + 1; j < keys; j++ {
				shares[i*keys+j] = float32(math.Inf(-1))
			}
		}
	}
	kernel.Softmax(nil, shares, shares, queries, keys)
	for i := range queries {
		row := mix(h.seed ^ uint64(h.number)<<32 ^ uint64(first+i))
		h.choose(kept[i*keys:(i+1)*keys], shares[i*keys:(i+1)*keys], row)
	}
	return shares, kept
}

// choose is what is left of the weights, or gradients, of one query; row is its random number.
func (h *droppedHead) choose(dst, src []float32, row uint64) {
	var bits uint64
	for j, x := range src {
		if j%2 == 0 {
			bits = mix(row + uint64(j))
		}
		if uint32(bits) < h.drop {
			dst[j] = 0
		} else {
			dst[j] = x * h.keep
		}
		bits >>= 32
	}
}

func (h droppedHead) forward(y, q, k, v []float32) {
	h.blocks(func(first, queries, keys int) {
		_, kept := h.weights(first, queries, keys, q, k)
		h.product(false, false, queries, h.width, keys, 1, kept, keys, h.of(v, 0), h.pitch, 0, h.of(y, first), h.pitch)
	})
	h.clear(h.sequence.Length, y)
}

// backward computes the weights again.
func (h droppedHead) backward(dq, dk, dv, dy, q, k, v []float32) {
	h.clear(0, dk, dv)
	alpha := float32(1 / math.Sqrt(float64(h.width)))
	h.blocks(func(first, queries, keys int) {
		shares, kept := h.weights(first, queries, keys, q, k)
		h.product(true, false, keys, h.width, queries, 1, kept, keys, h.of(dy, first), h.pitch, 1, h.of(dv, 0), h.pitch)
		slopes := h.space.slopes[:queries*keys]
		h.product(false, true, queries, keys, h.width, 1, h.of(dy, first), h.pitch, h.of(v, 0), h.pitch, 0, slopes, keys)
		for i := range queries {
			row := slopes[i*keys : (i+1)*keys]
			h.choose(row, row, mix(h.seed^uint64(h.number)<<32^uint64(first+i)))
		}
		kernel.SoftmaxBackward(nil, slopes, slopes, shares, queries, keys)
		h.product(false, false, queries, h.width, keys, alpha, slopes, keys, h.of(k, 0), h.pitch, 0, h.of(dq, first), h.pitch)
		h.product(true, false, keys, h.width, queries, alpha, slopes, keys, h.of(q, first), h.pitch, 1, h.of(dk, 0), h.pitch)
	})
	h.clear(h.sequence.Length, dq)
}

// clear sets the tokens from one on to zero, padding among them.
func (h *droppedHead) clear(from int, all ...[]float32) {
	for _, x := range all {
		for i := from; i < h.sequence.Rows; i++ {
			clear(h.of(x, i)[:h.width])
		}
	}
}

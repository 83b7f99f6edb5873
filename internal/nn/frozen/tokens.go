package frozen

import (
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// lowerAttention makes one product of the projections to queries, keys and values, if they are dense layers of one input and
// nothing else reads them.
func (c *compilation) lowerAttention(l nn.Layer, in []*value) {
	makers := [3]*node{in[0].maker, in[1].maker, in[2].maker}
	for i, n := range makers {
		if n == nil || !plainDense(n) || in[i].uses != 1 || n.in[0] != makers[0].in[0] || slices.Contains(makers[:i], n) {
			c.add(l, &node{in: in})
			return
		}
	}
	joint := &node{name: makers[0].name, kind: makers[0].kind, op: makers[0].op, in: makers[0].in}
	for _, n := range makers {
		joint.weight = append(joint.weight, n.weight...)
		joint.scale = append(joint.scale, n.scale...)
		joint.shift = append(joint.shift, n.shift...)
	}
	shape := slices.Clone(in[0].shape)
	shape[len(shape)-1] *= len(makers)
	joint.out = &value{shape: shape, maker: joint, uses: 1}
	c.nodes = slices.DeleteFunc(c.nodes, func(n *node) bool { return slices.Contains(makers[:], n) })
	c.nodes = append(c.nodes, joint)
	c.add(l, &node{in: []*value{joint.out}})
}

// plainDense tells whether a node is a dense layer with nothing after it.
func plainDense(n *node) bool {
	_, dense := n.op.(nn.Dense)
	return dense && n.residual == nil && n.act == kernel.None
}

// attentionStep computes an attention of queries, keys and values, which may be bands of one value.
type attentionStep struct {
	weightless
	in       [3]view
	dst      view
	geometry kernel.Attention
	tokens   int // of an example; 1 where it varies
}

func newAttentionStep(n *node, in []view, out view) step {
	s := &attentionStep{dst: out, geometry: n.op.(nn.Attention).Geometry(out.channels), tokens: out.pixels}
	copy(s.in[:], in)
	if len(in) == 1 {
		for i := range s.in {
			s.in[i] = in[0]
			s.in[i].channel += i * out.channels
			s.in[i].channels = out.channels
		}
	}
	return s
}

func (s *attentionStep) run(f *frame) {
	var in [3]kernel.Tokens
	for i, v := range s.in {
		in[i] = kernel.Tokens{Data: f.slice(v), Pitch: v.pitch}
	}
	s.geometry.Run(f.pool, f.sequences(s.tokens), kernel.Tokens{Data: f.slice(s.dst), Pitch: s.dst.pitch}, in[0], in[1], in[2], nil, &f.workspace)
}

func (s *attentionStep) describe() (string, int) {
	return "attention", 4 * s.tokens * s.tokens * s.geometry.Heads * s.geometry.Width
}

// positionsStep adds to tokens what is learned for their places.
type positionsStep struct {
	src, dst view
	table    []float32
	first    int
	tokens   int
}

func newPositionsStep(n *node, in []view, out view) step {
	return &positionsStep{src: in[0], dst: out, table: cloned(n.weights[0]), first: n.op.(nn.Positions).First, tokens: out.pixels}
}

func (s *positionsStep) run(f *frame) {
	kernel.AddPositions(f.pool, f.slice(s.dst), f.slice(s.src), s.table, s.first, f.sequences(s.tokens), s.src.channels)
}

func (s *positionsStep) bytes() int { return 4 * len(s.table) }

func (*positionsStep) describe() (string, int) { return "positions", 0 }

// prependStep puts learned tokens before those of each example.
type prependStep struct {
	src, dst view
	before   []float32
}

func newPrependStep(n *node, in []view, out view) step {
	return &prependStep{src: in[0], dst: out, before: cloned(n.weights[0])}
}

func (s *prependStep) run(f *frame) {
	from, to := s.src.pixels*s.src.channels, s.dst.pixels*s.dst.channels
	src, dst := f.slice(s.src), f.slice(s.dst)
	for i := range f.n {
		y := dst[i*to : (i+1)*to]
		copy(y[copy(y, s.before):], src[i*from:])
	}
}

func (s *prependStep) bytes() int { return 4 * len(s.before) }

func (*prependStep) describe() (string, int) { return "prepend", 0 }

// lowerScaleShift folds a learned affine map.
func (c *compilation) lowerScaleShift(l nn.Layer, in []*value) {
	n := &node{}
	n.scale, n.shift = identity(in[0].channels())
	for i, v := range c.parameter(l, nn.Gamma) {
		n.scale[i] = float64(v)
	}
	for i, v := range c.parameter(l, nn.Beta) {
		n.shift[i] = float64(v)
	}
	c.lowerAffine(l, in[0], n)
}

// tokenPoolStep makes one vector of an example's tokens.
type tokenPoolStep struct {
	weightless
	src, dst view
	op       nn.TokenPool
}

func newTokenPoolStep(n *node, in []view, out view) step {
	return &tokenPoolStep{src: in[0], dst: out, op: n.op.(nn.TokenPool)}
}

func (s *tokenPoolStep) run(f *frame) {
	sequences, examples := f.sequences(s.src.pixels), f.n
	if s.src.varies {
		f.n = f.rows
	}
	src := f.slice(s.src)
	f.n = examples
	kernel.PoolTokens(f.pool, s.op.Function, f.slice(s.dst), src, sequences, s.op.Skip, s.src.channels)
}

func (*tokenPoolStep) describe() (string, int) { return "token pool", 0 }

// sequences are where the tokens of the examples lie in values that have so many tokens an example, or whose tokens vary.
func (f *frame) sequences(tokens int) []kernel.Sequence {
	s := f.session
	if s.program.packed {
		return s.sequences
	}
	f.places = f.places[:0]
	for i := range f.n {
		length := tokens
		if s.lengths != nil {
			length = s.lengths[f.example+i]
		}
		f.places = append(f.places, kernel.Sequence{First: i * tokens, Length: length, Rows: tokens})
	}
	return f.places
}

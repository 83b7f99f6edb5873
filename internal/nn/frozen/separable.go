package frozen

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// joinSeparable makes one node of a pointwise convolution and the depthwise one that alone reads it, where that is faster:
// the map between them needs no memory then.
func (c *compilation) joinSeparable() {
	gone := map[*node]bool{}
	for _, n := range c.nodes {
		if first := c.before(n); first != nil {
			n.first, n.in = first, first.in
			n.kind = &lowering{emit: emitSeparable, bands: true}
			gone[first] = true
		}
	}
	c.nodes = slices.DeleteFunc(c.nodes, func(n *node) bool { return gone[n] })
}

// beginning is the layer that the node begins with.
func (n *node) beginning() string {
	if n.first != nil {
		return n.first.name
	}
	return n.name
}

// before is the pointwise convolution that can be joined with a depthwise one.
func (c *compilation) before(n *node) *node {
	if !n.plainConvolution() || !n.in[0].maker.plainConvolution() {
		return nil
	}
	first, between := n.in[0].maker, n.in[0]
	for _, other := range c.nodes {
		if other != n && slices.Contains(other.reads(), between) {
			return nil
		}
	}
	for _, name := range c.outputs {
		if c.values[name] == between {
			return nil
		}
	}
	if shape := first.in[0].shape; !kernel.JoinsSeparable(first.geometry(), n.geometry(), shape[0], shape[1]) {
		return nil
	}
	return first
}

// plainConvolution tells whether a node is a convolution in float32 of its own, without a residual.
func (n *node) plainConvolution() bool {
	if n == nil || n.element != floats || n.out.element != floats || n.residual != nil || n.first != nil {
		return false
	}
	_, ok := n.op.(nn.Conv)
	return ok
}

func emitSeparable(n *node, o Options, in []view, out view) ([]step, error) {
	first := n.first
	h, w := first.in[0].shape[0], first.in[0].shape[1]
	pointwise, err := first.pack(o, first.geometry(), h, w)
	if err != nil {
		return nil, err
	}
	depthwise, err := n.pack(o, n.op.(nn.Conv).Geometry(first.out.channels()), h, w)
	if err != nil {
		return nil, err
	}
	packed, err := kernel.PackSeparable(pointwise, depthwise, first.act)
	if err != nil {
		return nil, err
	}
	return []step{&separableStep{packed: packed, h: h, w: w, src: in[0], dst: out, act: n.act}}, nil
}

// separableStep is a pointwise convolution and the depthwise one after it.
type separableStep struct {
	packed   *kernel.PackedSeparable
	h, w     int // of the input
	src, dst view
	act      kernel.Activation
}

func (s *separableStep) run(f *frame) {
	s.packed.RunView(f.pool, kernel.ConvView{
		Dst: f.slice(s.dst), DstPitch: s.dst.pitch,
		Src: f.slice(s.src), SrcPitch: s.src.pitch,
		N: f.n, H: s.h, W: s.w,
	}, s.act, &f.workspace)
}

func (s *separableStep) bytes() int { return s.packed.Bytes() }

func (s *separableStep) describe() (string, int) {
	pointwise, depthwise := s.packed.Convs()
	a, flops := describeConv(pointwise, s.h, s.w)
	b, more := describeConv(depthwise, s.h, s.w)
	return fmt.Sprintf("%s with %s", a, b), flops + more
}

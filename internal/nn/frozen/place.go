package frozen

import (
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/memory"
)

// buffer is memory for a tensor. Its size and offset are for one example.
type buffer struct {
	size        int // elements
	varies      bool
	element     element
	first, last int  // nodes between which it is in use
	single      bool // only the single nodes use it: it holds one example for each thread
	offset      int  // in the arena
}

// place gives values that are concatenated their bands in the buffer of the concatenation, so that
// they need not be copied. The last concatenation comes first: in a dense block, where each takes
// all that the earlier ones took, the earlier are then bands of the last.
func (c *compilation) place() {
	for _, n := range slices.Backward(c.nodes) {
		if !n.kind.joins || n.element == bfloat16s {
			continue
		}
		if n.out.home == nil && !c.bandOfLarger(n) {
			n.out.home, n.out.pitch = c.newBuffer(n.out), n.out.channels()
		}
		channel := n.out.channel
		for i, v := range n.in {
			if v.home == nil && v.maker != nil && slices.Index(n.in, v) == i && c.readInBands(v) && n.out.fits(channel) {
				v.home, v.channel, v.pitch = n.out.home, channel, n.out.pitch
			}
			channel += v.channels()
		}
	}
	c.moveIntoBands()
}

// fits tells whether convolutions can read a band of the value that begins at a channel: bytes they read
// by fours.
func (v *value) fits(channel int) bool {
	return v.element != uint8s || channel%4 == 0 && v.pitch%4 == 0
}

// moveIntoBands splits nodes that cannot write a band of a wider tensor: they write a tensor of
// their own, and a node after them moves it.
func (c *compilation) moveIntoBands() {
	var nodes []*node
	for _, n := range c.nodes {
		nodes = append(nodes, n)
		if v := n.out; v.home != nil && !n.bands() {
			n.out = &value{shape: v.shape, element: v.element, quantizationRange: v.quantizationRange, maker: n}
			v.maker = &node{name: n.name, kind: mover(), in: []*value{n.out}, out: v}
			nodes = append(nodes, v.maker)
		}
	}
	c.nodes = nodes
}

// bandOfLarger makes the output of a concatenation a band of the buffer in which all its inputs
// already lie side by side, if so they do.
func (c *compilation) bandOfLarger(n *node) bool {
	first := n.in[0]
	if first.home == nil || !c.readInBands(n.out) {
		return false
	}
	channel := first.channel
	for _, v := range n.in {
		if v.home != first.home || v.channel != channel {
			return false
		}
		channel += v.channels()
	}
	n.out.home, n.out.channel, n.out.pitch = first.home, first.channel, first.pitch
	return true
}

// readInBands tells whether every node that reads the value can read it as a band of a wider tensor.
func (c *compilation) readInBands(v *value) bool {
	for _, n := range c.nodes {
		if !slices.Contains(n.in, v) {
			continue
		}
		if !n.bands() {
			return false
		}
	}
	return true
}

// bands tells whether the node's steps can read and write bands of wider tensors.
func (n *node) bands() bool { return n.kind.bands && n.element != bfloat16s }

func (c *compilation) newBuffer(v *value) *buffer {
	b := &buffer{size: v.size(), varies: v.varies(), element: v.element, first: len(c.nodes)}
	c.buffers = append(c.buffers, b)
	return b
}

// plan finds when each buffer is in use, lets nodes that can write over an input which is no longer
// needed, and returns the sizes of the arenas: that of the batch for one example, and that of a thread.
func (c *compilation) plan() (batch, thread sizes) {
	for i, n := range c.nodes {
		for _, v := range n.reads() {
			v.lastRead = i
		}
	}
	for _, name := range c.outputs {
		c.values[name].lastRead = len(c.nodes)
	}
	for i, n := range c.nodes {
		if v := n.out; v.home != nil {
			v.home.last = max(v.home.last, v.lastRead, i)
		}
	}
	for i, n := range c.nodes {
		v := n.out
		if v.home == nil {
			v.pitch = v.channels()
			if over := n.overwrites(i); over != nil {
				v.home = over.home
			} else {
				v.home = c.newBuffer(v)
			}
		}
		v.home.first = min(v.home.first, i)
		v.home.last = max(v.home.last, v.lastRead, i)
	}
	for _, b := range c.buffers {
		switch {
		case b.last < c.single:
			b.single = true
		case b.first < c.single:
			b.first = 0 // the single nodes run again for the next example
		}
	}
	for e := range batch {
		batch[e] = arrange(c.buffers, element(e), false)
		thread[e] = arrange(c.buffers, element(e), true)
	}
	return batch, thread
}

// divide decides which nodes compute one example after the other: all up to the last that reads or
// makes a large map, larger than its weights.
func (c *compilation) divide(largeMap int) {
	for i, n := range c.nodes {
		weights := len(n.weight) * n.element.size()
		for _, v := range append(n.reads(), n.out) {
			if size := v.size() * v.element.size(); size >= max(largeMap, weights) {
				c.single = i + 1
			}
		}
	}
}

// reads lists the values a node reads.
func (n *node) reads() []*value {
	reads := slices.Clone(n.in)
	if n.residual != nil {
		reads = append(reads, n.residual)
	}
	return reads
}

// overwrites returns an input in whose buffer node i may write its output, or nil.
func (n *node) overwrites(i int) *value {
	if n.kind.over == nil {
		return nil
	}
	for _, v := range n.kind.over(n) {
		if v.home != nil && v.element == n.out.element && v.home.last == i && v.home.size == n.out.size() && v.size() == v.home.size && v.home.varies == n.out.varies() {
			return v
		}
	}
	return nil
}

// arrange gives each buffer of a type, of the single ones or of the others, an offset and returns the
// size of the whole.
func arrange(buffers []*buffer, e element, single bool) int {
	var chosen []*buffer
	var blocks []*memory.Block
	for _, b := range buffers {
		if b.element == e && b.single == single {
			chosen = append(chosen, b)
			blocks = append(blocks, &memory.Block{Size: b.size, First: b.first, Last: b.last})
		}
	}
	total := memory.Arrange(blocks, e.line())
	for i, b := range chosen {
		b.offset = blocks[i].Offset
	}
	return total
}

package graph

import (
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/memory"
)

// step is an operation when it is run, on the memory of its values.
type step struct {
	applied
	again bool // its value is computed once more
	out   *place
	in    []*place
	slice [][]float32 // of in
}

// place is where a value lies for a while: in memory of its own or, from its first step to its last,
// in a block of the arena.
type place struct {
	size  int
	data  []float32 // while it is bound
	block *memory.Block
}

// planner finds the steps of a graph and when the memory of each value is free again.
type planner struct {
	graph  *Graph
	kept   map[*Node]bool
	leaves map[*Node]*place
	now    map[*Node]*place // where a value lies at this step
	steps  []*step
	blocks []*memory.Block

	lastForward, firstBackward, lastUse map[*Node]int // numbers of the operations that read a value
	dropped                             map[*Node]bool
	restored                            map[*Node]bool
}

// worthDropping is the number of operations between the last that reads a value and the first of the
// gradients that does, from which on its memory is worth computing it once more.
const worthDropping = 8

// plan finds the steps. The values of the nodes that are kept are there when the last is over.
func (g *Graph) plan(kept []*Node, again segments) (steps []*step, arena int, places map[*Node]*place) {
	p := &planner{
		graph: g, kept: map[*Node]bool{}, leaves: map[*Node]*place{}, now: map[*Node]*place{},
		lastForward: map[*Node]int{}, firstBackward: map[*Node]int{}, lastUse: map[*Node]int{},
		dropped: map[*Node]bool{}, restored: map[*Node]bool{},
	}
	for _, n := range kept {
		p.kept[n] = true
	}
	p.findUses()
	p.giveUp(again)
	p.decideDrops()
	for _, o := range g.operations {
		for _, n := range o.reads() {
			p.restore(n, o.number)
		}
		p.emit(o, false)
	}
	for _, n := range kept {
		if x := p.at(n); x.block != nil {
			x.block.Last = len(p.steps)
		}
	}
	p.shareInPlace()
	return p.steps, memory.Arrange(p.blocks, 16), p.now
}

func (p *planner) findUses() {
	for _, o := range p.graph.operations {
		for _, n := range o.reads() {
			p.lastUse[n] = o.number
			if o.number < p.graph.forward || p.graph.forward == 0 {
				p.lastForward[n] = o.number
			} else if _, ok := p.firstBackward[n]; !ok {
				p.firstBackward[n] = o.number
			}
		}
	}
}

// decideDrops finds the values that are given up after the last layer that reads them and computed
// again for the gradients: those whose inputs are there then, or can be computed again too.
func (p *planner) decideDrops() {
	for _, o := range p.graph.operations[:p.graph.forward] {
		back, ok := p.firstBackward[o.node]
		if !ok || p.dropped[o.node] || o.operation.again == nil || p.kept[o.node] || back-max(p.lastForward[o.node], o.number) < worthDropping {
			continue
		}
		there := func(n *Node) bool {
			_, leaf := p.graph.leaves[n]
			return leaf || p.kept[n] || p.dropped[n] || p.lastUse[n] >= back
		}
		if slices.ContainsFunc(o.reads(), func(n *Node) bool { return !there(n) }) {
			continue
		}
		p.dropped[o.node] = true
		for _, n := range o.reads() {
			if p.dropped[n] {
				p.firstBackward[n] = min(p.firstBackward[n], back)
			}
		}
	}
}

// restore computes a dropped value again, if the operation of that number is of the gradients and
// the first to read it.
func (p *planner) restore(n *Node, reader int) {
	if !p.dropped[n] || p.restored[n] || reader < p.graph.forward {
		return
	}
	p.restored[n] = true
	o := p.graph.operations[n.Op().(*operation).number]
	for _, input := range o.reads() {
		p.restore(input, reader)
	}
	p.emit(o, true)
}

// emit adds a step and notes that its inputs are in use until then.
func (p *planner) emit(o applied, again bool) {
	s := &step{applied: o, again: again, slice: make([][]float32, len(o.reads()))}
	for _, n := range o.reads() {
		x := p.at(n)
		if x.block != nil {
			x.block.Last = len(p.steps)
		}
		s.in = append(s.in, x)
	}
	b := &memory.Block{Size: o.output.TotalSize(), First: len(p.steps), Last: len(p.steps)}
	s.out = &place{size: b.Size, block: b}
	p.blocks = append(p.blocks, b)
	p.now[o.node] = s.out
	p.steps = append(p.steps, s)
}

// at returns where a value lies.
func (p *planner) at(n *Node) *place {
	if x, ok := p.now[n]; ok {
		return x
	}
	data := p.graph.leaves[n]
	p.now[n] = &place{size: len(data), data: data}
	return p.now[n]
}

// shareInPlace lets steps write over an input that nobody reads later.
func (p *planner) shareInPlace() {
	gone := map[*memory.Block]bool{}
	for i, s := range p.steps {
		if s.again {
			continue
		}
		for _, k := range s.over {
			x := s.in[k]
			if x.block == nil || x.block.Last != i || x.size != s.out.size || count(s.in, x) > 1 {
				continue
			}
			x.block.Last = s.out.block.Last
			gone[s.out.block] = true
			s.out.block = x.block
			break
		}
	}
	p.blocks = slices.DeleteFunc(p.blocks, func(b *memory.Block) bool { return gone[b] })
}

// count counts the places that lie in the block of x.
func count(places []*place, x *place) int {
	n := 0
	for _, other := range places {
		if other.block == x.block {
			n++
		}
	}
	return n
}

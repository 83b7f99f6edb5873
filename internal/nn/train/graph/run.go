package graph

import (
	"context"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/tensor"
)

// Scratch is memory that graphs which run one after another may share: what a run leaves there is
// valid until the next run of any of them. Its zero value is ready; it grows to the need of the
// greatest.
type Scratch struct {
	Workspace kernel.Workspace
	arena     []float32
	weights   []float32 // changed for the kernels
}

// running is what runs a compiled graph.
type running struct {
	pool    *kernel.Pool
	scratch *Scratch
	draw    Draw
	steps   []*step
	arena   int // elements
	places  map[*Node]*place
	kept    map[*Node]bool
	bound   *float32 // where the arena begins that the steps are bound to
}

// Compile makes the graph ready to run. Of operations, the values of those that are kept can be
// looked at after a run, and those of the loss and the gradients of parameters.
func (g *Graph) Compile(keep ...*Node) error {
	if g.err != nil {
		return g.err
	}
	if g.loss != nil {
		keep = append(keep[:len(keep):len(keep)], g.loss)
		for _, p := range g.parameters {
			keep = append(keep, p.gradient)
		}
	}
	r := &g.run
	r.kept = map[*Node]bool{}
	for _, n := range keep {
		r.kept[n] = true
	}
	r.steps, r.arena, r.places = g.planWithin(keep, g.limit/4)
	return nil
}

// ArenaBytes is the memory that the values of a compiled graph take, those of inputs and parameters
// left out.
func (g *Graph) ArenaBytes() int { return 4 * g.run.arena }

// GradientBytes is the part of it that the gradients of parameters take.
func (g *Graph) GradientBytes() (bytes int) {
	for _, p := range g.parameters {
		if p.gradient != nil {
			bytes += 4 * p.node.Shape().TotalSize()
		}
	}
	return bytes
}

// bind gives each value its memory.
func (g *Graph) bindArena() {
	r := &g.run
	if len(r.scratch.arena) < r.arena {
		r.scratch.arena = nil // let it go before there is another
		r.scratch.arena = make([]float32, r.arena)
	}
	if len(r.scratch.arena) == 0 || r.bound == &r.scratch.arena[0] {
		return
	}
	r.bound = &r.scratch.arena[0]
	for _, s := range r.steps {
		s.out.bind(r.scratch.arena)
	}
	for _, s := range r.steps {
		for i, x := range s.in {
			s.slice[i] = x.data
		}
	}
	for _, p := range g.parameters {
		if p.gradient != nil {
			p.value = tensor.New(tensor.WithShape(p.node.Shape()...), tensor.WithBacking(r.places[p.gradient].data))
		}
	}
}

func (x *place) bind(arena []float32) {
	if x.block != nil {
		x.data = arena[x.block.Offset:][:x.size:x.size]
	}
}

// Run computes every node. It stops between two operations when ctx ends, and returns ctx's error.
func (g *Graph) Run(ctx context.Context) error {
	g.bindArena()
	for _, s := range g.run.steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.run(); err != nil {
			return fmt.Errorf("run a graph: %s: %w", s.name, err)
		}
	}
	return nil
}

func (s *step) run() (err error) {
	defer func() { // a panic in a kernel must not end the process
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	if s.again && s.operation.again != nil {
		return s.operation.again(s.out.data, s.slice)
	}
	return s.forward(s.out.data, s.slice)
}

// Data returns the numbers of a node: those of an input, to be filled, or, after a run, those of a
// node that is kept, valid until the next run of a graph that shares memory with this one.
func (g *Graph) Data(n *Node) []float32 {
	if data, ok := g.leaves[n]; ok {
		return data
	}
	if !g.run.kept[n] {
		panic(fmt.Sprintf("graph: the value of %v is not kept", n))
	}
	return g.run.places[n].data
}

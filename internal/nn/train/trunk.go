package train

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// trunk is the part of a network that nothing learns in, or below: no gradient goes there, so it is
// computed as package frozen compiles it, fused and in little memory. Where values are rounded in training it has the inputs alone.
type trunk struct {
	frozen   map[string]bool // the layers it is made of
	boundary []string        // those of them whose outputs the rest takes
	computed []string        // those of the boundary that are not inputs of the network
	session  *frozen.Session // computes them; nil if there is none
	tokens   *sequences      // computes them of sequences of any length, in the place of session
}

// newTrunk makes the trunk of a network, for all lengths if an axis varies.
func newTrunk(net *nn.Network, weights nn.Weights, o Options) (*trunk, error) {
	t := &trunk{frozen: map[string]bool{}}
	for _, l := range net.Layers() {
		t.frozen[l.Name] = (o.Rounding == nil || isInput(net, l.Name)) && isFrozen(net, l, o.Freeze) && !slices.ContainsFunc(l.Inputs, func(name string) bool { return !t.frozen[name] })
	}
	t.leave(net)
	if len(t.boundary) == 0 {
		return nil, fmt.Errorf("every layer is frozen")
	}
	for _, name := range t.boundary {
		if !isInput(net, name) {
			t.computed = append(t.computed, name)
		}
	}
	if len(t.computed) == 0 {
		return t, nil
	}
	program, err := frozen.Options{Precision: o.Precision}.Compile(net, weights, t.computed...)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(net.Inputs(), func(l nn.Layer) bool { return !net.Shape(l.Name).Fixed() }) {
		t.tokens = newSequences(net, program, t.computed)
	} else {
		t.session = program.NewSession(program.AtOnce(mostAtOnce))
	}
	return t, nil
}

// leave finds the boundary. What is computed of inputs alone that the rest takes too is not worth a program
// of its own: it leaves the trunk.
func (t *trunk) leave(net *nn.Network) {
	t.findBoundary(net)
	beside := map[string]bool{}
	for _, l := range net.Layers() {
		if isInput(net, l.Name) {
			beside[l.Name] = slices.Contains(t.boundary, l.Name)
			continue
		}
		beside[l.Name] = !slices.ContainsFunc(l.Inputs, func(name string) bool { return !beside[name] })
		t.frozen[l.Name] = t.frozen[l.Name] && !beside[l.Name]
	}
	t.findBoundary(net)
}

func (t *trunk) findBoundary(net *nn.Network) {
	t.boundary = nil
	for _, l := range net.Layers() {
		if t.frozen[l.Name] {
			continue
		}
		for _, name := range l.Inputs {
			if t.frozen[name] && !slices.Contains(t.boundary, name) {
				t.boundary = append(t.boundary, name)
			}
		}
	}
}

func isInput(net *nn.Network, layer string) bool {
	return slices.ContainsFunc(net.Inputs(), func(l nn.Layer) bool { return l.Name == layer })
}

// isFrozen tells whether the layer itself gives the same output in training as frozen.
func isFrozen(net *nn.Network, l nn.Layer, freeze func(layer string) bool) bool {
	if net.Random(l) || len(net.LayerParameters(l)) > 0 {
		return freeze(l.Name)
	}
	return true
}

// run computes what the rest takes of n examples, but for the inputs themselves. Of sequences, padded is how many tokens each has.
func (t *trunk) run(pool *kernel.Pool, read Batch, n, padded int, computed nn.Batch) error {
	switch {
	case t.tokens != nil:
		return t.tokens.run(pool, read.Lengths, padded, read.Inputs, computed)
	case t.session == nil:
		return nil
	case read.Lengths != nil:
		return t.session.RunSequences(pool, read.Lengths, read.Inputs, computed)
	}
	return t.session.RunBatch(pool, n, read.Inputs, computed)
}

// mostAtOnce is the number of examples that a program computes at once, at most.
const mostAtOnce = 256

package train

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// trunk is the part of a network that nothing learns in, or below: no gradient goes there, so it is
// computed as package frozen compiles it, fused and in little memory.
type trunk struct {
	frozen   map[string]bool // the layers it is made of
	boundary []string        // those of them whose outputs the rest takes
	// session computes the boundary; nil if the only one is the network's input.
	session *frozen.Session
}

func newTrunk(net *nn.Network, weights nn.Weights, o Options) (*trunk, error) {
	t := &trunk{frozen: map[string]bool{}}
	for _, l := range net.Layers() {
		t.frozen[l.Name] = isFrozen(net, l, o.Freeze) && !slices.ContainsFunc(l.Inputs, func(name string) bool { return !t.frozen[name] })
		if t.frozen[l.Name] {
			continue
		}
		for _, name := range l.Inputs {
			if t.frozen[name] && !slices.Contains(t.boundary, name) {
				t.boundary = append(t.boundary, name)
			}
		}
	}
	if len(t.boundary) == 0 {
		return nil, fmt.Errorf("every layer is frozen")
	}
	if input := net.Inputs()[0].Name; slices.Contains(t.boundary, input) {
		// What is joined with the input itself is not worth a program of its own.
		t.frozen, t.boundary = map[string]bool{input: true}, []string{input}
		return t, nil
	}
	program, err := frozen.Options{Precision: o.Precision}.Compile(net, weights, t.boundary...)
	if err != nil {
		return nil, err
	}
	t.session = program.NewSession(atOnce(program))
	return t, nil
}

// isFrozen tells whether the layer itself gives the same output in training as frozen.
func isFrozen(net *nn.Network, l nn.Layer, freeze func(layer string) bool) bool {
	if _, drops := l.Op.(nn.Dropout); drops || len(net.LayerParameters(l)) > 0 {
		return freeze(l.Name)
	}
	return true
}

// run computes the boundary of n examples.
func (t *trunk) run(pool *kernel.Pool, inputs []float32, n int, boundary [][]float32) error {
	if t.session == nil {
		return nil // the input is read to where it is needed
	}
	return t.session.Run(pool, inputs, n, boundary...)
}

// atOnce is the number of examples that a program computes at once: fewer where maps are large.
func atOnce(p *frozen.Program) int {
	const most, memory = 256, 256 << 20
	return min(max(memory/max(p.ArenaBytes(), 1), 1), most)
}

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
	still map[string]bool // the layers it is made of
	tips  []string        // those of them whose outputs the rest takes
	// session computes the tips; nil if the only one is the network's input.
	session *frozen.Session
}

func newTrunk(net *nn.Network, weights nn.Weights, o Options) (*trunk, error) {
	t := &trunk{still: map[string]bool{}}
	for _, l := range net.Layers() {
		t.still[l.Name] = isStill(net, l, o.Freeze) && !slices.ContainsFunc(l.Inputs, func(name string) bool { return !t.still[name] })
		if t.still[l.Name] {
			continue
		}
		for _, name := range l.Inputs {
			if t.still[name] && !slices.Contains(t.tips, name) {
				t.tips = append(t.tips, name)
			}
		}
	}
	if len(t.tips) == 0 {
		return nil, fmt.Errorf("every layer is frozen")
	}
	if input := net.Inputs()[0].Name; slices.Contains(t.tips, input) {
		// What is joined with the input itself is not worth a program of its own.
		t.still, t.tips = map[string]bool{input: true}, []string{input}
		return t, nil
	}
	program, err := frozen.Options{Precision: o.Precision}.Compile(net, weights, t.tips...)
	if err != nil {
		return nil, err
	}
	t.session = program.NewSession(atOnce(program))
	return t, nil
}

// isStill tells whether the layer itself gives the same output in training as frozen.
func isStill(net *nn.Network, l nn.Layer, freeze func(layer string) bool) bool {
	if _, drops := l.Op.(nn.Dropout); drops || len(net.LayerParameters(l)) > 0 {
		return freeze(l.Name)
	}
	return true
}

// run computes the tips of n examples.
func (t *trunk) run(pool *kernel.Pool, inputs []float32, n int, tips [][]float32) error {
	if t.session == nil {
		return nil // the input is read to where it is needed
	}
	return t.session.Run(pool, inputs, n, tips...)
}

// atOnce is the number of examples that a program computes at once: fewer where maps are large.
func atOnce(p *frozen.Program) int {
	const most, memory = 256, 256 << 20
	return min(max(memory/max(p.ArenaBytes(), 1), 1), most)
}

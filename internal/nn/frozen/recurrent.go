package frozen

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// recurrentStep takes the tokens of each example one after the other.
type recurrentStep struct {
	src, dst view
	layer    kernel.Recurrent
	weights  kernel.RecurrentWeights
}

func newRecurrentStep(n *node, in []view, out view) step {
	s := &recurrentStep{src: in[0], dst: out, layer: n.op.(nn.Recurrent).Geometry(in[0].channels)}
	s.weights = kernel.RecurrentWeights{Input: cloned(n.weights[0]), State: cloned(n.weights[1]), Bias: cloned(n.weights[2])}
	if len(n.weights) > 3 {
		s.weights.Inner = cloned(n.weights[3])
	}
	return s
}

func (s *recurrentStep) run(f *frame) {
	sequences, examples := f.sequences(s.src.pixels), f.n
	if s.src.varies {
		f.n = f.rows
	}
	src := f.slice(s.src)
	f.n = examples
	s.layer.Run(f.pool, sequences, f.slice(s.dst), src, s.weights, &f.recurrent, &f.workspace)
}

func (s *recurrentStep) bytes() int {
	w := s.weights
	return 4 * (len(w.Input) + len(w.State) + len(w.Bias) + len(w.Inner))
}

func (s *recurrentStep) describe() (string, int) {
	return s.layer.Cell.String(), 2 * s.src.pixels * s.layer.Cell.Gates() * s.layer.Units * (s.layer.Inputs + s.layer.Units)
}

package objective

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Hint is the hint of FitNets (Romero et al. 2015, arXiv:1412.6550): the mean squared difference of a layer's values, which a
// regressor has brought to the teacher's shape, from a layer of the teacher; the mean over all values, as PyTorch's
// MSELoss.
type Hint struct {
	Output string // the layer with the regressor's values
	Target string // float32, the teacher's values, of the same shape
}

// Kind implements [Objective].
func (Hint) Kind() string { return "fitnet" }

func (h Hint) output() Output { return Output{Layer: h.Output} }
func (h Hint) target() string { return or(h.Target, Teacher) }

// Outputs implements [Objective].
func (h Hint) Outputs() []Output { return []Output{h.output()} }

// Targets implements [Objective].
func (h Hint) Targets(shape Shapes) []Target {
	return []Target{{Name: h.target(), Element: nn.Float32, Shape: shape(h.output())}}
}

// Measures implements [Objective].
func (Hint) Measures() []Measure { return nil }

// Check implements [Objective].
func (h Hint) Check(shape Shapes) error { return there(h.output(), shape) }

// there returns an error unless the network has the output.
func there(o Output, shape Shapes) error {
	if s := shape(o); len(s) == 0 || !s.Fixed() {
		return fmt.Errorf("output %q has the shape %v: must be a layer's whose axes do not vary", o.Layer, s)
	}
	return nil
}

// Loss implements [Objective].
func (h Hint) Loss(in Place) Loss {
	return newCompared(in, h.Kind(), h.output(), &hintComparison{Hint: h})
}

// Evaluation implements [Objective].
func (h Hint) Evaluation(Shapes) Evaluation {
	return newComparedEvaluation(h.output(), 0, &hintComparison{Hint: h})
}

type hintComparison struct {
	Hint
	silent
	teacher []float32
	rows    int
}

func (h *hintComparison) take(targets nn.Batch, rows int, blend Blend) (float64, error) {
	if blend.Partner != nil {
		return 0, fmt.Errorf("fitnet: what the teacher's layer gives for mixed examples is not known")
	}
	h.teacher, h.rows = targets[h.target()].Float32, rows
	if !nn.Finite(h.teacher) {
		return 0, fmt.Errorf("a value of the teacher's layer is not finite")
	}
	return float64(rows), nil
}

func (h *hintComparison) sum(dx []float64, x []float32) (loss float64) {
	each := float64(h.rows) / float64(max(len(x), 1)) // 1/values of a row
	for i, v := range x {
		d := float64(v) - float64(h.teacher[i])
		loss += d * d
		if dx != nil {
			dx[i] = 2 * d * each
		}
	}
	return loss * each
}

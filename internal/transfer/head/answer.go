package head

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Answer is what a head gives for a row.
type Answer struct {
	Task  record.Task
	Count int // of classes, or numbers

	// Mean and Deviation of each number over the training rows: the last dense layer gives how many
	// deviations a number lies from the mean, so that it starts with the mean and learns at the same rate in
	// whatever unit the numbers are.
	Mean, Deviation []float64
}

// OneOf is the answer of a head that tells one of so many classes.
func OneOf(classes int) Answer { return Answer{Task: record.SingleLabel, Count: classes} }

// layers adds the last layers of a head.
func (a Answer) layers(b *nn.Builder, x nn.Value) {
	if a.Task == record.Regression {
		x = b.Layer("deviations", nn.Dense{Out: a.Count, Bias: true}, x)
		op := nn.Affine{Scale: make([]float32, a.Count), Shift: make([]float32, a.Count)}
		for i := range a.Count {
			op.Scale[i], op.Shift[i] = float32(a.Deviation[i]), float32(a.Mean[i])
		}
		b.Layer("numbers", op, x)
		return
	}
	x = b.Layer("logits", nn.Dense{Out: a.Count, Bias: true}, x)
	if a.Task == record.MultiLabel {
		b.Layer("probabilities", nn.Activation{Function: kernel.Sigmoid}, x)
		return
	}
	b.Layer("probabilities", nn.Softmax{}, x)
}

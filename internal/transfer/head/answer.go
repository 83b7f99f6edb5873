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

	// Embedding is the width of an embedding, vectors of length 1, that the classes are told by; 0: there is none. It is for objectives of
	// metric learning: no gradient flows from the classes into it.
	Embedding int

	// Tasks are several answers, by name, each with last layers of its own on the hidden layers that all share; the other
	// fields then say nothing.
	Tasks []NamedAnswer
}

// NamedAnswer is one of several answers. Its layers are in a scope of its name.
type NamedAnswer struct {
	Name string // of letters, digits, _ and -
	Answer
}

// OneOf is the answer of a head that tells one of so many classes.
func OneOf(classes int) Answer { return Answer{Task: record.SingleLabel, Count: classes} }

// UnitLayer is the layer of a head with an embedding.
const UnitLayer = "unit"

// embeddingScale is what an embedding is multiplied by for the classifier upon it, whose weights would have far to go otherwise.
const embeddingScale = 10

// layers adds the last layers of a head, which are outputs of the network.
func (a Answer) layers(b *nn.Builder, x nn.Value) {
	for _, task := range a.Tasks {
		task.layers(b.Scope(task.Name), x)
	}
	if len(a.Tasks) > 0 {
		return
	}
	if a.Task == record.Regression {
		x = b.Layer("deviations", nn.Dense{Out: a.Count, Bias: true}, x)
		op := nn.Affine{Scale: make([]float32, a.Count), Shift: make([]float32, a.Count)}
		for i := range a.Count {
			op.Scale[i], op.Shift[i] = float32(a.Deviation[i]), float32(a.Mean[i])
		}
		b.Outputs(b.Layer("numbers", op, x))
		return
	}
	if a.Embedding > 0 {
		x = b.Layer(UnitLayer, nn.L2Normalise{}, b.Layer("embedding", nn.Dense{Out: a.Embedding, Bias: true}, x))
		constant := b.Layer("constant", nn.GradientReversal{}, x) // a reversal times 0
		x = b.Layer("scale", nn.Scale{Factor: embeddingScale}, constant)
	}
	x = b.Layer("logits", nn.Dense{Out: a.Count, Bias: true}, x)
	if a.Task == record.MultiLabel {
		b.Outputs(b.Layer("probabilities", nn.Activation{Function: kernel.Sigmoid}, x))
		return
	}
	b.Outputs(b.Layer("probabilities", nn.Softmax{}, x))
}

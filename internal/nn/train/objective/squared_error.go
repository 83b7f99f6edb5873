package objective

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// SquaredError is for examples that have numbers: ((output − number)/scale)², the mean over all examples
// and numbers.
type SquaredError struct {
	Output string // a layer that gives a vector; "": the network's output
	Target string // float32, as long as the vector; what is not a number does not count. "": [Numbers]

	// Scales are what a deviation of each number is measured by, such as the standard deviation over the
	// training rows: a loss of 1 is then that of a constant, the mean. nil: all 1.
	Scales []float64
}

// Numbers is the usual name of the target with an example's numbers.
const Numbers = "numbers"

// Kind implements [Objective].
func (SquaredError) Kind() string { return "squared_error" }

func (s SquaredError) output() Output { return Output{Layer: s.Output} }
func (s SquaredError) target() string { return or(s.Target, Numbers) }

// weight is what the square of a deviation of number i is multiplied by.
func (s SquaredError) weight(i int) float64 {
	if s.Scales == nil {
		return 1
	}
	return 1 / (s.Scales[i] * s.Scales[i])
}

// Outputs implements [Objective].
func (s SquaredError) Outputs() []Output { return []Output{s.output()} }

// Targets implements [Objective].
func (s SquaredError) Targets(shape Shapes) []Target {
	return []Target{{Name: s.target(), Element: nn.Float32, Shape: shape(s.output())}}
}

// Measures implements [Objective].
func (SquaredError) Measures() []Measure { return []Measure{{MeanAbsoluteError, schedule.Falling}} }

// Check implements [Objective].
func (s SquaredError) Check(shape Shapes) error {
	if err := vector(s.output(), shape, 1); err != nil {
		return err
	}
	width := shape(s.output()).Size()
	switch {
	case s.Scales != nil && len(s.Scales) != width:
		return fmt.Errorf("%d scales for %d numbers", len(s.Scales), width)
	case slices.ContainsFunc(s.Scales, notAbove0):
		return fmt.Errorf("scales %v: must be above 0 and finite", s.Scales)
	}
	return nil
}

// Loss implements [Objective].
func (s SquaredError) Loss(in Place) Loss {
	l := &squaredError{SquaredError: s, inGraph: inGraph{graph: in.Graph, answers: in.Output(s.output()), mass: in.input("total", 1)}}
	l.width = l.answers.Shape()[1]
	l.truth, l.weights = in.input(s.target(), in.Batch, l.width), in.input(s.target()+", weights", in.Batch, l.width)
	l.loss = in.Graph.SquaredError(l.answers, l.truth, l.weights, l.mass)
	return l
}

// squaredError is the loss in a graph.
type squaredError struct {
	SquaredError
	inGraph
	width          int
	truth, weights *graph.Node
	read           []float32 // the numbers of the batch
}

// Fill writes the numbers, and returns how many count.
func (l *squaredError) Fill(targets nn.Batch, f Filling) (count float64, err error) {
	l.read = targets[l.target()].Float32
	truth, weights := l.graph.Data(l.truth), l.graph.Data(l.weights)
	copy(truth, l.read)
	f.Blend.Apply(truth, l.width)
	for i, y := range truth {
		if math.IsInf(float64(y), 0) {
			return 0, fmt.Errorf("an example has a number that is infinite")
		}
		if weights[i] = float32(l.weight(i % l.width)); y != y {
			truth[i], weights[i] = 0, 0
			continue
		}
		count++
	}
	return count, nil
}

// Measure sums up the mean absolute deviation of each example.
func (l *squaredError) Measure(sums []float64) {
	sum, known := deviations(l.graph.Data(l.answers), l.read)
	if known > 0 {
		sums[0] += sum / float64(known) * float64(len(l.read)/l.width)
	}
}

// Evaluation implements [Objective].
func (s SquaredError) Evaluation(shape Shapes) Evaluation {
	return &squaredErrorEvaluation{SquaredError: s, width: shape(s.output()).Size()}
}

type squaredErrorEvaluation struct {
	SquaredError
	width, known   int
	loss, absolute float64
}

func (e *squaredErrorEvaluation) Add(outputs Values, targets nn.Batch, _ int) error {
	truth, x := targets[e.target()].Float32, outputs(e.output())
	absolute, known := deviations(x, truth)
	e.absolute, e.known = e.absolute+absolute, e.known+known
	for i, y := range truth {
		if y == y {
			d := float64(x[i]) - float64(y)
			e.loss += d * d * e.weight(i%e.width)
		}
	}
	return nil
}

func (e *squaredErrorEvaluation) Result() (loss float64, measures []float64) {
	n := float64(e.known)
	return e.loss / n, []float64{e.absolute / n}
}

// deviations sums up the absolute deviations from the numbers that are known, and counts them.
func deviations(x, truth []float32) (sum float64, known int) {
	for i, y := range truth {
		if y == y {
			sum += math.Abs(float64(x[i]) - float64(y))
			known++
		}
	}
	return sum, known
}

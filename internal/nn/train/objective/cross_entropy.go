package objective

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// CrossEntropy is for examples of one class each: −log softmax(logits)[class], the mean over the examples.
type CrossEntropy struct {
	Output string // the layer with the logits, or their softmax; "": the network's output
	Target string // int32, the number of the class, from 0; "": [Class]

	// ClassWeights multiply the loss of each class's examples; nil: all 1. The mean loss of a
	// batch is divided by the sum of its examples' weights, as PyTorch does.
	ClassWeights []float64
	// Smoothing is the mass that is taken from an example's class and spread evenly over all
	// (Szegedy et al., arXiv:1512.00567), 0 ≤ mass < 1.
	Smoothing float64
	// Unlabelled lets examples have the class [Unknown]: they do not count, in the loss nor in the accuracy.
	Unlabelled bool
}

// Unknown is the class of an example without a label.
const Unknown = -1

// Class is the usual name of the target with an example's class.
const Class = "class"

// Kind implements [Objective].
func (CrossEntropy) Kind() string { return "cross_entropy" }

func (c CrossEntropy) output() Output { return Output{Layer: c.Output, Logits: true} }
func (c CrossEntropy) target() string { return or(c.Target, Class) }

// Outputs implements [Objective].
func (c CrossEntropy) Outputs() []Output { return []Output{c.output()} }

// Targets implements [Objective].
func (c CrossEntropy) Targets(Shapes) []Target {
	return []Target{{Name: c.target(), Element: nn.Int32}}
}

// Measures implements [Objective].
func (CrossEntropy) Measures() []Measure { return []Measure{{Accuracy, schedule.Rising}} }

// Check implements [Objective].
func (c CrossEntropy) Check(shape Shapes) error {
	if err := vector(c.output(), shape, 1); err != nil {
		return err
	}
	classes := shape(c.output()).Size()
	switch {
	case !(c.Smoothing >= 0 && c.Smoothing < 1):
		return fmt.Errorf("label smoothing %v: must be at least 0 and below 1", c.Smoothing)
	case c.ClassWeights != nil && len(c.ClassWeights) != classes:
		return fmt.Errorf("%d class weights for %d classes", len(c.ClassWeights), classes)
	case slices.ContainsFunc(c.ClassWeights, notAbove0):
		return fmt.Errorf("class weights %v: must be above 0 and finite", c.ClassWeights)
	}
	return nil
}

func notAbove0(w float64) bool { return !(w > 0) || math.IsInf(w, 1) }

// Loss implements [Objective].
func (c CrossEntropy) Loss(in Place) Loss {
	l := &crossEntropy{CrossEntropy: c, inGraph: inGraph{graph: in.Graph, answers: in.Output(c.output()), mass: in.input("total", 1)}}
	l.classes = l.answers.Shape()[1]
	l.truth = in.input(c.target(), in.Batch, l.classes)
	l.loss = in.Graph.CrossEntropy(l.answers, l.truth, l.mass)
	return l
}

// crossEntropy is the loss in a graph.
type crossEntropy struct {
	CrossEntropy
	inGraph
	classes int
	truth   *graph.Node
	read    []int32 // classes of the batch
}

// Fill writes the mass that each class has for each example, and returns the sum of the examples' weights.
func (l *crossEntropy) Fill(targets nn.Batch, f Filling) (total float64, err error) {
	l.read = targets[l.target()].Int32
	if err := l.check(l.read, l.classes); err != nil {
		return 0, err
	}
	weight := func(class int32) float64 {
		if l.ClassWeights == nil {
			return 1
		}
		return l.ClassWeights[class]
	}
	truth := l.graph.Data(l.truth)
	for i, class := range l.read {
		row := truth[i*l.classes : (i+1)*l.classes]
		if class == Unknown {
			clear(row)
			continue
		}
		for c := range row {
			mass := l.Smoothing / float64(l.classes)
			if c == int(class) {
				mass += 1 - l.Smoothing
			}
			row[c] = float32(mass * weight(int32(c)))
		}
		total += weight(class)
	}
	f.Blend.Apply(truth, l.classes)
	return total, nil
}

// Measure counts the examples that are classified correctly, by the class that they have before any
// mixing.
func (l *crossEntropy) Measure(sums []float64) {
	correct, known := countCorrect(l.graph.Data(l.answers), l.read)
	if known > 0 { // the mean over those that are known stands for all
		sums[0] += float64(correct) / float64(known) * float64(len(l.read))
	}
}

// Evaluation implements [Objective].
func (c CrossEntropy) Evaluation(shape Shapes) Evaluation {
	return &crossEntropyEvaluation{CrossEntropy: c, classes: shape(c.output()).Size()}
}

type crossEntropyEvaluation struct {
	CrossEntropy
	classes, examples, correct int // examples are those of a known class
	loss                       float64
}

func (e *crossEntropyEvaluation) Add(outputs Values, targets nn.Batch, _ int) error {
	classes, y := targets[e.target()].Int32, outputs(e.output())
	if err := e.check(classes, e.classes); err != nil {
		return err
	}
	correct, known := countCorrect(y, classes)
	e.correct, e.examples = e.correct+correct, e.examples+known
	for i, class := range classes {
		if class == Unknown {
			continue
		}
		e.loss += crossEntropyOf(y[i*e.classes:(i+1)*e.classes], int(class))
	}
	return nil
}

func (e *crossEntropyEvaluation) Result() (loss float64, measures []float64) {
	n := float64(e.examples)
	return e.loss / n, []float64{float64(e.correct) / n}
}

// crossEntropyOf is −log softmax(logits)[class].
func crossEntropyOf(logits []float32, class int) float64 {
	top := float64(slices.Max(logits))
	var sum float64
	for _, z := range logits {
		sum += math.Exp(float64(z) - top)
	}
	return math.Log(sum) + top - float64(logits[class])
}

// countCorrect counts the examples of a known class, and those of them whose greatest logit is that of their class;
// the first of equal ones counts as the greatest.
func countCorrect(logits []float32, classes []int32) (correct, known int) {
	width := len(logits) / max(len(classes), 1)
	for i, class := range classes {
		if class == Unknown {
			continue
		}
		known++
		row := logits[i*width : (i+1)*width]
		greatest := 0
		for c, z := range row {
			if z > row[greatest] {
				greatest = c
			}
		}
		if greatest == int(class) {
			correct++
		}
	}
	return correct, known
}

func (c CrossEntropy) check(classes []int32, count int) error {
	for _, class := range classes {
		if c.Unlabelled && class == Unknown {
			continue
		}
		if class < 0 || int(class) >= count {
			return fmt.Errorf("an example is of class %d; the network has %d", class, count)
		}
	}
	return nil
}

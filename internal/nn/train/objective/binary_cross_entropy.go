package objective

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// BinaryCrossEntropy is for examples that each of several classes may apply to or not, whatever the others
// do: −(y·log σ(z) + (1−y)·log(1 − σ(z))), the mean over all examples and classes, as PyTorch's
// BCEWithLogitsLoss has it.
type BinaryCrossEntropy struct {
	Output string // the layer with the logits, or their sigmoid; "": the network's output
	// Target is float32, for each class 1 if it applies and 0 if it does not, or a share; what is not a
	// number is not known and does not count. "": [Classes].
	Target string

	// PositiveWeights multiply, for each class, the loss where it applies; nil: all 1. The loss is divided by
	// the number of answers whatever they weigh, as PyTorch does.
	PositiveWeights []float64
	// Smoothing moves each target towards one half: y·(1 − s) + s/2, 0 ≤ s < 1, as Keras does.
	Smoothing float64
}

// Classes is the usual name of the target that says for each class whether it applies.
const Classes = "classes"

// Kind implements [Objective].
func (BinaryCrossEntropy) Kind() string { return "binary_cross_entropy" }

func (b BinaryCrossEntropy) output() Output { return Output{Layer: b.Output, Logits: true} }
func (b BinaryCrossEntropy) target() string { return or(b.Target, Classes) }

// Outputs implements [Objective].
func (b BinaryCrossEntropy) Outputs() []Output { return []Output{b.output()} }

// Targets implements [Objective].
func (b BinaryCrossEntropy) Targets(shape Shapes) []Target {
	return []Target{{Name: b.target(), Element: nn.Float32, Shape: shape(b.output())}}
}

// Measures implements [Objective].
func (BinaryCrossEntropy) Measures() []Measure { return []Measure{{Accuracy, schedule.Rising}} }

// Check implements [Objective].
func (b BinaryCrossEntropy) Check(shape Shapes) error {
	if err := vector(b.output(), shape, 1); err != nil {
		return err
	}
	classes := shape(b.output()).Size()
	switch {
	case !(b.Smoothing >= 0 && b.Smoothing < 1):
		return fmt.Errorf("label smoothing %v: must be at least 0 and below 1", b.Smoothing)
	case b.PositiveWeights != nil && len(b.PositiveWeights) != classes:
		return fmt.Errorf("%d weights for %d classes", len(b.PositiveWeights), classes)
	case slices.ContainsFunc(b.PositiveWeights, notAbove0):
		return fmt.Errorf("weights %v of the classes where they apply: must be above 0 and finite", b.PositiveWeights)
	}
	return nil
}

// Loss implements [Objective].
func (b BinaryCrossEntropy) Loss(in Place) Loss {
	l := &binaryCrossEntropy{BinaryCrossEntropy: b, inGraph: inGraph{graph: in.Graph, answers: in.Output(b.output()), mass: in.input("total", 1)}}
	l.classes = l.answers.Shape()[1]
	l.yes, l.no = in.input(b.target(), in.Batch, l.classes), in.input(b.target()+", not", in.Batch, l.classes)
	l.loss = in.Graph.BinaryCrossEntropy(l.answers, l.yes, l.no, l.mass)
	return l
}

// binaryCrossEntropy is the loss in a graph.
type binaryCrossEntropy struct {
	BinaryCrossEntropy
	inGraph
	classes int
	yes, no *graph.Node
	read    []float32 // the targets of the batch
}

// Fill writes the mass of each answer, and returns how many count. A mixed answer counts where both that it
// is made of are known.
func (l *binaryCrossEntropy) Fill(targets nn.Batch, f Filling) (count float64, err error) {
	l.read = targets[l.target()].Float32
	if err := checkShares(l.read); err != nil {
		return 0, err
	}
	yes, no := l.graph.Data(l.yes), l.graph.Data(l.no)
	copy(yes, l.read)
	f.Blend.Apply(yes, l.classes)
	for i, y := range yes {
		if y != y {
			yes[i], no[i] = 0, 0
			continue
		}
		count++
		share, weight := float64(y)*(1-l.Smoothing)+l.Smoothing/2, 1.0
		if l.PositiveWeights != nil {
			weight = l.PositiveWeights[i%l.classes]
		}
		yes[i], no[i] = float32(share*weight), float32(1-share)
	}
	return count, nil
}

// Measure sums up the share of right answers, before any mixing.
func (l *binaryCrossEntropy) Measure(sums []float64) {
	right, known := countRight(l.graph.Data(l.answers), l.read)
	if known > 0 {
		sums[0] += float64(right) / float64(known) * float64(len(l.read)/l.classes)
	}
}

// Evaluation implements [Objective].
func (b BinaryCrossEntropy) Evaluation(Shapes) Evaluation {
	return &binaryCrossEntropyEvaluation{BinaryCrossEntropy: b}
}

type binaryCrossEntropyEvaluation struct {
	BinaryCrossEntropy
	known, right int
	loss         float64
}

func (e *binaryCrossEntropyEvaluation) Add(outputs Values, targets nn.Batch, _ int) error {
	y, z := targets[e.target()].Float32, outputs(e.output())
	if err := checkShares(y); err != nil {
		return err
	}
	right, known := countRight(z, y)
	e.right, e.known = e.right+right, e.known+known
	for i, share := range y {
		if share == share {
			e.loss += float64(share)*graph.Softplus(-float64(z[i])) + (1-float64(share))*graph.Softplus(float64(z[i]))
		}
	}
	return nil
}

func (e *binaryCrossEntropyEvaluation) Result() (loss float64, measures []float64) {
	n := float64(e.known)
	return e.loss / n, []float64{float64(e.right) / n}
}

// countRight counts the answers that are known, and those of them that the logits give: yes from 0 up.
func countRight(logits, targets []float32) (right, known int) {
	for i, y := range targets {
		if y != y {
			continue
		}
		known++
		if (logits[i] >= 0) == (y >= 0.5) {
			right++
		}
	}
	return right, known
}

func checkShares(targets []float32) error {
	for _, y := range targets {
		if !math.IsNaN(float64(y)) && !(y >= 0 && y <= 1) {
			return fmt.Errorf("a class applies to an example by %v: must be from 0 to 1", y)
		}
	}
	return nil
}

package objective

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// Discrimination is the cross-entropy of a discriminator that tells the domain of an example: what an adversarial
// adaptation has a network's features make as large as can be, through an [nn.GradientReversal] below the discriminator
// (Ganin et al., arXiv:1505.07818). With Certainty set, examples count by how sure the answers to them are (conditional
// adversarial networks with entropy conditioning, Long et al., arXiv:1705.10667); see [discrepancy.Certainties].
type Discrimination struct {
	Output string // the layer with the discriminator's two logits, or their softmax
	// Certainty is the layer with the logits of the classes, or their softmax; "": all examples count the same. No gradient
	// flows there.
	Certainty string
}

// Kind implements [Objective].
func (Discrimination) Kind() string { return "discrimination" }

func (d Discrimination) output() Output    { return Output{Layer: d.Output, Logits: true} }
func (d Discrimination) certainty() Output { return Output{Layer: d.Certainty, Logits: true} }

// Outputs implements [Objective].
func (d Discrimination) Outputs() []Output {
	if d.Certainty == "" || d.Certainty == d.Output {
		return []Output{d.output()}
	}
	return []Output{d.output(), d.certainty()}
}

// Targets implements [Objective].
func (Discrimination) Targets(Shapes) []Target { return []Target{domainTarget()} }

// Measures implements [Objective].
func (Discrimination) Measures() []Measure { return []Measure{{Accuracy, schedule.Falling}} }

// Check implements [Objective].
func (d Discrimination) Check(shape Shapes) error {
	for _, o := range d.Outputs() {
		if err := vector(o, shape, 2); err != nil {
			return err
		}
	}
	return nil
}

// Loss implements [Objective].
func (d Discrimination) Loss(in Place) Loss {
	l := &discrimination{inGraph: inGraph{graph: in.Graph, answers: in.Output(d.output()), mass: in.input("total", 1)}}
	l.width = l.answers.Shape()[1]
	l.truth = in.input(Domain, in.Batch, l.width)
	truth := l.truth
	if len(d.Outputs()) == 2 {
		truth = in.Graph.WeightRows(l.truth, in.Output(d.certainty()), func(weights []float64, logits []float32) {
			of := make([]int32, in.Batch)
			copy(weights, discrepancy.Certainties(discrepancy.Pick(logits, nil, len(logits)/in.Batch, of, 1)[0]))
		})
	}
	l.loss = in.Graph.CrossEntropy(l.answers, truth, l.mass)
	return l
}

// discrimination is the loss in a graph.
type discrimination struct {
	inGraph
	width int
	truth *graph.Node
	read  []int32
}

// Fill implements [Loss].
func (l *discrimination) Fill(targets nn.Batch, _ Filling) (float64, error) {
	l.read = targets[Domain].Int32
	if err := (CrossEntropy{}).check(l.read, l.width); err != nil {
		return 0, err
	}
	truth := l.graph.Data(l.truth)
	clear(truth)
	for i, d := range l.read {
		truth[i*l.width+int(d)] = 1
	}
	return float64(len(l.read)), nil
}

// Measure implements [Loss]: the share of the examples whose domain the discriminator tells.
func (l *discrimination) Measure(sums []float64) {
	correct, _ := countCorrect(l.graph.Data(l.answers), l.read)
	sums[0] += float64(correct)
}

// Evaluation implements [Objective]: it measures nothing.
func (Discrimination) Evaluation(Shapes) Evaluation { return unmeasuredAccuracy{} }

type unmeasuredAccuracy struct{ unmeasured }

func (unmeasuredAccuracy) Result() (float64, []float64) { return math.NaN(), []float64{math.NaN()} }

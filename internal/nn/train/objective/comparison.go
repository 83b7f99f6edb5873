package objective

import (
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// Teacher is the usual name of the target with a teacher's logits, one for each class.
const Teacher = "teacher"

// Agreement is the share of the examples whose greatest logit is that of the teacher's greatest one.
const Agreement = "agreement"

// comparison holds an output against what a teacher gives for the same examples. All sums are in float64.
type comparison interface {
	// take takes in the targets of so many examples and returns their mass.
	take(targets nn.Batch, rows int, blend Blend) (mass float64, err error)
	// sum is the sum over the examples of the loss; its gradient with respect to x is written to dx, unless that is nil.
	sum(dx []float64, x []float32) float64
	// measure adds to the sums of the measures, in their order.
	measure(sums []float64, x []float32)
}

// compared is a comparison in a graph.
type compared struct {
	inGraph
	comparison
	rows int
}

func newCompared(in Place, name string, of Output, c comparison) Loss {
	l := &compared{inGraph: inGraph{graph: in.Graph, answers: in.Output(of), mass: in.input("total", 1)}, comparison: c, rows: in.Batch}
	l.loss = in.Graph.Function(in.prefix+name, func(_ *kernel.Pool, values [][]float32, gradients [][]float64) (float64, error) {
		mass, gradient := float64(values[1][0]), gradients[0]
		loss := c.sum(gradient, values[0]) / mass
		for i := range gradient {
			gradient[i] /= mass
		}
		return loss, nil
	}, l.answers, l.inGraph.mass)
	return l
}

func (l *compared) Fill(targets nn.Batch, f Filling) (float64, error) {
	return l.take(targets, l.rows, f.Blend)
}

func (l *compared) Measure(sums []float64) { l.measure(sums, l.graph.Data(l.answers)) }

// comparedEvaluation measures without training.
type comparedEvaluation struct {
	comparison
	of       Output
	loss     float64
	mass     float64
	examples int
	sums     []float64
}

func newComparedEvaluation(of Output, measures int, c comparison) Evaluation {
	return &comparedEvaluation{comparison: c, of: of, sums: make([]float64, measures)}
}

func (e *comparedEvaluation) Add(outputs Values, targets nn.Batch, examples int) error {
	mass, err := e.take(targets, examples, Blend{})
	if err != nil {
		return err
	}
	x := outputs(e.of)
	e.loss += e.sum(nil, x)
	e.mass += mass
	e.examples += examples
	e.measure(e.sums, x)
	return nil
}

func (e *comparedEvaluation) Result() (loss float64, measures []float64) {
	for _, sum := range e.sums {
		measures = append(measures, sum/float64(e.examples))
	}
	return e.loss / e.mass, measures
}

// silent is what comparisons have that report nothing but the loss.
type silent struct{}

func (silent) measure([]float64, []float32) {}

// agreeing counts the examples whose greatest of so many numbers is at the same place in both.
func agreeing(x, y []float32, width int) (n float64) {
	for at := 0; at+width <= min(len(x), len(y)); at += width {
		if greatest(x[at:at+width]) == greatest(y[at:at+width]) {
			n++
		}
	}
	return n
}

// greatest is the place of the first of the greatest numbers.
func greatest(x []float32) int { return slices.Index(x, slices.Max(x)) }

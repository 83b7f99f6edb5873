package objective

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// Tasks is the loss of several tasks of one network, Σ weight·loss, whose weights a [Balance] may change in training. Of a
// batch, a task that no example has a target for does not count. An evaluation has the weights of the terms, whatever they have
// become in training, and leaves out tasks that no example has a target for, so that epochs can be compared.
type Tasks struct {
	Terms   Sum     // each with a name, and a weight that stays
	Balance Balance // nil: the weights stay
}

// Adaptive is an objective with numbers of its own, which training changes. A trainer keeps them, and hands them to each loss in
// [Filling].
type Adaptive interface {
	Objective
	// Own are the numbers that a training starts with; none if nothing is adapted.
	Own() []float64
}

// Adapting is the loss of an [Adaptive] objective in a graph.
type Adapting interface {
	Loss
	// Adapt changes the numbers by what a batch gave, after its run.
	Adapt(own []float64, by Adaption)
}

// Adaption is what numbers of an objective are changed by.
type Adaption struct {
	Rate float64 // learning rate of the step
	// Norms are those of the gradients that came through the probes of the training, see train.Options.
	Norms []float64
}

// weightMeasure is the measure, after the name of a task, of the weight that its loss has.
const weightMeasure = "weight"

// Kind implements [Objective].
func (Tasks) Kind() string { return "tasks" }

// Own implements [Adaptive].
func (t Tasks) Own() []float64 {
	if t.Balance == nil {
		return nil
	}
	return t.Balance.start(len(t.Terms))
}

// Outputs implements [Objective].
func (t Tasks) Outputs() []Output { return t.Terms.Outputs() }

// Targets implements [Objective].
func (t Tasks) Targets(shape Shapes) []Target { return t.Terms.Targets(shape) }

// Measures implements [Objective].
func (t Tasks) Measures() []Measure {
	out := t.Terms.Measures()
	for _, term := range t.Terms {
		out = append(out, Measure{term.Name + "." + weightMeasure, schedule.Falling})
	}
	return out
}

// Check implements [Objective].
func (t Tasks) Check(shape Shapes) error {
	for i, term := range t.Terms {
		if term.Name == "" {
			return fmt.Errorf("task %d has no name", i+1)
		}
	}
	if t.Balance != nil {
		if err := t.Balance.check(len(t.Terms)); err != nil {
			return err
		}
	}
	return t.Terms.Check(shape)
}

// Loss implements [Objective].
func (t Tasks) Loss(in Place) Loss {
	l := &tasksLoss{Tasks: t, current: make([]float64, len(t.Terms)), known: make([]bool, len(t.Terms))}
	weighted := slices.Clone(t.Terms)
	for i := range weighted {
		weighted[i].Weight = func(schedule.Position) float64 { return l.current[i] }
	}
	l.sum = weighted.Loss(in).(*sum)
	return l
}

// tasksLoss is the loss in a graph.
type tasksLoss struct {
	Tasks
	*sum
	current []float64 // weights in this step
	known   []bool    // tasks that an example of the batch has a target for
}

// Node implements [Loss].
func (l *tasksLoss) Node() *graph.Node { return l.sum.Node() }

// Fill implements [Loss].
func (l *tasksLoss) Fill(targets nn.Batch, f Filling) (float64, error) {
	for i, term := range l.Terms {
		l.current[i] = term.weight(f.At)
	}
	if l.Balance != nil && len(f.Own) > 0 {
		l.Balance.weights(f.Own, l.current)
	}
	mass, err := l.sum.Fill(targets, f)
	for i := range l.known {
		l.known[i] = l.sum.weights[i] > 0
	}
	return mass, err
}

// Measure implements [Loss].
func (l *tasksLoss) Measure(sums []float64) {
	n := len(sums) - len(l.current)
	l.sum.Measure(sums[:n])
	for i, w := range l.current {
		sums[n+i] += w * float64(l.rows)
	}
}

// Adapt implements [Adapting].
func (l *tasksLoss) Adapt(own []float64, by Adaption) {
	if l.Balance == nil {
		return
	}
	seen := make([]seen, len(l.losses))
	for i, term := range l.losses {
		seen[i].known, seen[i].loss = l.known[i], float64(l.sum.graph.Data(term.Node())[0])
		if i < len(by.Norms) {
			seen[i].norm = by.Norms[i]
		}
	}
	l.Balance.adapt(own, seen, by.Rate)
}

// Evaluation implements [Objective].
func (t Tasks) Evaluation(shape Shapes) Evaluation {
	return &tasksEvaluation{t, t.Terms.Evaluation(shape).(*sumEvaluation)}
}

type tasksEvaluation struct {
	Tasks
	*sumEvaluation
}

// Add implements [Evaluation].
func (e *tasksEvaluation) Add(outputs Values, targets nn.Batch, examples int) error {
	return e.sumEvaluation.Add(outputs, targets, examples)
}

// Result implements [Evaluation].
func (e *tasksEvaluation) Result() (loss float64, measures []float64) {
	end, some := schedule.Position{Epoch: 1, Epochs: 1}, false
	for i, term := range e.Terms {
		own, reported := e.sumEvaluation.terms[i].Result()
		if !math.IsNaN(own) {
			loss, some = loss+term.weight(end)*own, true
		}
		measures = append(append(measures, reported...), own)
	}
	for range e.Terms {
		measures = append(measures, math.NaN()) // what the weights have become is told by training alone
	}
	if !some {
		loss = math.NaN()
	}
	return loss, measures
}

package objective

import (
	"fmt"
	"slices"
)

// Judged is trained with one objective and evaluated with another, whose measures it reports: validation losses of trainings
// that differ in their objective can be compared.
type Judged struct {
	Objective           // of training; its first measures are those of By
	By        Objective // of evaluations
}

// Kind implements [Objective].
func (Judged) Kind() string { return "judged" }

// Outputs implements [Objective].
func (j Judged) Outputs() []Output { return j.both().Outputs() }

// Targets implements [Objective].
func (j Judged) Targets(shape Shapes) []Target { return j.both().Targets(shape) }

// Measures implements [Objective].
func (j Judged) Measures() []Measure { return j.By.Measures() }

// Check implements [Objective].
func (j Judged) Check(shape Shapes) error {
	if err := j.By.Check(shape); err != nil {
		return err
	}
	own, by := j.Objective.Measures(), j.By.Measures()
	if len(own) < len(by) || !slices.Equal(own[:len(by)], by) {
		return fmt.Errorf("%s reports %v, but %s is judged by %v", j.Objective.Kind(), own, j.By.Kind(), by)
	}
	return j.Objective.Check(shape)
}

// Loss implements [Objective].
func (j Judged) Loss(in Place) Loss {
	return judgedLoss{j.Objective.Loss(in), len(j.Objective.Measures())}
}

// judgedLoss reports the first of its measures.
type judgedLoss struct {
	Loss
	measures int
}

func (l judgedLoss) Measure(sums []float64) {
	all := make([]float64, l.measures)
	l.Loss.Measure(all)
	for i := range sums {
		sums[i] += all[i]
	}
}

// Evaluation implements [Objective].
func (j Judged) Evaluation(shape Shapes) Evaluation { return j.By.Evaluation(shape) }

// both lists what either reads.
func (j Judged) both() Sum { return Sum{{Objective: j.Objective}, {Objective: j.By}} }

package objective

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// Sum is Σ weight·loss. Each loss is the mean that it would be alone.
type Sum []Term

// Term is an objective of a [Sum].
type Term struct {
	// Name stands before those of the term's measures, such as "domain.accuracy"; the term reports its loss
	// besides, as "domain.loss". "": the measures keep their names, and the loss is not reported.
	Name      string
	Objective Objective
	// Weight gives the term's weight in a step, such as the Factor of a schedule; nil: 1.
	Weight func(schedule.Position) float64
	// TrainingOnly leaves the term out of evaluations: its measures are not numbers there. The others have the
	// weight there that they have at the end of the training, so that epochs can be compared.
	TrainingOnly bool
}

// Constant is a weight that stays.
func Constant(weight float64) func(schedule.Position) float64 {
	return func(schedule.Position) float64 { return weight }
}

func (t Term) weight(at schedule.Position) float64 {
	if t.Weight == nil {
		return 1
	}
	return t.Weight(at)
}

// Weighted is an objective that is a sum of terms.
type Weighted interface {
	Objective
	// Weights are those of the terms that have names, in a step.
	Weights(schedule.Position) map[string]float64
}

// Weights implements [Weighted].
func (s Sum) Weights(at schedule.Position) map[string]float64 {
	out := map[string]float64{}
	for _, t := range s {
		if t.Name != "" {
			out[t.Name] = t.weight(at)
		}
	}
	return out
}

// measures are those of the term in the sum.
func (t Term) measures() []Measure {
	own := slices.Clone(t.Objective.Measures())
	if t.Name == "" {
		return own
	}
	for i := range own {
		own[i].Name = t.Name + "." + own[i].Name
	}
	return append(own, Measure{t.Name + ".loss", schedule.Falling})
}

// Kind implements [Objective].
func (Sum) Kind() string { return "sum" }

// Outputs implements [Objective].
func (s Sum) Outputs() (out []Output) {
	for _, t := range s {
		for _, o := range t.Objective.Outputs() {
			if !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// Targets implements [Objective].
func (s Sum) Targets(shape Shapes) (out []Target) {
	for _, t := range s {
		for _, target := range t.Objective.Targets(shape) {
			if !slices.ContainsFunc(out, func(other Target) bool { return other.Name == target.Name }) {
				out = append(out, target)
			}
		}
	}
	return out
}

// Own implements [Adaptive]: the numbers of all terms that have any, one after the other.
func (s Sum) Own() (own []float64) {
	for _, t := range s {
		if adaptive, ok := t.Objective.(Adaptive); ok {
			own = append(own, adaptive.Own()...)
		}
	}
	return own
}

// Measures implements [Objective].
func (s Sum) Measures() (out []Measure) {
	for _, t := range s {
		out = append(out, t.measures()...)
	}
	return out
}

// Check implements [Objective].
func (s Sum) Check(shape Shapes) error {
	if len(s) == 0 {
		return errors.New("a sum of no objectives")
	}
	targets, measures := map[string]Target{}, map[string]bool{}
	for _, t := range s {
		if err := t.Objective.Check(shape); err != nil {
			return err
		}
		for _, target := range t.Objective.Targets(shape) {
			before, again := targets[target.Name]
			if again && (before.Element != target.Element || !slices.Equal(before.Shape, target.Shape)) {
				return fmt.Errorf("target %q is %v %v for one objective and %v %v for another", target.Name, before.Element, before.Shape, target.Element, target.Shape)
			}
			targets[target.Name] = target
		}
		for _, m := range t.measures() {
			if measures[m.Name] {
				return fmt.Errorf("two objectives of a sum report %q: name them", m.Name)
			}
			measures[m.Name] = true
		}
	}
	return nil
}

// Loss implements [Objective].
func (s Sum) Loss(in Place) Loss {
	l := &sum{Sum: s, graph: in.Graph, rows: in.Batch, weights: make([]float64, len(s))}
	var nodes []*graph.Node
	for i, t := range s {
		inner := in
		inner.prefix = fmt.Sprintf("%s%d/", in.prefix, i)
		l.losses = append(l.losses, t.Objective.Loss(inner))
		own := 0
		if adaptive, ok := t.Objective.(Adaptive); ok {
			own = len(adaptive.Own())
		}
		l.own = append(l.own, own)
		nodes = append(nodes, l.losses[i].Node())
	}
	l.factors = in.input("factors", len(s))
	l.loss = in.Graph.Combine(l.factors, nodes...)
	return l
}

// sum is the loss in a graph. Each term is divided by its own mass in the batch; the mass of the sum is the
// number of examples.
type sum struct {
	Sum
	graph         *graph.Graph
	rows          int
	losses        []Loss
	own           []int     // how many numbers each term has of its own
	weights       []float64 // in this step; 0 for a term that no example counts for
	factors, loss *graph.Node
}

func (l *sum) Node() *graph.Node { return l.loss }

func (l *sum) Kept() (nodes []*graph.Node) {
	for _, term := range l.losses {
		nodes = append(append(nodes, term.Kept()...), term.Node())
	}
	return nodes
}

func (l *sum) Fill(targets nn.Batch, f Filling) (float64, error) {
	own := f.Own
	for i, term := range l.losses {
		f.Own = nil
		if n := l.own[i]; n > 0 && n <= len(own) {
			f.Own, own = own[:n], own[n:]
		}
		mass, err := term.Fill(targets, f)
		if err != nil {
			return 0, err
		}
		l.weights[i] = l.Sum[i].weight(f.At)
		if w := l.weights[i]; math.IsNaN(w) || math.IsInf(w, 0) {
			return 0, fmt.Errorf("the weight of objective %d of a sum is %v", i+1, w)
		}
		if mass == 0 {
			l.weights[i], mass = 0, 1
		}
		term.DivideBy(mass)
	}
	return float64(l.rows), nil
}

func (l *sum) DivideBy(mass float64) {
	for i, w := range l.weights {
		l.graph.Data(l.factors)[i] = float32(w * float64(l.rows) / mass)
	}
}

func (l *sum) Measure(sums []float64) {
	for i, term := range l.losses {
		n := len(l.Sum[i].measures())
		own := sums[:n]
		if l.Sum[i].Name != "" {
			own[n-1] += float64(l.graph.Data(term.Node())[0]) * float64(l.rows)
			own = own[:n-1]
		}
		term.Measure(own)
		sums = sums[n:]
	}
}

// Adapt implements [Adapting].
func (l *sum) Adapt(own []float64, by Adaption) {
	for i, term := range l.losses {
		n := l.own[i]
		if adapting, ok := term.(Adapting); ok && n > 0 && l.weights[i] != 0 {
			adapting.Adapt(own[:n], by)
		}
		own = own[n:]
	}
}

// Evaluation implements [Objective].
func (s Sum) Evaluation(shape Shapes) Evaluation {
	e := &sumEvaluation{Sum: s}
	for _, t := range s {
		var term Evaluation
		if !t.TrainingOnly {
			term = t.Objective.Evaluation(shape)
		}
		e.terms = append(e.terms, term)
	}
	return e
}

type sumEvaluation struct {
	Sum
	terms []Evaluation // nil for those that are left out
}

func (e *sumEvaluation) Add(outputs Values, targets nn.Batch, examples int) error {
	for _, term := range e.terms {
		if term == nil {
			continue
		}
		if err := term.Add(outputs, targets, examples); err != nil {
			return err
		}
	}
	return nil
}

func (e *sumEvaluation) Result() (loss float64, measures []float64) {
	end := schedule.Position{Epoch: 1, Epochs: 1}
	for i, t := range e.Sum {
		if e.terms[i] == nil {
			for range t.measures() {
				measures = append(measures, math.NaN())
			}
			continue
		}
		own, reported := e.terms[i].Result()
		loss += t.weight(end) * own
		measures = append(measures, reported...)
		if t.Name != "" {
			measures = append(measures, own)
		}
	}
	return loss, measures
}

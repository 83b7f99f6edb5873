package method

import (
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
)

// Judge tells how good a model is by the evidence, without labels of the target.
type Judge struct {
	Validators []Validator
	Scores     func(domain.Evidence) ([]domain.Score, error) // in the order of Validators
}

// Validator is a number that a judge gives.
type Validator struct {
	Name   string
	Higher bool // models with higher values are better
}

// OracleAccuracy is the measure of the accuracy on the target's test rows. It is reported, and decides nothing.
const OracleAccuracy = "oracle_accuracy"

// Judged is an objective whose evaluation besides judges the network. Rows are told apart by their domain, as
// [rows.Domains] has them. The measures of the judge are not numbers in training.
type Judged struct {
	objective.Objective
	Judge    Judge
	Answers  string // the layer with the probabilities
	Features string // the layer that the last one takes; "" for none
	Width    int    // of the features
}

func (j Judged) answers() objective.Output  { return objective.Output{Layer: j.Answers} }
func (j Judged) features() objective.Output { return objective.Output{Layer: j.Features} }

// Kind implements [objective.Objective].
func (Judged) Kind() string { return "judged" }

// Weights implements [objective.Weighted].
func (j Judged) Weights(at schedule.Position) map[string]float64 {
	if of, ok := j.Objective.(objective.Weighted); ok {
		return of.Weights(at)
	}
	return nil
}

// Outputs implements [objective.Objective].
func (j Judged) Outputs() []objective.Output {
	out := slices.Clone(j.Objective.Outputs())
	wanted := []objective.Output{j.answers()}
	if j.Features != "" {
		wanted = append(wanted, j.features())
	}
	for _, o := range wanted {
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// Targets implements [objective.Objective].
func (j Judged) Targets(shape objective.Shapes) []objective.Target {
	out := slices.Clone(j.Objective.Targets(shape))
	for _, name := range []string{objective.Class, objective.Domain, rows.OracleTarget} {
		if !slices.ContainsFunc(out, func(t objective.Target) bool { return t.Name == name }) {
			out = append(out, objective.Target{Name: name, Element: nn.Int32})
		}
	}
	return out
}

// Measures implements [objective.Objective].
func (j Judged) Measures() []objective.Measure {
	out := slices.Clone(j.Objective.Measures())
	for _, v := range j.Judge.Validators {
		direction := schedule.Falling
		if v.Higher {
			direction = schedule.Rising
		}
		out = append(out, objective.Measure{Name: v.Name, Direction: direction})
	}
	return append(out, objective.Measure{Name: OracleAccuracy, Direction: schedule.Rising})
}

// Loss implements [objective.Objective]: that of the objective itself.
func (j Judged) Loss(in objective.Place) objective.Loss {
	return &judgedLoss{Loss: j.Objective.Loss(in), own: len(j.Objective.Measures()), rows: in.Batch}
}

type judgedLoss struct {
	objective.Loss
	own, rows int
}

// Measure implements [objective.Loss].
func (l *judgedLoss) Measure(sums []float64) {
	l.Loss.Measure(sums[:l.own])
	for i := l.own; i < len(sums); i++ {
		sums[i] = math.NaN()
	}
}

// Evaluation implements [objective.Objective].
func (j Judged) Evaluation(shape objective.Shapes) objective.Evaluation {
	e := &judging{Judged: j, Evaluation: j.Objective.Evaluation(shape), classes: shape(j.answers()).Size()}
	if j.Features != "" {
		e.width = shape(j.features()).Size()
	}
	e.evidence.Classes = e.classes
	e.evidence.SourceFeatures.Width, e.evidence.TargetFeatures.Width, e.evidence.TrainingFeatures.Width = e.width, e.width, e.width
	return e
}

// judging collects the evidence of a network.
type judging struct {
	Judged
	objective.Evaluation
	classes, width int
	evidence       domain.Evidence
	right, known   int // test rows
}

// Add implements [objective.Evaluation].
func (e *judging) Add(outputs objective.Values, targets nn.Batch, examples int) error {
	if err := e.Evaluation.Add(outputs, targets, examples); err != nil {
		return err
	}
	p := outputs(e.answers())
	var features []float32
	if e.width > 0 {
		features = outputs(e.features())
	}
	row := func(values []float32, width, i int) []float32 { return values[i*width : (i+1)*width] }
	ev := &e.evidence
	for i, of := range targets[objective.Domain].Int32 {
		answer, x := row(p, e.classes, i), row(features, e.width, i)
		switch of {
		case objective.SourceDomain:
			ev.SourceProbabilities, ev.SourceFeatures.Values = append(ev.SourceProbabilities, answer...), append(ev.SourceFeatures.Values, x...)
			ev.SourceClasses = append(ev.SourceClasses, int(targets[objective.Class].Int32[i]))
		case objective.TargetDomain:
			ev.TargetProbabilities, ev.TargetFeatures.Values = append(ev.TargetProbabilities, answer...), append(ev.TargetFeatures.Values, x...)
		case rows.Sampled:
			ev.TrainingFeatures.Values = append(ev.TrainingFeatures.Values, x...)
		case rows.HeldOut:
			if truth := targets[rows.OracleTarget].Int32[i]; truth != objective.Unknown {
				e.known++
				if MostProbable(answer) == int(truth) {
					e.right++
				}
			}
		}
	}
	return nil
}

// MostProbable is the class of the greatest probability, the first of equal ones.
func MostProbable(p []float32) int {
	best := 0
	for c, x := range p {
		if x > p[best] {
			best = c
		}
	}
	return best
}

// Result implements [objective.Evaluation].
func (e *judging) Result() (loss float64, measures []float64) {
	loss, measures = e.Evaluation.Result()
	scores, err := e.Judge.Scores(e.evidence)
	for i := range e.Judge.Validators {
		value := math.NaN()
		if err == nil && i < len(scores) {
			value = scores[i].Value
		}
		measures = append(measures, value)
	}
	oracle := math.NaN()
	if e.known > 0 {
		oracle = float64(e.right) / float64(e.known)
	}
	return loss, append(measures, oracle)
}

package transfer

import (
	"context"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// fit fits a head that converges. Its history has a row for each candidate that was tried, which is named in the column of the
// phase.
func (s *Setup) fit(ctx context.Context, task *pipeline.Task, d *rows.Data) (*Outcome, error) {
	kind, ok := shallow.Find(s.Head.Kind)
	if !ok {
		return nil, fmt.Errorf("there is no head %q", s.Head.Kind)
	}
	if task.Input(ModelPort) != nil {
		return nil, pipeline.ParamErrorHint("head", "leave the input model out", "%s starts from nothing", kind.Name)
	}
	training, ok := d.Training.Examples.(*train.Table)
	if !ok {
		return nil, fmt.Errorf("%s takes features", kind.Name)
	}
	validation := shallow.Rows{Width: training.Width}
	if table, ok := d.Validation.Examples.(*train.Table); ok && d.Validation.Len() > 0 {
		validation.Values, validation.Classes = table.Values, table.Classes
	}
	o := shallow.Options{Settings: s.Head.Settings, Standardise: s.Standardise, Threads: task.Threads, Groups: d.Training.Pictures(d.Training.Spread(math.MaxInt))}
	fitted, steps, err := kind.Fit(ctx, shallow.Rows{Values: training.Values, Width: training.Width, Classes: training.Classes}, validation, len(d.Classes), o)
	if err != nil {
		return nil, err
	}
	net, weights, err := fitted.Network(d.Shape, len(d.Classes))
	if err != nil {
		return nil, err
	}
	model := newModel(task, d, net, weights, nil, selectionOf(steps, validation.Len()))
	if err := refer(ctx, task, model, d); err != nil {
		return nil, err
	}
	out := &Outcome{Model: model, Last: model}
	for i, step := range steps {
		out.History = append(out.History, record.TrainingEpoch{
			Phase: step.String(), Epoch: int32(i + 1), Loss: math.NaN(), Accuracy: math.NaN(),
			ValidationLoss: step.Loss, ValidationAccuracy: step.Accuracy, LearningRate: math.NaN(), Kept: step.Chosen,
		})
		if step.Chosen {
			task.Log("%s", tellChosen(kind.Name, step, len(steps), validation.Len()))
		}
	}
	return out, nil
}

// tellChosen tells in a line what was chosen, and how good it is.
func tellChosen(kind string, step shallow.Step, tried, validation int) string {
	line, by := kind, "the validation rows"
	if validation == 0 {
		by = "cross-validation on the training rows"
	}
	if step.Setting != "" {
		line += fmt.Sprintf(": %s of %d tried", step, tried)
	}
	if !math.IsNaN(step.Accuracy) {
		line += ", by " + by + ":"
		if !math.IsNaN(step.Loss) {
			line += fmt.Sprintf(" log loss %.4f,", step.Loss)
		}
		line += fmt.Sprintf(" accuracy %.1f %%", 100*step.Accuracy)
	}
	return line
}

// fitLogistic fits logistic regression to features of the training rows at these positions. If there are no validation rows,
// the copies of a picture are in one fold of the cross-validation.
func fitLogistic(ctx context.Context, d *rows.Data, positions []int, training, validation shallow.Rows, o shallow.Options) (*shallow.Linear, []shallow.Step, error) {
	o.Groups = d.Training.Pictures(positions)
	return shallow.Logistic(ctx, training, validation, len(d.Classes), o)
}

// penaltyTrials are the steps of a path as rows of a table.
func penaltyTrials(steps []shallow.Step) (out []record.PenaltyTrial) {
	for _, s := range steps {
		out = append(out, record.PenaltyTrial{Penalty: s.Value, Loss: s.Loss, Accuracy: s.Accuracy, Iterations: int64(s.Iterations), Chosen: s.Chosen})
	}
	return out
}

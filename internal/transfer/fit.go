package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// fit fits a head that converges. Its history has a row for each penalty that was tried; the penalty stands in the column of
// the phase.
func (s *Setup) fit(ctx context.Context, task *pipeline.Task, d *rows.Data) (*Outcome, error) {
	if task.Input(ModelPort) != nil {
		return nil, pipeline.ParamErrorHint("head", "leave the input model out", "logistic regression starts from nothing")
	}
	training, ok := d.Training.Examples.(*train.Table)
	if !ok {
		return nil, errors.New("logistic regression takes features")
	}
	validation := shallow.Rows{Width: training.Width}
	if table, ok := d.Validation.Examples.(*train.Table); ok && d.Validation.Len() > 0 {
		validation.Values, validation.Classes = table.Values, table.Classes
	}
	fitted, steps, err := fitLogistic(ctx, d, d.Training.Spread(math.MaxInt), shallow.Rows{Values: training.Values, Width: training.Width, Classes: training.Classes}, validation,
		shallow.Options{Penalties: s.Head.Penalties, Standardise: s.Standardise, Threads: task.Threads})
	if err != nil {
		return nil, err
	}
	net, err := s.Head.Network(d.Shape, len(d.Classes), false)
	if err != nil {
		return nil, err
	}
	weights := net.Initialise(0)
	copy(weights["logits.weight"].Data, fitted.Weights)
	copy(weights["logits.bias"].Data, fitted.Bias)
	if err := net.Check(weights); err != nil {
		return nil, err
	}
	out := &Outcome{Network: net, Weights: weights, Last: weights, Classes: d.Classes, Metadata: d.Metadata}
	for i, step := range steps {
		out.History = append(out.History, record.TrainingEpoch{
			Phase: fmt.Sprintf("penalty %.3g", step.Penalty), Epoch: int32(i + 1), Loss: math.NaN(), Accuracy: math.NaN(),
			ValidationLoss: step.Loss, ValidationAccuracy: step.Accuracy, LearningRate: math.NaN(), Kept: step.Chosen,
		})
		if step.Chosen {
			by := "the validation rows"
			if validation.Len() == 0 {
				by = "cross-validation on the training rows"
			}
			task.Log("penalty %.3g of %d tried, chosen by %s: log loss %.4f, accuracy %.1f %%", step.Penalty, len(steps), by, step.Loss, 100*step.Accuracy)
		}
	}
	return out, nil
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
		out = append(out, record.PenaltyTrial{Penalty: s.Penalty, Loss: s.Loss, Accuracy: s.Accuracy, Iterations: int64(s.Iterations), Chosen: s.Chosen})
	}
	return out
}

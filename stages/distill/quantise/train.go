package quantise

import (
	"context"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/simulate"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/pipeline"
)

// foldedRecipe is what decides the network that training begins with, beside the model.
type foldedRecipe struct {
	Equalise bool `yaml:"equalise"`
}

// train lets the network learn to compute by the scheme, if that is asked for.
func (q *work) train(ctx context.Context, scheme *quantise.Scheme) error {
	if q.training == nil {
		return nil
	}
	q.task.Log("training with weights and values rounded")
	part := pipeline.Part{
		Name: "folded", Numerics: kernel.Numerics(), Recipe: foldedRecipe{q.Equalise},
		Inputs: map[string]pipeline.Input{modelPort: q.task.Input(modelPort)},
	}
	folded, err := q.task.Part(ctx, part, func(_ context.Context, task *pipeline.Task) error {
		rec, err := q.model.Record()
		if err != nil {
			return err
		}
		return task.WriteRecord(modelPort, rec)
	})
	if err != nil {
		return err
	}
	own := *q.task
	own.Inputs = map[string][]pipeline.Input{transfer.ModelPort: {folded[modelPort]}, transfer.DataPort: q.task.Inputs[dataPort]}
	outcome, err := q.training.Rounding(scheme).Train(ctx, &own)
	if err != nil {
		return fmt.Errorf("training with rounding: %w", err)
	}
	for _, e := range outcome.History {
		kept := ""
		if e.Kept {
			kept = ", kept"
		}
		q.task.Log("epoch %d: loss %.4f, on the validation rows in int8 %.4f, accuracy %.1f %%%s", e.Epoch, e.Loss, e.ValidationLoss, 100*e.ValidationAccuracy, kept)
	}
	q.model.Weights = outcome.Model.Weights.Select(q.model.Network)
	q.simulation, err = simulate.New(q.model.Network, q.model.Weights, q.pool)
	return err
}

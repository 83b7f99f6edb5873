package finetune

import (
	"context"

	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct{ transfer.Params }

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "finetune",
		Summary: "train a classifier on features, or a whole network on pictures",
		Doc: "On features it trains a head. On pictures it trains a backbone and a head, phase after phase, as the strategy says: " +
			"which layers learn, at which rate. What lies below the lowest layer that learns is computed once for each picture, kept in " +
			"the cache, and every epoch starts from there. Training sees the rows of split train, with their augmented copies, and " +
			"validates on split val after each epoch. Each phase hands on the weights of the epoch with the best validation loss, or " +
			"accuracy if early_stopping monitors that; the output last has those at the end. With start: logistic, the head begins with the " +
			"logistic regression on the frozen backbone's features, which is kept where no epoch of the first phase is better. Rows of split test are never looked at. " +
			"Each phase is cached by itself, and goes on from its last checkpoint after an interruption, with the same result. Heads on features that are fitted to their end, without a rate and epochs: " + shallow.Describe() + ".",
		Example: `net:
  uses: finetune
  from: images
  with: {backbone: efficientnet_lite0, strategy: progressive, early_stopping: {patience: 3}}`,
		Version: 7,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: transfer.DataPort, Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images}, Doc: "rows with features or pictures, classes and splits"},
			{Name: transfer.ModelPort, Kind: pipeline.Model, Optional: true, Doc: "what an earlier finetune stage trained, to go on with in the place of a new head and a backbone"},
			{Name: transfer.SourcePort, Kind: pipeline.Images, Optional: true, Doc: "pictures of the task that the backbone was trained for, labelled with its classes, to measure what is forgotten"},
		},
		Outputs: []pipeline.Port{
			{Name: transfer.ModelPort, Kind: pipeline.Model, Doc: "the trained network, with the weights that restore asks for"},
			{Name: "last", Kind: pipeline.Model, Doc: "the same with the weights of the last epoch"},
			{Name: "history", Kind: pipeline.Metrics, Doc: "one row an epoch: phase, epoch, loss, val_loss, accuracy, val_accuracy, learning_rate, kept"},
			{Name: "phases", Kind: pipeline.Metrics, Doc: "one row a phase and block of the network: whether it learned and at which rate, where its epochs started"},
			{Name: "diagnostics", Kind: pipeline.Metrics, Doc: "diagnostics of how well the transfer went: overfitting, drift of the features, forgetting"},
		},
	}, Params{transfer.Defaults()}, build)
}

// stage is the kind with its parameters filled in.
type stage struct{ *transfer.Setup }

func build(p Params) (pipeline.Stage, error) {
	setup, err := transfer.New(p.Params)
	if err != nil {
		return nil, err
	}
	return &stage{setup}, nil
}

// Run implements pipeline.WholeTable.
func (s *stage) Run(ctx context.Context, task *pipeline.Task) error {
	outcome, err := s.Train(ctx, task)
	if err != nil {
		return err
	}
	return write(task, outcome)
}

package finetune

import (
	"context"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
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
		Summary: "train a classifier on features, or a whole network on images or texts",
		Doc: "On features it trains a head. On images it trains a backbone and a head in phases; the strategy says which layers each " +
			"phase trains, at which learning rate; on texts likewise a pre-trained text encoder (BERT, MiniLM), from the folder that backbone names. " +
			"The activations below the lowest trained layer are computed once for each image or text and cached, and every epoch starts from them. Training uses the rows of split train, with their augmented copies, and " +
			"validates on split val after each epoch; it never uses split test. Each phase hands on the weights of the epoch with " +
			"the best validation loss, or accuracy if early_stopping monitors that; the output last has those of the last epoch. " +
			"With start: logistic, the head starts from the logistic regression on the frozen backbone's features, which is kept if " +
			"no epoch of the first phase is better. Each phase is cached separately, and resumes from its last checkpoint after an " +
			"interruption, with the same result. Classical classifiers as heads on features, without learning rate and epochs: " + shallow.Describe() + ".",
		Example: `net:
  uses: finetune
  from: images
  with: {backbone: efficientnet_lite0, strategy: progressive, early_stopping: {patience: 3}}`,
		Version: 13,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: transfer.DataPort, Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images, pipeline.Text}, Doc: "rows with features, images or tokens, classes and splits"},
			{Name: transfer.ModelPort, Kind: pipeline.Model, Optional: true, Doc: "the model of an earlier finetune stage, to continue from instead of a backbone and a new head"},
			{Name: transfer.SourcePort, Kind: pipeline.Images, Optional: true, Doc: "images of the task that the backbone was trained for, labelled with its classes, to measure forgetting"},
		},
		Outputs: []pipeline.Port{
			{Name: transfer.ModelPort, Kind: pipeline.Model, Doc: "the trained network, with the weights selected by restore"},
			{Name: "last", Kind: pipeline.Model, Doc: "the same with the weights of the last epoch"},
			{Name: twinsPort, Kind: pipeline.Model, Doc: "with several tasks: each of them trained by itself with the same settings, to measure beside model what learning together gained; empty with one task"},
			{Name: "history", Kind: pipeline.Metrics, Doc: "one row per epoch: phase, epoch, loss, val_loss, accuracy, val_accuracy, learning_rate, kept"},
			{Name: "tasks", Kind: pipeline.Metrics, Doc: "with several tasks: loss, accuracy or error and weight of each, one row per epoch and measure"},
			{Name: "phases", Kind: pipeline.Metrics, Doc: "one row per phase and block of the network: whether it was trained and at which rate, where epochs started"},
			{Name: "diagnostics", Kind: pipeline.Metrics, Doc: "overfitting, drift of the features, forgetting"},
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

// twinsPort is the output with each of several tasks trained by itself.
const twinsPort = "twins"

// Check implements pipeline.Stage.
func (s *stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	traits, err := s.Setup.Check(inputs)
	if err == nil {
		if _, several := s.Target.Several(); !several {
			traits[transfer.ModelPort][record.TasksKey] = classifier.TasksTrait([]string{string(s.Target)})
		}
		traits[twinsPort] = traits[transfer.ModelPort]
	}
	return traits, err
}

// Run implements pipeline.WholeTable.
func (s *stage) Run(ctx context.Context, task *pipeline.Task) error {
	outcome, err := s.Train(ctx, task)
	if err != nil {
		return err
	}
	return write(task, outcome)
}

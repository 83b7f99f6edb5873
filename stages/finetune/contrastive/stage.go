package contrastive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	By              string        `yaml:"by" required:"true" doc:"the column of both tables that tells which rows belong together: those with equal values"`
	SharedKeys      bool          `yaml:"shared_keys" doc:"let values of by stand in several splits, such as classes: what is then measured is of new rows of values that were learned"`
	Loss            string        `yaml:"loss" enum:"infonce,siglip" doc:"infonce, a softmax over the batch in both directions (CLIP); or siglip, a sigmoid for each two rows; the temperature is learned"`
	Width           int           `yaml:"width" min:"2" max:"4096" doc:"numbers of the space that both sides are brought into"`
	Hidden          []int         `yaml:"hidden" min:"1" max:"65536" doc:"widths of hidden layers of each side's projection, with ReLU; none: the projection is linear"`
	Dropout         float64       `yaml:"dropout" min:"0" max:"0.99" doc:"dropout of the features before the projection and of hidden layers"`
	Epochs          int           `yaml:"epochs" min:"1" doc:"passes over the training pairs: each row of the side that has more of a key stands in an epoch once"`
	BatchSize       int           `yaml:"batch_size" min:"2" max:"65536" doc:"pairs per batch; each is told from all others of its batch"`
	LearningRate    float64       `yaml:"learning_rate" above:"0" doc:"of AdamW; falls to 0 as a cosine"`
	WeightDecay     float64       `yaml:"weight_decay" min:"0" doc:"decoupled decay of the projections' weights"`
	Restore         string        `yaml:"restore" enum:"best,last" doc:"the weights that are kept: of the epoch with the best validation loss, or of the last"`
	CheckpointEvery time.Duration `yaml:"checkpoint_every" recipe:"-" doc:"maximum amount of work lost if the process dies"`
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "contrastive",
		Summary: "bring two tables of features into one space, such as pictures and their captions",
		Doc: "Trains a projection of each table, so that rows with the same value of `by` are near each other in one space, and far from all " +
			"others: with frozen encoders below, as CLIP and LiT do on features that are computed once. Several rows may have one value, such as five captions of a " +
			"picture; they are never told from each other. Rows that should be found must be new: divide both tables so that no value stands in two splits " +
			"(`split: {classes: …}` or `{by: COLUMN}`). The stage embed brings rows into the space, and retrieval measures how well they find each other.",
		Example: `space:
  uses: contrastive
  from: {first: picture_features, second: text_features}
  with: {by: object}
`,
		Version: 3,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: firstPort, Kind: pipeline.Features, Doc: "features of one side, such as of pictures"},
			{Name: secondPort, Kind: pipeline.Features, Doc: "features of the other side, such as of texts"},
		},
		Outputs: []pipeline.Port{
			{Name: firstPort, Kind: pipeline.Model, Doc: "the projection of the first table, for the stage embed"},
			{Name: secondPort, Kind: pipeline.Model, Doc: "the projection of the second table"},
			{Name: historyPort, Kind: pipeline.Metrics, Doc: "one row per epoch; accuracy is the share of rows, of both sides, that are nearest to their own pair: in the batch, and of all validation pairs"},
		},
	}, Params{
		Loss: infoNCE, Width: 128, Epochs: 100, BatchSize: 1024, LearningRate: 1e-3, WeightDecay: 0.01, Restore: restoreBest, CheckpointEvery: 5 * time.Minute,
	}, func(p Params) (pipeline.Stage, error) {
		if p.By == "" {
			return nil, pipeline.ParamErrorHint("by", "such as object", "name the column that both tables have")
		}
		return stage{p}, nil
	})
}

const (
	firstPort   = "first"
	secondPort  = "second"
	historyPort = "history"

	infoNCE     = "infonce"
	sigLIP      = "siglip"
	restoreBest = "best"
)

type stage struct{ Params }

// Check implements pipeline.Stage.
func (stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	out := map[string]pipeline.Traits{}
	for _, port := range []string{firstPort, secondPort} {
		out[port] = pipeline.Traits{}
		for _, in := range inputs[port] {
			if made, ok := in[record.ExtractionKey]; ok {
				out[port][record.ExtractionKey] = made
			}
		}
	}
	return out, nil
}

// Demands implements pipeline.Demanding.
func (stage) Demands() []pipeline.Demand {
	return []pipeline.Demand{
		{Port: firstPort, Split: record.Train, Why: "they are what is learned from"},
		{Port: secondPort, Split: record.Train, Why: "they are what is learned from"},
	}
}

// Numerics implements pipeline.Numeric.
func (stage) Numerics() string { return frozen.Float32.Numerics() }

// Run implements pipeline.WholeTable.
func (s stage) Run(ctx context.Context, task *pipeline.Task) error {
	p, err := s.read(ctx, task)
	if err != nil {
		return err
	}
	training, validation := p.pairsOf(record.Train), p.pairsOf(record.Validation)
	if len(training.keys) < 2 {
		return fmt.Errorf("%d values of %s have rows of split %s in both tables: at least two are needed to tell them from each other", len(training.keys), s.By, record.Train)
	}
	epoch := training.epoch(task.Seed, 0, s.BatchSize)
	task.Log("%d pairs of %d values of %s in an epoch, in %d batches; %d values for validation", count(epoch), len(training.keys), s.By, len(epoch), len(validation.keys))
	if len(validation.keys) == 0 {
		task.Log("no pair of split %s for validation: all %d epochs are trained, and the weights of the last are kept", record.Validation, s.Epochs)
	}
	net, weights, err := s.network(p, task.Seed)
	if err != nil {
		return err
	}
	trainer, err := s.train(ctx, task, net, weights, training, validation)
	if err != nil {
		return err
	}
	defer trainer.Close()
	chosen, kept := trainer.Last(), s.Epochs
	if s.Restore == restoreBest && len(validation.keys) > 0 {
		chosen, kept = trainer.Best()
	}
	var rows []record.TrainingEpoch
	for _, e := range trainer.History() {
		rows = append(rows, record.TrainingEpoch{
			Phase: "projections", Epoch: int32(e.Number), Loss: e.Loss, ValidationLoss: e.ValidationLoss, Accuracy: e.Measures.Of(objective.Accuracy),
			ValidationAccuracy: e.ValidationMeasures.Of(objective.Accuracy), LearningRate: e.Rate, Kept: e.Number == kept,
		})
	}
	errs := []error{task.WriteRecord(historyPort, record.FromRows(rows))}
	for _, of := range p.sides() {
		errs = append(errs, s.writeModel(task, of, net, chosen))
	}
	return errors.Join(errs...)
}

// train trains the projections to their end, from a checkpoint if there is one.
func (s stage) train(ctx context.Context, task *pipeline.Task, net *nn.Network, weights nn.Weights, training, validation *pairs) (_ *train.Trainer, err error) {
	o := train.Options{
		Epochs: s.Epochs, BatchSize: s.BatchSize, Seed: task.Seed, Threads: task.Threads,
		Batches: func(epoch int) [][]int { return training.epoch(task.Seed, epoch, s.BatchSize) },
		Rule:    optimizer.DefaultAdamW(), Rate: s.LearningRate, Decay: s.WeightDecay, Schedule: schedule.Cosine(0),
		Freeze:    func(layer string) bool { return standardises(layer) },
		Objective: objective.Pairs{First: projected(firstPort), Second: projected(secondPort), Sigmoid: s.Loss == sigLIP},
	}
	var trainer *train.Trainer
	saved := time.Now()
	save := func() error {
		state, err := trainer.Save()
		if err == nil {
			err = task.Checkpoint.Save(state)
		}
		saved = time.Now()
		return err
	}
	o.AfterStep = func(schedule.Position) error {
		if time.Since(saved) < s.CheckpointEvery {
			return nil
		}
		return save()
	}
	if trainer, err = train.New(net, weights, o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, trainer.Close())
		}
	}()
	if state, ok, err := task.Checkpoint.Load(); err != nil {
		return nil, err
	} else if ok {
		if err := trainer.Restore(state); err != nil {
			task.Log("training starts anew: %v", err)
		} else {
			task.Log("training resumes after epoch %d", len(trainer.History()))
		}
	}
	err = trainer.Run(ctx, training, validation.each(), func(e train.Epoch) error {
		task.Progress(int64(e.Number), int64(s.Epochs), "epoch")
		if trainer.Done() || time.Since(saved) < min(s.CheckpointEvery, checkpointLeast) {
			return nil
		}
		return save()
	})
	return trainer, err
}

// checkpointLeast is the least time between checkpoints at the ends of epochs.
const checkpointLeast = 5 * time.Second

// writeModel writes the projection of a side.
func (s stage) writeModel(task *pipeline.Task, of *side, net *nn.Network, weights nn.Weights) error {
	alone, err := net.Cut(projected(of.port))
	if err != nil {
		return err
	}
	names := make([]string, s.Width)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	c := classifier.New(alone, weights.Select(alone), record.RegressionHead(record.Feature, names), of.transforms)
	c.Description.Origins = backbone.AddOrigins(nil, of.transforms)
	c.Description.Recipe = task.Recipe
	c.Metadata = of.metadata
	rec, err := c.Record()
	if err != nil {
		return err
	}
	return task.WriteRecord(of.port, rec)
}

func count(batches [][]int) (n int) {
	for _, b := range batches {
		n += len(b)
	}
	return n
}

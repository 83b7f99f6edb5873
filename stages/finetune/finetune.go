package finetune

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	Head           Head          `yaml:"head" doc:"tutorial (dense 256, batch-norm, relu, dropout 0.5, dense 128, batch-norm, relu, dropout 0.3), linear, or a mapping"`
	Target         string        `yaml:"target" doc:"column with the classes"`
	Epochs         int           `yaml:"epochs" min:"1" doc:"passes over the training rows, at most"`
	BatchSize      int           `yaml:"batch_size" min:"1" doc:"rows a step"`
	Optimiser      string        `yaml:"optimiser" enum:"adam,adamw,sgd,rmsprop" doc:"how gradients become steps, with the settings PyTorch has by default"`
	Momentum       *float64      `yaml:"momentum" min:"0" max:"0.9999" doc:"of sgd (0.9 if not given) and rmsprop (0)"`
	Nesterov       bool          `yaml:"nesterov" doc:"sgd looks ahead along its momentum"`
	LearningRate   float64       `yaml:"learning_rate" above:"0" doc:"of the first step, before schedule and warm-up"`
	L2             float64       `yaml:"l2" min:"0" doc:"adds l2 · Σ w² over the dense layers' weights to what is minimised; biases and norms are left out, and so is the loss in the history"`
	WeightDecay    *float64      `yaml:"weight_decay" min:"0" doc:"of adamw, apart from the gradient; 0.01 if not given"`
	ClipNorm       float64       `yaml:"clip_norm" min:"0" doc:"scales gradients down to this norm, all together; 0: never"`
	Schedule       Schedule      `yaml:"schedule" doc:"of the learning rate: constant, cosine, one_cycle, plateau, or a mapping"`
	WarmUp         int           `yaml:"warm_up" min:"0" doc:"epochs over which the learning rate rises from 0"`
	EarlyStopping  EarlyStopping `yaml:"early_stopping" doc:"none, or a mapping: ends training when validation no longer improves"`
	ClassWeights   ClassWeights  `yaml:"class_weights" doc:"none, balanced (each class weighs the same in total), or a factor for some classes by name"`
	LabelSmoothing float64       `yaml:"label_smoothing" min:"0" max:"0.99" doc:"share of each training label that is spread evenly over all classes"`
	Restore        string        `yaml:"restore" enum:"best,last" doc:"the weights that the output model has; the output last always has the last"`
	Standardise    bool          `yaml:"standardise" doc:"shift and scale each feature to mean 0 and variance 1 over the training rows; becomes a layer of the model"`
}

// Names of the optimisers.
const (
	adam    = "adam"
	adamw   = "adamw"
	sgd     = "sgd"
	rmsprop = "rmsprop"
)

// headPhase is the name of the only phase of a training on features.
const headPhase = "head"

// restoreBest is a value of Params.Restore.
const restoreBest = "best"

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "finetune",
		Summary: "train a classifier on features",
		Doc: "Trains a head on the rows of split train, with their augmented copies, and validates on split val after each epoch. " +
			"The model keeps the weights of the epoch with the best validation loss, or accuracy if early_stopping monitors that; " +
			"the output last has those at the end. Rows of split test are never looked at. Training goes on from its last " +
			"checkpoint after an interruption, with the same result.",
		Example: `head:
  uses: finetune
  from: features
  with: {head: tutorial, epochs: 30, early_stopping: {patience: 5}}`,
		Version: 2,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: "data", Kind: pipeline.Features, Doc: "rows with features, classes and splits"},
		},
		Outputs: []pipeline.Port{
			{Name: "model", Kind: pipeline.Model, Doc: "the trained head, with the weights that restore asks for"},
			{Name: "last", Kind: pipeline.Model, Doc: "the same with the weights of the last epoch"},
			{Name: "history", Kind: pipeline.Metrics, Doc: "one row an epoch: phase, epoch, loss, val_loss, accuracy, val_accuracy, learning_rate, kept"},
		},
	}, Params{
		Head:          tutorialHead(),
		Target:        record.Label,
		Epochs:        30,
		BatchSize:     32,
		Optimiser:     adam,
		LearningRate:  1e-3,
		Schedule:      Schedule{Kind: constant},
		EarlyStopping: EarlyStopping{Monitor: string(train.ValidationLoss)},
		ClassWeights:  ClassWeights{Rule: none},
		Restore:       restoreBest,
	}, build)
}

func build(p Params) (pipeline.Stage, error) {
	var errs []error
	refuse := func(wrong bool, path, hint, message string) {
		if wrong {
			errs = append(errs, pipeline.ParamErrorHint(path, hint, "%s", message))
		}
	}
	refuse(p.Momentum != nil && p.Optimiser != sgd && p.Optimiser != rmsprop, "momentum", "leave it out, or use sgd or rmsprop", p.Optimiser+" has no momentum")
	refuse(p.Nesterov && p.Optimiser != sgd, "nesterov", "", p.Optimiser+" has no Nesterov variant")
	refuse(p.Nesterov && p.Momentum != nil && *p.Momentum == 0, "nesterov", "", "needs a momentum above 0")
	refuse(p.WeightDecay != nil && p.Optimiser != adamw, "weight_decay", "use l2, or adamw", "only adamw decays weights apart from the gradient")
	refuse(p.L2 > 0 && p.Optimiser == adamw, "l2", "use weight_decay", "adamw decays weights apart from the gradient")
	refuse(p.BatchSize == 1 && p.Head.BatchNorm && len(p.Head.Hidden) > 0, "batch_size", "use at least 2, or batch_norm: false", "batch-norm learns nothing from single rows")
	refuse(p.WarmUp >= p.Epochs, "warm_up", "", fmt.Sprintf("must be shorter than the training of %d epochs", p.Epochs))
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return stage{Params: p, checkpointEvery: 5 * time.Second}, nil
}

type stage struct {
	Params
	checkpointEvery time.Duration // decides how much is lost by a kill, not what comes out
}

// carried are the facts about features that the models trained on them keep.
func carried() []string { return []string{record.PreprocessingKey, record.ExtractionKey} }

// Check implements pipeline.Stage.
func (stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	model := pipeline.Traits{}
	for _, data := range inputs["data"] {
		for _, key := range carried() {
			if value, ok := data[key]; ok {
				model[key] = value
			}
		}
	}
	return map[string]pipeline.Traits{"model": model, "last": model}, nil
}

// Run implements pipeline.WholeTable.
func (s stage) Run(ctx context.Context, task *pipeline.Task) error {
	data, err := s.read(ctx, task)
	if err != nil {
		return err
	}
	net, err := s.Head.network(data.shape, len(data.classes), s.Standardise)
	if err != nil {
		return err
	}
	weights := net.Initialise(task.Seed)
	if s.Standardise {
		data.standardise(net, weights)
	}
	trainer, err := s.train(ctx, task, data, weights)
	if err != nil {
		return err
	}
	return errors.Join(s.write(task, net, weights, data, trainer), trainer.Close())
}

// train trains the head to the end, from a checkpoint if there is one. weights
// may hold more than the head's.
func (s stage) train(ctx context.Context, task *pipeline.Task, data *data, weights nn.Weights) (*train.Trainer, error) {
	options, err := s.options(task, data)
	if err != nil {
		return nil, err
	}
	net, err := s.Head.network(data.shape, len(data.classes), false)
	if err != nil {
		return nil, err
	}
	trainer, err := train.New(net, weights.Select(net), options)
	if err != nil {
		return nil, err
	}
	state, ok, err := task.Checkpoint.Load()
	if err != nil {
		return nil, errors.Join(err, trainer.Close())
	}
	if ok {
		if err := trainer.Restore(state); err != nil {
			task.Log("training starts anew: %v", err)
		} else {
			task.Log("training goes on after epoch %d", len(trainer.History()))
		}
	}
	saved := time.Now()
	err = trainer.Run(ctx, data.training, data.validation, func(e train.Epoch) error {
		task.Progress(int64(e.Number), int64(s.Epochs), "epoch")
		if trainer.Done() || time.Since(saved) < s.checkpointEvery {
			return nil
		}
		saved = time.Now()
		state, err := trainer.Save()
		if err != nil {
			return err
		}
		return task.Checkpoint.Save(state)
	})
	if err != nil {
		return nil, errors.Join(err, trainer.Close())
	}
	return trainer, nil
}

// write writes all outputs. net and weights are those of the whole model, to
// which the trained head's weights are added.
func (s stage) write(task *pipeline.Task, net *nn.Network, weights nn.Weights, data *data, trainer *train.Trainer) error {
	last, kept := trainer.Last(), len(trainer.History())
	chosen := last
	if s.Restore == restoreBest {
		chosen, kept = trainer.Best()
	}
	s.summarise(task, trainer, kept)
	for _, output := range []struct {
		port    string
		weights nn.Weights
	}{{"model", chosen}, {"last", last}} {
		for name, tensor := range output.weights {
			weights[name] = tensor
		}
		c := classifier.Classifier{Network: net, Weights: weights, Classes: data.classes, Metadata: data.metadata}
		model, err := c.Model()
		if err != nil {
			return err
		}
		rec, err := model.Record()
		if err != nil {
			return err
		}
		if err := write(task, output.port, rec); err != nil {
			return err
		}
	}
	var rows []record.TrainingEpoch
	for _, e := range trainer.History() {
		rows = append(rows, record.TrainingEpoch{
			Phase: headPhase,
			Epoch: int32(e.Number), Loss: e.Loss, ValidationLoss: e.ValidationLoss, Accuracy: e.Accuracy,
			ValidationAccuracy: e.ValidationAccuracy, LearningRate: e.Rate, Kept: e.Number == kept,
		})
	}
	return write(task, "history", record.FromRows(rows))
}

// summarise tells in a line how the training went.
func (s stage) summarise(task *pipeline.Task, trainer *train.Trainer, kept int) {
	history := trainer.History()
	e := history[kept-1]
	what := fmt.Sprintf("loss %.4f, accuracy %.1f %%", e.Loss, 100*e.Accuracy)
	if e.ValidationLoss == e.ValidationLoss { // a number
		what = fmt.Sprintf("validation loss %.4f, accuracy %.1f %%", e.ValidationLoss, 100*e.ValidationAccuracy)
	}
	ended := ""
	if len(history) < s.Epochs {
		ended = fmt.Sprintf(" (stopped early, of %d)", s.Epochs)
	}
	task.Log("%d epochs%s; kept epoch %d: %s", len(history), ended, kept, what)
}

// write writes one record to an output port, and releases it.
func write(task *pipeline.Task, port string, rec arrow.Record) error {
	defer rec.Release()
	w, err := task.Output(port, rec.Schema())
	if err != nil {
		return err
	}
	return errors.Join(w.Write(rec), w.Close())
}

package finetune

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	Backbone     string               `yaml:"backbone" doc:"on pictures: the network below the head, a name from 'tlpipe models list'"`
	Weights      zoo.WeightsReference `yaml:"weights" recipe:"-" doc:"of the backbone, as for the stage extract: a weight set, random, the path of a file, or an address with a digest"`
	RandomSeed   uint64               `yaml:"random_seed" doc:"draws random weights of the backbone; nothing else depends on it"`
	Strategy     Strategy             `yaml:"strategy" doc:"on pictures: feature_extraction (if not given), partial, full, progressive, fine_tune, layerwise, adapters, linear_then_full, a mapping with one of these as kind, or a list of phases"`
	Head         Head                 `yaml:"head" doc:"tutorial (dense 256, batch-norm, relu, dropout 0.5, dense 128, batch-norm, relu, dropout 0.3), linear, or a mapping"`
	Target       string               `yaml:"target" doc:"column with the classes"`
	Epochs       *int                 `yaml:"epochs" min:"1" doc:"passes over the training rows, at most: 30 on features, as the strategy says on pictures if not given"`
	LearningRate *float64             `yaml:"learning_rate" above:"0" doc:"of the first step, before schedule and warm-up: 1e-3 on features, as the strategy says on pictures if not given"`
	Learning
	Copies          int           `yaml:"copies" min:"0" doc:"0: every epoch takes all augmented copies of a picture; K: an epoch takes one, the next epoch the next, of the first K (the picture itself is the first)"`
	Standardise     bool          `yaml:"standardise" doc:"on features: shift and scale each to mean 0 and variance 1 over the training rows; becomes a layer of the model"`
	PrefixCache     Size          `yaml:"prefix_cache" doc:"how much the activations below the lowest layer that learns may take in the cache, all phases together; 0 to compute them in every epoch"`
	PrefixPrecision string        `yaml:"prefix_precision" enum:"bfloat16,float32" doc:"how cached activations rest"`
	CheckpointEvery time.Duration `yaml:"checkpoint_every" recipe:"-" doc:"how much work, at most, is lost if the process dies"`
}

// Names of ports.
const (
	dataPort  = "data"
	modelPort = "model"
)

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "finetune",
		Summary: "train a classifier on features, or a whole network on pictures",
		Doc: "On features it trains a head. On pictures it trains a backbone and a head, phase after phase, as the strategy says: " +
			"which layers learn, at which rate. What lies below the lowest layer that learns is computed once for each picture, kept in " +
			"the cache, and every epoch starts from there. Training sees the rows of split train, with their augmented copies, and " +
			"validates on split val after each epoch. Each phase hands on the weights of the epoch with the best validation loss, or " +
			"accuracy if early_stopping monitors that; the output last has those at the end. Rows of split test are never looked at. " +
			"Each phase is cached by itself, and goes on from its last checkpoint after an interruption, with the same result.",
		Example: `net:
  uses: finetune
  from: images
  with: {backbone: efficientnet_lite0, strategy: progressive, early_stopping: {patience: 3}}`,
		Version: 3,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: dataPort, Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images}, Doc: "rows with features or pictures, classes and splits"},
			{Name: modelPort, Kind: pipeline.Model, Optional: true, Doc: "what an earlier finetune stage trained, to go on with in the place of a new head and a backbone"},
			{Name: sourcePort, Kind: pipeline.Images, Optional: true, Doc: "pictures of the task that the backbone was trained for, labelled with its classes, to measure what is forgotten"},
		},
		Outputs: []pipeline.Port{
			{Name: modelPort, Kind: pipeline.Model, Doc: "the trained network, with the weights that restore asks for"},
			{Name: "last", Kind: pipeline.Model, Doc: "the same with the weights of the last epoch"},
			{Name: "history", Kind: pipeline.Metrics, Doc: "one row an epoch: phase, epoch, loss, val_loss, accuracy, val_accuracy, learning_rate, kept"},
			{Name: "phases", Kind: pipeline.Metrics, Doc: "one row a phase and block of the network: whether it learned and at which rate, where its epochs started"},
			{Name: "diagnostics", Kind: pipeline.Metrics, Doc: "diagnostics of how well the transfer went: overfitting, drift of the features, forgetting"},
		},
	}, Params{
		Weights:         zoo.DefaultWeights,
		Head:            tutorialHead(),
		Target:          record.Label,
		Learning:        defaultLearning(),
		PrefixCache:     20e9,
		PrefixPrecision: prefixBFloat16,
		CheckpointEvery: 5 * time.Minute,
	}, build)
}

// stage is the kind with its parameters filled in.
type stage struct {
	Params
	backbone *backbone            // nil without one
	prepared record.Preprocessing // of the pictures, once Check knows

	// Least time between checkpoints at the ends of epochs: decides how much is lost by a kill, not
	// what comes out.
	checkpointEpoch time.Duration
	checkpointShare time.Duration // and how many times as long as writing one
}

func build(p Params) (pipeline.Stage, error) {
	s := &stage{Params: p, checkpointEpoch: 5 * time.Second, checkpointShare: 30}
	var errs []error
	refuse := func(wrong bool, path, hint, format string, args ...any) {
		if wrong {
			errs = append(errs, pipeline.ParamErrorHint(path, hint, format, args...))
		}
	}
	if p.Backbone != "" {
		var err error
		if s.backbone, err = chooseBackbone(p.Backbone, p.Weights); err != nil {
			errs = append(errs, err)
		}
		refuse(p.Standardise, "standardise", "leave it out", "is for features: pictures are normalised as the weights want them")
	}
	refuse(p.BatchSize == 1 && p.Head.BatchNorm && len(p.Head.Hidden) > 0, "batch_size", "use at least 2, or batch_norm: false", "batch-norm learns nothing from single rows")
	several := len(p.Strategy.Phases) > 1
	refuse(several && p.Epochs != nil, "epochs", "say those of each phase in strategy", "the strategy has %d phases", len(p.Strategy.Phases))
	refuse(several && p.LearningRate != nil, "learning_rate", "say that of each phase in strategy", "the strategy has %d phases", len(p.Strategy.Phases))
	errs = append(errs, p.Learning.check("", s.plan(s.backbone != nil)[0].Epochs)...)
	for i, phase := range p.Strategy.Phases {
		if phase.Optimiser != nil || phase.WarmUp != nil {
			errs = append(errs, phase.learning(p.Learning).check(s.at(i), phase.Epochs)...)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// plan lists the phases of a training on pictures, or on features.
func (s *stage) plan(pictures bool) []Phase {
	phases := append([]Phase(nil), s.Strategy.Phases...)
	if !pictures {
		phases = []Phase{Phase{Name: "head", Epochs: 30}.complete(0)}
	} else if len(phases) == 0 {
		word, _ := spelling{Kind: featureExtraction}.expand()
		phases = word.Phases
	}
	if s.Epochs != nil {
		phases[0].Epochs = *s.Epochs
	}
	if s.LearningRate != nil {
		phases[0].LearningRate = *s.LearningRate
	}
	return phases
}

// at is what the path of a parameter of phase i begins with.
func (s *stage) at(i int) string {
	if s.Strategy.Kind != "" || len(s.Strategy.Phases) == 0 {
		return "strategy."
	}
	return fmt.Sprintf("strategy[%d].", i)
}

// Locate implements pipeline.Located.
func (s *stage) Locate(dir string) {
	if s.backbone != nil {
		s.backbone.weights.Locate(dir)
	}
}

// Identity implements pipeline.Identified.
func (s *stage) Identity() (map[string]string, error) {
	if s.backbone == nil {
		return nil, nil
	}
	return s.backbone.weights.Identity()
}

// Notes implements pipeline.Noted.
func (s *stage) Notes() []string {
	if note := train.PrecisionNote(s.Learning.precision()); note != "" {
		return []string{note}
	}
	return nil
}

// carried are the facts about data that the models trained on it keep.
func carried() []string { return []string{record.PreprocessingKey, record.ExtractionKey} }

// Check implements pipeline.Stage.
func (s *stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	model := pipeline.Traits{}
	for _, data := range inputs[dataPort] {
		for _, key := range carried() {
			if value, ok := data[key]; ok {
				model[key] = value
			}
		}
	}
	_, features := model[record.ExtractionKey]
	_, prepared := model[record.PreprocessingKey]
	continues := len(inputs[modelPort]) > 0
	switch {
	case continues && s.backbone != nil:
		return nil, pipeline.ParamErrorHint("backbone", "leave it out", "the network is that of the model it goes on with")
	case features && s.backbone != nil:
		return nil, pipeline.ParamErrorHint("backbone", "leave it out, or give the stage pictures", "the data are features already")
	case features && len(s.Strategy.Phases) > 0:
		return nil, pipeline.ParamErrorHint("strategy", "leave it out, or give the stage pictures and a backbone", "on features there is only a head to train")
	case prepared && !features && !continues && s.backbone == nil:
		return nil, pipeline.ParamErrorHint("backbone", "say which network stands below the head, such as backbone: efficientnet_lite0", "is needed to train on pictures")
	}
	for _, earlier := range inputs[modelPort] {
		if _, onFeatures := earlier[record.ExtractionKey]; prepared && onFeatures != features {
			return nil, errors.New("the model is of another kind than the data: a head goes on with features, a whole network with pictures")
		}
	}
	if s.backbone != nil {
		if err := s.checkPictures(model[record.PreprocessingKey]); err != nil {
			return nil, err
		}
	}
	for _, source := range inputs[sourcePort] {
		if err := s.checkSource(source[record.PreprocessingKey], model[record.PreprocessingKey]); err != nil {
			return nil, err
		}
	}
	return map[string]pipeline.Traits{modelPort: model, "last": model}, nil
}

// checkPictures refuses pictures that were not prepared for the backbone, and phases that name layers
// that it does not have.
func (s *stage) checkPictures(prepared string) error {
	p, err := s.backbone.weights.Preprocessing()
	if err != nil {
		return pipeline.ParamError("weights", "%v", err)
	}
	if prepared == "" {
		return fmt.Errorf("it is not known how the pictures were prepared; %s needs pictures prepared for it: say `for: %s` in the preprocess stage", s.backbone.Name, p.For)
	}
	if p, err = record.ParsePreprocessing(prepared); err != nil {
		return err
	}
	s.prepared = p
	if err := s.backbone.weights.CheckPixels(p); err != nil {
		return err
	}
	trunk, err := s.backbone.network(nn.Shape{p.Height, p.Width, 3})
	if err != nil {
		return err
	}
	net, err := s.Head.upon(trunk, 2)
	if err != nil {
		return err
	}
	var errs []error
	for i, phase := range s.plan(true) {
		if _, err := phase.selects(net, s.at(i)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// checkSource refuses pictures of the source task that there is no classifier for, or that were not
// prepared like those of the data.
func (s *stage) checkSource(source, data string) error {
	if s.backbone == nil || s.backbone.weights.Classes() == nil {
		return errors.New("the input source is for backbones with weights whose classes are known: a weight set of the backbone's")
	}
	if source != data {
		return errors.New("the pictures of the input source were not prepared like those of the data")
	}
	return nil
}

// Run implements pipeline.WholeTable.
func (s *stage) Run(ctx context.Context, task *pipeline.Task) (err error) {
	data, err := s.read(ctx, task)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.close()) }()
	t, err := s.newTraining(ctx, task, data)
	if err != nil {
		return err
	}
	if err := t.run(ctx); err != nil {
		return err
	}
	diagnostics, err := t.diagnostics(ctx)
	if err != nil {
		return err
	}
	return t.write(diagnostics)
}

// SweepRates is the learning-rate range test: it trains phase number phase, from 1, with the weights
// that the training starts with, at rates that rise from step to step. It looks at the task's inputs
// and writes nothing.
func (s *stage) SweepRates(ctx context.Context, task *pipeline.Task, phase int, sweep train.Sweep) (_ *train.RateCurve, err error) {
	data, err := s.read(ctx, task)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, data.close()) }()
	t, err := s.newTraining(ctx, task, data)
	if err != nil {
		return nil, err
	}
	if phase < 1 || phase > len(t.phases) {
		return nil, fmt.Errorf("there is no phase %d: the training has %d", phase, len(t.phases))
	}
	return train.RateSweep(ctx, t.net, t.weights, t.options(task, phase-1), data.training, sweep)
}

// onPictures tells whether a table holds pictures, and not features.
func onPictures(schema *arrow.Schema) bool {
	return len(schema.FieldIndices(record.Image)) > 0 && len(schema.FieldIndices(record.Feature)) == 0
}

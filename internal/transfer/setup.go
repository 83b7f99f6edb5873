package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Params are the parameters of a training.
type Params struct {
	Preset       strategy.Preset      `yaml:"preset" enum:"default,tutorial" doc:"which values strategies and unset parameters take: default, those chosen in docs/defaults.md; tutorial, those of common tutorials"`
	Backbone     zoo.Name             `yaml:"backbone" doc:"on images: the network below the head: a name from 'tlpipe models list'; or one spelled out, which learns from random weights: {layers: [{conv: 16, kernel: 3}, relu, {max_pool: 2}, {dense: 64}, relu]}, tutorial_teacher or tutorial_student; on texts: the folder of a pre-trained text encoder, as a path with a slash or {encoder: FOLDER, pooling: cls, dropout: 0.1}, or layers that begin with {embedding: 100} or {vectors: builtin}"`
	Weights      zoo.WeightsReference `yaml:"weights" recipe:"-" doc:"weights of the backbone, as for the stage extract: a weight set, random, the path of a file, or a URL with a digest"`
	RandomSeed   uint64               `yaml:"random_seed" doc:"seed of random weights of the backbone; affects nothing else"`
	Strategy     strategy.Strategy    `yaml:"strategy" doc:"on images and texts: feature_extraction (the default; full in distill and in train of prune and quantise), partial, full, progressive, fine_tune, layerwise, adapters, linear_then_full, a mapping with one of these as kind, or a list of phases"`
	Head         head.Head            `yaml:"head" doc:"tutorial (dense 256, batch-norm, relu, dropout 0.5, dense 128, batch-norm, relu, dropout 0.3), linear, on features also a classical classifier (logistic, …, see above), or a mapping; linear on images if not given"`
	Start        head.Start           `yaml:"start" doc:"on images and texts: initial weights of the last layer of the head: zero (the default); random (the default on a network that is spelled out for images or has recurrent layers, whose other weights are random too); or logistic: the logistic regression that head: logistic fits on the frozen backbone's features of the training rows, its penalty chosen on the validation rows; the first phase keeps it if no epoch is better on them"`
	Target       Target               `yaml:"target" doc:"column to predict: a class; a list of classes, any of which may apply; or numbers. label: the target of the preprocess stage, if that sets one. Of finetune also several tasks, each with a head: {kind: label, colour: hue, age: {regression: age}}, or {tasks: {…}, balance: fixed (the default), uncertainty or gradient_norm, weights: {kind: 2}, alpha: 1.5, twins: false}; rows may lack some of them"`
	Objective    Objective            `yaml:"objective" doc:"what is made smaller, of rows with one class: cross_entropy (the default), or of metric learning, which trains an embedding to search by and to compare new classes with: supervised_contrastive, triplet, prototypical, arcface, cosface, or a mapping such as {kind: triplet, margin: 0.2, width: 128, per_class: 4}; the stage embed computes it"`
	Epochs       *int                 `yaml:"epochs" min:"1" doc:"maximum number of passes over the training rows; if not given, 30 on features, as the strategy says on images"`
	LearningRate *strategy.Rate       `yaml:"learning_rate" doc:"before schedule and warm-up; if not given, 1e-3 on features, as the strategy says on images; auto: chosen by a range test before each phase (its valley, as fastai's lr_find)"`
	strategy.Learning
	Copies          int           `yaml:"copies" min:"0" doc:"0: every epoch uses all augmented copies of an image; K: each epoch uses one of the first K in turn (the image itself is the first)"`
	Standardise     bool          `yaml:"standardise" doc:"on features: standardise each to mean 0 and variance 1 over the training rows; becomes a layer of the model"`
	PrefixCache     prefix.Size   `yaml:"prefix_cache" doc:"maximum size of the cached activations below the lowest trained layer, all phases together; 0 to compute them in every epoch"`
	PrefixPrecision string        `yaml:"prefix_precision" enum:"bfloat16,float32" doc:"type in which cached activations are stored"`
	CheckpointEvery time.Duration `yaml:"checkpoint_every" recipe:"-" doc:"maximum amount of work lost if the process dies"`
}

// Defaults are the parameters where a user gives none, of a head on features or of a training on
// pictures.
func Defaults() Params { return defaultsIn(strategy.Default, false) }

func defaultsIn(preset strategy.Preset, pictures bool) Params {
	p := Params{
		Preset:          preset,
		Weights:         zoo.DefaultWeights,
		Head:            head.Tutorial(),
		Start:           head.StartAtZero(),
		Target:          record.Label,
		Learning:        strategy.LearningIn(preset, pictures),
		PrefixCache:     20e9,
		PrefixPrecision: prefix.BFloat16,
		CheckpointEvery: 5 * time.Minute,
	}
	if preset != strategy.Tutorial && pictures {
		p.Head = head.Linear()
	}
	if preset == strategy.Encoders {
		p.Preset = strategy.Default // which means these for encoders
	}
	return p
}

// DecodeParam implements params.Decoder: what is not given is as the preset has it, for pictures if
// there is a backbone or a strategy.
func (p *Params) DecodeParam(d *params.Decoding, node *yaml.Node) {
	type plain Params
	p.Begin(node, false)
	for _, key := range []string{"twins", "balance", "alpha"} {
		if value := given(node, key); value != nil {
			node = without(node, key)
			d.Errorf(value, "target: {tasks: {…}, "+key+": "+value.Value+"}", "%s stands in target, beside tasks", key)
		}
	}
	d.Into(node, (*plain)(p))
	p.Complete(d, node, "")
}

// Begin sets what a mapping of parameters does not say, before it is decoded into a struct that has these parameters. The rows are
// pictures if it is so said, or if there is a backbone or a strategy.
func (p *Params) Begin(node *yaml.Node, pictures bool) {
	preset := strategy.Default
	if word := given(node, "preset"); word != nil && word.Value == string(strategy.Tutorial) {
		preset = strategy.Tutorial
	}
	if named := given(node, "backbone"); named != nil && preset == strategy.Default && zoo.NamesTextEncoder(named) {
		preset = strategy.Encoders
	}
	*p = defaultsIn(preset, pictures || given(node, "backbone") != nil || given(node, "strategy") != nil)
}

// presetFor is what is left to the preset, for the backbone.
func (p *Params) presetFor() strategy.Preset {
	if _, ok := p.Backbone.TextEncoder(); ok && p.Preset == strategy.Default {
		return strategy.Encoders
	}
	return p.Preset
}

// Complete gives the strategy its phases, after the mapping was decoded. usual is the strategy of a backbone of the zoo where none
// is given; "": feature extraction.
func (p *Params) Complete(d *params.Decoding, node *yaml.Node, usual string) {
	if given(node, "strategy") == nil {
		switch {
		case p.Backbone.SpelledOut():
			p.Strategy = strategy.FromScratch()
		case usual != "":
			p.Strategy = strategy.Named(usual)
		}
	}
	if word := given(node, "weights"); word != nil && p.Backbone.SpelledOut() && p.Weights == zoo.DefaultWeights {
		d.At("weights", func() {
			d.Errorf(word, "leave it out, or say random", "a network that is spelled out has random weights alone")
		})
	}
	if given(node, "start") == nil && p.Backbone.SpelledOut() && (!p.Backbone.OnTokens() || p.Backbone.Recurrent()) {
		p.Start = head.StartAtRandom()
	}
	made, err := p.Strategy.In(p.presetFor())
	if err != nil && p.Preset == strategy.Tutorial { // in the other, decoding it has told
		d.At("strategy", func() { d.Errorf(given(node, "strategy"), "", "%v", err) })
	}
	if p.Strategy.Kind != "" && given(node, "batch_size") != nil {
		made = made.WithBatches()
	}
	p.Strategy = made
}

// KeepingZeros returns the training in which weights that are 0 at the start stay so.
func (s *Setup) KeepingZeros() *Setup {
	out := *s
	out.zeros = true
	return &out
}

// Rounding returns the training of a folded network that will compute with bytes by a scheme, and does so in training and
// validation: quantisation-aware training. What it begins with is kept if no epoch is better.
func (s *Setup) Rounding(scheme *quantise.Scheme) *Setup {
	out := *s
	out.scheme = scheme
	return &out
}

// Further decodes the parameters of a training that goes on with an input model, as part of another stage's: usual is the strategy where
// none is given.
func (p *Params) Further(d *params.Decoding, node *yaml.Node, usual strategy.Strategy) {
	p.Begin(node, true)
	type plain Params
	d.Into(node, (*plain)(p))
	if p.Strategy.Kind == "" && len(p.Strategy.Phases) == 0 {
		p.Strategy = usual
	}
	p.Complete(d, node, "")
	if p.Backbone != "" {
		d.At("backbone", func() {
			d.Errorf(params.Locate(node, "backbone"), "leave it out", "the network is that of the input model")
		})
	}
}

// NewWithin is [New] of parameters that stand under a key of another stage's, which learns one task, as errors say.
func NewWithin(stage, key string, p Params) (*Setup, error) {
	s, err := New(p)
	return s, beneath(key, errors.Join(err, p.Target.One(stage)))
}

// beneath is an error of parameters in a mapping.
func beneath(key string, err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, beneath(key, e))
		}
		return errors.Join(out...)
	}
	var wrong *params.Error
	if errors.As(err, &wrong) {
		own := *wrong
		own.Path = key + "." + own.Path
		return &own
	}
	return err
}

// without is a mapping without one of its keys.
func without(node *yaml.Node, key string) *yaml.Node {
	out := *node
	out.Content = nil
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value != key {
			out.Content = append(out.Content, node.Content[i], node.Content[i+1])
		}
	}
	return &out
}

// given is the value of a key of a mapping; nil if it has none.
func given(node *yaml.Node, key string) *yaml.Node {
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				return node.Content[i+1]
			}
		}
	}
	return nil
}

// Names of the input ports of a stage that trains.
const (
	DataPort   = "data"   // rows with features or images, classes and splits
	ModelPort  = "model"  // what is gone on with; optional
	SourcePort = "source" // pictures of the task that the backbone was trained for; optional
)

// Setup is a training whose parameters have been checked.
type Setup struct {
	Params
	backbone *backbone            // nil without one
	guidance *Guidance            // by teachers; nil without any
	zeros    bool                 // weights that are 0 stay so
	scheme   *quantise.Scheme     // by which the network computes with bytes; nil: it does not
	prepared record.Preprocessing // of the pictures, once Check knows
	tokens   record.Tokenisation  // of the texts for an encoder, once Check knows

	adaptation *Adaptation // nil: one domain

	dir   string // of the pipeline
	words *wordSource

	// CheckpointLeast is the least time between checkpoints at the ends of epochs, and CheckpointShare
	// how many times as long as writing one that is, at least. They decide how much is lost by a kill,
	// not what comes out.
	CheckpointLeast time.Duration
	CheckpointShare time.Duration
}

// New checks parameters and resolves the backbone.
func New(p Params) (*Setup, error) {
	s := &Setup{Params: p, words: &wordSource{}, CheckpointLeast: 5 * time.Second, CheckpointShare: 30}
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
		const unmixed = "leave it out, or train a head on the vectors of encode, which can be mixed"
		refuse(s.textual() && p.MixUp > 0, "mixup", unmixed, "tokens of texts are not mixed")
		refuse(s.textual() && p.CutMix > 0, "cutmix", "leave it out", "tokens of texts are not mixed")
	}
	refuse(p.BatchSize == 1 && p.Head.BatchNorm && len(p.Head.Hidden) > 0, "batch_size", "use at least 2, or batch_norm: false", "batch-norm learns nothing from single rows")
	if p.Head.Converges() {
		refuse(p.Backbone != "" || len(p.Strategy.Phases) > 0, "head", "extract features first, or take head: linear", "%s is for features", p.Head.Kind)
		refuse(p.Epochs != nil, "epochs", "leave it out", "%s is fitted to its end: it has no epochs", p.Head.Kind)
		refuse(p.LearningRate != nil, "learning_rate", "leave it out", "%s has no learning rate", p.Head.Kind)
		refuse(p.Learning.EarlyStopping.Patience > 0, "early_stopping", "leave it out", "%s is fitted to its end", p.Head.Kind)
	}
	if p.Start.Converged() {
		refuse(p.Backbone.SpelledOut(), "start", "leave it out", "a network that is spelled out has random weights, whose features tell little")
		refuse(p.Backbone == "", "start", "leave it out; on features, head: logistic fits this classifier", "logistic is for a backbone with a new head, on images or texts")
		refuse(p.Backbone != "" && len(p.Head.Hidden) > 0, "start", "take head: linear", "a head with hidden layers cannot start from logistic regression, which has none")
	}
	errs = append(errs, p.Objective.check(p)...)
	refuse(p.Start.Drawn() && p.Backbone == "", "start", "leave it out", "random is for a backbone with a new head, on pictures")
	several := len(p.Strategy.Phases) > 1
	refuse(several && p.Epochs != nil, "epochs", "say those of each phase in strategy", "the strategy has %d phases", len(p.Strategy.Phases))
	refuse(several && p.LearningRate != nil && !p.LearningRate.Auto, "learning_rate", "say that of each phase in strategy", "the strategy has %d phases", len(p.Strategy.Phases))
	errs = append(errs, p.Learning.Check("", s.phases(s.backbone != nil)[0].Epochs)...)
	for i, phase := range p.Strategy.Phases {
		if phase.Optimiser != nil || phase.WarmUp != nil {
			errs = append(errs, phase.Learning(p.Learning).Check(s.at(i), phase.Epochs)...)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// phases lists those of a training on pictures, or on features; where their epochs are 0, the rows
// decide.
func (s *Setup) phases(pictures bool) []strategy.Phase {
	phases := slices.Clone(s.Strategy.Phases)
	if !pictures {
		phases = []strategy.Phase{strategy.Phase{Name: "head", Epochs: 30, LearningRate: 1e-3}.Complete(0, s.Preset)}
	} else if len(phases) == 0 {
		phases = strategy.FeatureExtractionIn(s.presetFor())
	}
	if s.Epochs != nil {
		phases[0].Epochs = *s.Epochs
	}
	if s.LearningRate != nil && !s.LearningRate.Auto {
		phases[0] = phases[0].At(s.LearningRate.Value)
	}
	return phases
}

// plan lists the phases of a training on these rows.
func (s *Setup) plan(d *rows.Data) []strategy.Phase {
	phases := s.phases(d.Pictures || d.Tokens)
	for i := range phases {
		phases[i] = phases[i].For(d.Each(s.Copies))
	}
	return phases
}

// at is what the path of a parameter of phase i begins with.
func (s *Setup) at(i int) string {
	if s.Strategy.Kind != "" || len(s.Strategy.Phases) == 0 {
		return "strategy."
	}
	return fmt.Sprintf("strategy[%d].", i)
}

// Locate implements pipeline.Located.
func (s *Setup) Locate(dir string) {
	s.dir = dir
	if s.backbone != nil {
		s.backbone.locate(dir)
	}
}

// Identity implements pipeline.Identified.
func (s *Setup) Identity() (map[string]string, error) {
	if s.backbone == nil {
		return nil, nil
	}
	return s.weightsIdentity()
}

// Numerics implements pipeline.Numeric: what is trained in the precision asked for is validated in float32.
func (s *Setup) Numerics() string {
	name := s.Learning.Arithmetic().Numerics()
	if s.backbone != nil && s.backbone.said.Recurrent() {
		name += kernel.NumericsRecurrent()
	}
	return name
}

// Notes implements pipeline.Noted.
func (s *Setup) Notes() []string {
	var out []string
	if note := train.PrecisionNote(s.Learning.Arithmetic()); note != "" {
		out = append(out, note)
	}
	if s.encodes() {
		if e, err := s.backbone.encoder.open(); err == nil {
			out = append(out, e.Notes()...)
		}
	}
	if s.backbone != nil && s.backbone.weights != nil {
		if note := s.backbone.weights.Note(); note != "" {
			out = append(out, note)
		}
	}
	return out
}

// Check implements pipeline.Stage.
func (s *Setup) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	model := pipeline.Traits{}
	for _, data := range inputs[DataPort] {
		for _, key := range append(rows.Carried(), record.TokensKey) {
			if value, ok := data[key]; ok {
				model[key] = value
			}
		}
	}
	_, features := model[record.ExtractionKey]
	_, prepared := model[record.PreprocessingKey]
	continues := len(inputs[ModelPort]) > 0
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
	if err := cmp.Or(classifier.CheckOne("training further", inputs[ModelPort]), classifier.CheckFloat32("training further", inputs[ModelPort])); err != nil {
		return nil, err
	}
	if err := s.checkMetric(inputs); err != nil {
		return nil, err
	}
	tasks, several := s.Target.Several()
	if several && continues {
		return nil, pipeline.ParamErrorHint("target", "name one column, or leave the input model out", "training further learns one task")
	}
	for _, earlier := range inputs[ModelPort] {
		if _, onFeatures := earlier[record.ExtractionKey]; prepared && onFeatures != features {
			return nil, errors.New("the model does not match the data: a head takes features, a whole network takes images")
		}
	}
	tokens, cut := model[record.TokensKey]
	made, err := record.ParseTokenisation(cmp.Or(tokens, "{}"))
	if err != nil {
		return nil, err
	}
	switch {
	case made.Truncate == record.TruncateWindow:
		return nil, errors.New("texts in windows are for the stage encode: set truncate to head, tail or middle in the stage of kind text, or train on the vectors of encode")
	case cut && s.backbone == nil && !continues:
		return nil, pipeline.ParamErrorHint("backbone", "such as {layers: [{vectors: builtin}, {lstm: 64}]}, or the folder of a text encoder", "is needed to train on texts")
	case s.textual() && prepared:
		return nil, pipeline.ParamErrorHint("backbone", "give the stage texts that are cut into tokens", "is for texts, but the data are pictures")
	case s.textual():
		if err := s.checkTokens(model[record.TokensKey]); err != nil {
			return nil, err
		}
	case cut && s.backbone != nil:
		return nil, pipeline.ParamErrorHint("backbone", "such as {layers: [{vectors: builtin}, {lstm: 64}]}", "%s is for pictures, but the data are texts", s.backbone.Name)
	}
	if s.backbone != nil && !s.textual() {
		if err := s.checkPictures(model[record.PreprocessingKey]); err != nil {
			return nil, err
		}
	}
	for _, data := range inputs[DataPort] {
		if several {
			if err := s.checkTask(rows.SeveralTasks, !features); err != nil {
				return nil, err
			}
		}
		if task, ok := data[record.TaskKey]; ok && s.Target == record.Label {
			if err := s.checkTask(record.Task(task), !features); err != nil {
				return nil, err
			}
		}
	}
	for _, source := range inputs[SourcePort] {
		if err := s.checkSource(source[record.PreprocessingKey], model[record.PreprocessingKey]); err != nil {
			return nil, err
		}
	}
	if several {
		model[record.TasksKey] = classifier.TasksTrait(tasks.Names())
	}
	if err := s.foretell(model, inputs); err != nil {
		return nil, err
	}
	if err := s.guidance.checkTeachers(classifier.NetworkOf(model), inputs[TeacherPort]); err != nil {
		return nil, err
	}
	return map[string]pipeline.Traits{ModelPort: model, "last": model}, nil
}

// foretell adds to the traits of the model that is trained what its network will be, without adapters, and what it will tell.
func (s *Setup) foretell(model pipeline.Traits, inputs map[string][]pipeline.Traits) error {
	_, several := s.Target.Several()
	for _, data := range inputs[DataPort] {
		if task, ok := data[record.TaskKey]; ok && s.Target == record.Label && !s.Objective.metric() {
			model[record.TaskKey] = task
		}
	}
	for _, earlier := range inputs[ModelPort] {
		for _, key := range []string{record.NetworkKey, record.TaskKey} {
			if told, ok := earlier[key]; ok {
				model[key] = told
			}
		}
		return nil
	}
	if several || s.backbone == nil || s.textual() || s.Strategy.Adapters != nil || s.Objective.metric() {
		return nil
	}
	net, err := s.foreseeNetwork()
	if err == nil {
		model[record.NetworkKey] = classifier.NetworkTrait(net)
	}
	return err
}

// checkPictures refuses pictures that were not prepared for the backbone, and phases that name layers
// that it does not have.
func (s *Setup) checkPictures(prepared string) error {
	p, err := s.backbone.weights.Preprocessing()
	if err != nil {
		return pipeline.ParamError("weights", "%v", err)
	}
	if prepared == "" {
		return fmt.Errorf("the images have no record of their preprocessing; %s needs its own: set `for: %s` in the preprocess stage", s.backbone.Name, p.For)
	}
	if p, err = record.ParsePreprocessing(prepared); err != nil {
		return err
	}
	s.prepared = p
	if err := s.backbone.weights.CheckPixels(p); err != nil {
		return err
	}
	if s.backbone.Spelled {
		if layer, err := s.backbone.said.CheckShapes(p.Height, p.Width); err != nil {
			return pipeline.ParamError(fmt.Sprintf("backbone.layers[%d]", layer), "%v", err)
		}
	}
	trunk, err := s.backbone.network(nn.Shape{p.Height, p.Width, 3})
	if err != nil {
		return err
	}
	return errors.Join(s.checkPhases(trunk), s.guidance.check(trunk))
}

// checkPhases refuses phases that name layers which the network does not have.
func (s *Setup) checkPhases(trunk *nn.Network) error {
	var errs []error
	if a := s.Strategy.Adapters; a != nil {
		_, err := a.Layers(trunk, s.at(0))
		errs = append(errs, err)
	}
	net, err := s.Head.Upon(trunk, head.OneOf(2))
	if err != nil {
		return err
	}
	for i, phase := range s.phases(true) {
		if _, err := phase.Selects(net, s.at(i)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// checkSource refuses pictures of the source task that there is no classifier for, or that were not
// prepared like those of the data.
func (s *Setup) checkSource(source, data string) error {
	if s.backbone == nil || s.backbone.weights == nil || s.backbone.weights.Classes() == nil {
		return errors.New("the input source needs weights with known classes: a weight set of the backbone")
	}
	if source != data {
		return errors.New("the images of the input source have a different preprocessing from those of the data")
	}
	return nil
}

// Outcome is what a training gave.
type Outcome struct {
	Model *classifier.Classifier // with the weights that the phases handed on
	Last  *classifier.Classifier // with those of the last epoch
	Twins *classifier.Classifier // of several tasks, each trained by itself; nil without

	History     []record.TrainingEpoch
	Measures    []record.EpochMeasure // of several tasks
	Phases      []record.PhaseLayers
	Diagnostics []record.Diagnostic
}

// Train trains on the task's inputs, phase after phase. Phases are parts of the task: those that are in
// the cache are not trained again.
func (s *Setup) Train(ctx context.Context, task *pipeline.Task) (_ *Outcome, err error) {
	data, err := s.read(ctx, task)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	if s.Head.Converges() {
		return s.fit(ctx, task, data)
	}
	t, err := s.newTraining(ctx, task, data)
	if err != nil {
		return nil, err
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	diagnostics, err := t.diagnostics(ctx)
	if err != nil {
		return nil, err
	}
	model := newModel(task, data, t.net, t.weights, t.origins, t.selection())
	if err := refer(ctx, task, model, data); err != nil {
		return nil, err
	}
	out := &Outcome{
		Model:   model,
		Last:    newModel(task, data, t.net, t.last, t.origins, t.measured(len(t.history)-1)),
		History: t.history, Measures: t.measuredEpochs, Phases: t.layers, Diagnostics: diagnostics,
	}
	if tasks, several := s.Target.Several(); several && tasks.twins() {
		if out.Twins, err = s.trainTwins(ctx, task, tasks, model); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// SweepRates is the learning-rate range test: it trains phase number phase, from 1, with the weights
// that the training starts with, at rates that rise from step to step. It looks at the task's inputs
// and writes nothing.
func (s *Setup) SweepRates(ctx context.Context, task *pipeline.Task, phase int, sweep train.Sweep) (_ *train.RateCurve, err error) {
	data, err := s.read(ctx, task)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	t, err := s.newTraining(ctx, task, data)
	if err != nil {
		return nil, err
	}
	if phase < 1 || phase > len(t.phases) {
		return nil, fmt.Errorf("there is no phase %d: the training has %d", phase, len(t.phases))
	}
	if err := t.startAside(ctx, task); err != nil {
		return nil, err
	}
	return train.RateSweep(ctx, t.net, t.weights, t.options(task, phase-1), data.Training, sweep)
}

// budget bounds what the prefixes of the phases may be.
func (s *Setup) budget() prefix.Budget {
	return prefix.Budget{Bytes: int64(s.PrefixCache), Precision: s.PrefixPrecision, Maps: s.CutMix > 0}
}

// read reads the rows of the task to train and to validate on, refuses what cannot be learned from,
// and tells what was left out.
func (s *Setup) read(ctx context.Context, task *pipeline.Task) (*rows.Data, error) {
	in := task.Input(DataPort)
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, fmt.Errorf("%s have no rows", in.Name())
	}
	pictures := record.OnPictures(schema)
	if record.OnTokens(schema) {
		pictures = true // there is a backbone to be trained on them
	}
	if !pictures && (s.backbone != nil || len(s.Strategy.Phases) > 0) {
		return nil, errors.New("backbone and strategy apply to images only: the data is features, on which only a head is trained")
	}
	if pictures && s.backbone == nil && task.Input(ModelPort) == nil {
		return nil, pipeline.ParamError("backbone", "is needed to train on pictures")
	}
	options := rows.Options{Unlabelled: s.guided() && s.guidance.Losses.Unlabelled()}
	if tasks, several := s.Target.Several(); several {
		options.Tasks = tasks.options()
	}
	d, err := rows.Read(ctx, in, schema, string(s.Target), options)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.checkTask(d.Task(), d.Pictures), s.checkValidation(task, d)); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	for _, note := range d.Notes {
		task.Log("%s", note)
	}
	size := fmt.Sprintf("%d features", d.Shape.Size())
	if d.Tokens {
		size = "tokens"
	}
	if d.Pictures {
		size = fmt.Sprintf("%d×%d pixels", d.Shape[1], d.Shape[0])
	}
	of := "classes"
	switch d.Task() {
	case record.MultiLabel:
		of = "classes, of which any may apply"
	case record.Regression:
		of = "numbers to tell"
	case rows.SeveralTasks:
		of = fmt.Sprintf("outputs of %d tasks", len(d.Several))
	}
	task.Log("%d training rows, %d validation rows, %s, %d %s", d.Training.Len(), d.Validation.Len(), size, d.Outputs(), of)
	return d, nil
}

// Demands implements pipeline.Demanding: the rows that the training cannot do without, as far as that is known before they
// are read.
func (s *Setup) Demands() []pipeline.Demand {
	demands := []pipeline.Demand{{Port: DataPort, Split: record.Train, Classes: 2, Why: "they are what is learned from"}}
	if s.Target != record.Label { // an overview counts labels
		demands[0].Classes = 0
	}
	if s.Head.Converges() {
		return demands
	}
	learnings := []strategy.Learning{s.Learning}
	for _, phase := range s.Strategy.Phases {
		learnings = append(learnings, phase.Learning(s.Learning))
	}
	for _, l := range learnings {
		if param := l.NeedsValidation(); param != "" {
			return append(demands, pipeline.Demand{Port: DataPort, Split: record.Validation, Why: param + " asks for them"})
		}
	}
	return demands
}

// checkTask refuses parameters that make no sense for what is learned of a row.
func (s *Setup) checkTask(task record.Task, pictures bool) error {
	if task == record.SingleLabel {
		return nil
	}
	if err := s.Objective.checkTask(task); err != nil {
		return err
	}
	learned := "any of several classes a row"
	switch task {
	case record.Regression:
		learned = "numbers"
	case rows.SeveralTasks:
		learned = "several tasks"
	}
	var errs []error
	refuse := func(wrong bool, path, hint string) {
		if wrong {
			errs = append(errs, pipeline.ParamErrorHint(path, hint, "is for one class a row, and the data have %s", learned))
		}
	}
	refuse(s.Head.Converges(), "head", "take head: linear")
	refuse(s.Start.Converged(), "start", "leave it out")
	refuse(s.Sampling == strategy.BalancedSampling, "sampling", "leave it out")
	if task == record.Regression || task == rows.SeveralTasks {
		refuse(s.ClassWeights.Given(), "class_weights", "leave it out")
		for i, phase := range s.phases(pictures) {
			at := "early_stopping"
			if phase.EarlyStopping != nil {
				at = s.at(i) + at
			}
			refuse(phase.Learning(s.Learning).EarlyStopping.Monitor != string(train.ValidationLoss), at, "monitor: val_loss")
		}
	}
	return errors.Join(errs...)
}

// checkValidation refuses what needs validation rows if there are none, and tells what becomes of the
// rest.
func (s *Setup) checkValidation(task *pipeline.Task, d *rows.Data) error {
	if d.Validation.Len() > 0 || s.Head.Converges() {
		return nil
	}
	epochs := 0
	for _, phase := range s.plan(d) {
		epochs += phase.Epochs
		if param := phase.Learning(s.Learning).NeedsValidation(); param != "" {
			return pipeline.ParamErrorHint(param, "give some rows the split val, or leave this out",
				"%s %s have no row of split %s to validate on", d.What(), task.Input(DataPort).Name(), record.Validation)
		}
	}
	task.Log("no row of split %s for validation: all %d epochs are trained, and the weights of the last are kept", record.Validation, epochs)
	return nil
}

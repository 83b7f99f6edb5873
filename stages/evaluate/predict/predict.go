package predict

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	ModelFile string  `yaml:"model_file" recipe:"-" doc:"a safetensors file of a model, written by 'tlpipe show --export', in place of the input model"`
	Weights   string  `yaml:"weights" recipe:"-" doc:"the file of the backbone's weights, if the model is on features that were made with weights from a file; it must be that file; of models on texts, the file of word vectors or the folder of a text encoder"`
	Task      string  `yaml:"task" doc:"of a model with several tasks: the one to answer"`
	Threshold float64 `yaml:"threshold" min:"0" max:"1" doc:"of multi-label models: the probability from which a class counts as predicted"`
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "predict",
		Summary: "let a trained model answer images, texts or features, row by row",
		Doc: "Writes what a model tells of each row in place of its pixels or features; all other columns are kept. A classifier " +
			"gives `predicted`, the most probable class, `confidence`, its probability, and `probabilities`, one for each class; a " +
			"multi-label model gives in `predicted` the list of the classes at or above the threshold; a regression model gives its " +
			"numbers in `predicted`. Rows need no label. A model that was trained on features also takes images: the features are " +
			"computed here, exactly as in training; so are those of texts, whose words are kept in the answers. The images must be prepared as those of the training: use the same parameters " +
			"of preprocess. Each row is cached by its content, so a run over a folder to which images were added answers only " +
			"those. Write the table to a file with `tlpipe show FILE:STAGE --export scores.csv` (or .parquet, .arrow).",
		Example: `answers:
  uses: predict
  from: {model: head, data: new_images}
`,
		Version: 1,
		Inputs: []pipeline.Port{
			{Name: "data", Kind: pipeline.Images, Also: []pipeline.PortKind{pipeline.Features, pipeline.Text}, Doc: "the rows to answer: images, texts, or the features that the model takes"},
			{Name: "model", Kind: pipeline.Model, Optional: true, Doc: "the model; needed unless model_file is given"},
		},
		Outputs: []pipeline.Port{{Name: "predictions", Kind: pipeline.Predictions, Doc: "the same rows with `predicted`, `confidence` and `probabilities`, or numbers, in place of `image` or `feature`"}},
	}, Params{Threshold: 0.5}, func(p Params) (pipeline.Stage, error) { return &stage{params: p}, nil })
}

// stage is the kind with its parameters filled in.
type stage struct {
	params Params
	dir    string

	stored   *classifier.Classifier // of a file; nil if the model comes from a stage
	digest   string                 // of that file
	numerics string
	takes    pipeline.Resources
}

// Locate implements pipeline.Located.
func (s *stage) Locate(dir string) { s.dir = dir }

func (s *stage) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(s.dir, p)
}

// Check refuses rows that were prepared in another way than the model's.
func (s *stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	var model, data pipeline.Traits
	for _, traits := range inputs["data"] {
		data = traits
	}
	switch {
	case s.params.ModelFile != "" && len(inputs["model"]) > 0:
		return nil, pipeline.ParamErrorHint("model_file", "leave one of them out", "there is a model in the input `model` already")
	case s.params.ModelFile != "":
		var err error
		if model, err = s.readFile(); err != nil {
			return nil, pipeline.ParamError("model_file", "%v", err)
		}
	case len(inputs["model"]) == 0:
		return nil, errors.New("the model is missing: say `from: {model: STAGE, data: STAGE}`, or give its file in model_file")
	default:
		if err := classifier.CheckTask(s.params.Task, inputs["model"]); err != nil {
			return nil, err
		}
		model = inputs["model"][0]
	}
	if err := checkFit(model, data); err != nil {
		return nil, err
	}
	if s.stored != nil && data[record.PreprocessingKey] != "" && data[record.ExtractionKey] == "" {
		if err := inference.CheckPrepared(s.stored.Input().Transforms, data[record.PreprocessingKey]); err != nil {
			return nil, err
		}
	}
	s.numerics = kernel.Numerics()
	var err error
	if s.takes, err = s.estimate(model, data); err != nil {
		return nil, err
	}
	return map[string]pipeline.Traits{"predictions": nil}, nil
}

// readFile reads the model's file, and tells what the traits of a stage's model would.
func (s *stage) readFile() (pipeline.Traits, error) {
	path := s.path(s.params.ModelFile)
	var err error
	if s.digest, err = digest.File(path); err == nil {
		s.stored, err = classifier.ReadTasksFile(path)
	}
	if err == nil {
		s.stored, err = s.one(s.stored)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s", path)
	}
	if err != nil {
		return nil, err
	}
	traits := pipeline.Traits{}
	if made, ok := s.stored.Input().Transforms.Extraction(); ok {
		traits[record.ExtractionKey] = made.Encode()
	}
	return traits, nil
}

// one is the part of a model that answers the task.
func (s *stage) one(stored *classifier.Classifier) (*classifier.Classifier, error) {
	one, err := stored.Task(s.params.Task)
	if err != nil {
		return nil, pipeline.ParamError("task", "%v", err)
	}
	return one, nil
}

// checkFit compares what is known of model and data before either exists.
func checkFit(model, data pipeline.Traits) error {
	onFeatures, prepared := model[record.ExtractionKey], model[record.PreprocessingKey]
	features, pictures := data[record.ExtractionKey], data[record.PreprocessingKey]
	switch {
	case features != "" && onFeatures != "" && features != onFeatures:
		return fmt.Errorf("the data is not made as the features that the model was trained on: %s", record.MadeDifferently(features, onFeatures))
	case features != "" && onFeatures == "" && prepared != "":
		return errors.New("the model takes images, and the data are features: connect the stage with the images")
	case features == "" && prepared != "" && pictures != "" && prepared != pictures:
		want, err := record.ParsePreprocessing(prepared)
		if err != nil {
			return err
		}
		return inference.CheckPrepared(want.Transforms(), pictures)
	}
	return nil
}

// estimate is what the stage takes: the backbone's weights and sessions if features are to be computed, else those of a
// network of middle size.
func (s *stage) estimate(model, data pipeline.Traits) (pipeline.Resources, error) {
	const (
		unknownWeights   = 200 << 20
		unknownWorkspace = 64 << 20
	)
	var pixels int64
	var size record.Preprocessing
	if text := data[record.PreprocessingKey]; text != "" {
		var err error
		if size, err = record.ParsePreprocessing(text); err != nil {
			return pipeline.Resources{}, err
		}
		pixels = 3 * int64(size.Height) * int64(size.Width)
	}
	switch {
	case data[record.ExtractionKey] != "":
		return pipeline.Resources{Memory: 32 << 20, PerThread: 8 << 20, PerRow: 64 << 10}, nil
	case model[record.ExtractionKey] == "" || pixels == 0:
		return pipeline.Resources{Memory: unknownWeights, PerThread: unknownWorkspace, PerRow: 5 * pixels}, nil
	}
	made, err := record.ParseExtraction(model[record.ExtractionKey])
	if err != nil {
		return pipeline.Resources{}, err
	}
	precision, err := frozen.ParsePrecision(made.Precision)
	if err != nil {
		return pipeline.Resources{}, err
	}
	s.numerics = precision.Numerics()
	found, err := backbone.Find(made.Backbone)
	if err == nil {
		found, err = found.As(made.Variant)
	}
	if err != nil {
		return pipeline.Resources{}, err
	}
	net, err := found.Network(size.Height, size.Width)
	if err == nil {
		net, err = net.Cut(made.Layer)
	}
	if err != nil {
		return pipeline.Resources{}, err
	}
	f := net.Footprint()
	return pipeline.Resources{
		Memory:    4*(f.Parameters+f.Packed) + 32<<20,
		PerThread: 4*(f.Peak+2*pixels) + 16<<20,
		PerRow:    5 * pixels,
	}, nil
}

// Estimate implements pipeline.Estimator.
func (s *stage) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	return s.takes, nil
}

// Numerics implements pipeline.Numeric.
func (s *stage) Numerics() string { return s.numerics }

// Identity implements pipeline.Identified: a model from a file by its content.
func (s *stage) Identity() (map[string]string, error) {
	if s.stored == nil {
		return nil, nil
	}
	return map[string]string{"model": s.digest}, nil
}

// Columns implements pipeline.RowWise: answers come of the numbers alone.
func (s *stage) Columns(in *arrow.Schema) (pipeline.Columns, error) {
	c := pipeline.Columns{Reads: []string{record.Feature}, Drops: []string{record.Feature}}
	switch {
	case record.OnPictures(in):
		c = pipeline.Columns{Reads: []string{record.Image}, Drops: []string{record.Image}}
	case in.HasField(record.Text) && !in.HasField(record.Feature):
		c = pipeline.Columns{Reads: []string{record.Text}}
		if in.HasField(record.Tokens) {
			c.Reads, c.Drops = append(c.Reads, record.Tokens), []string{record.Tokens}
		}
	}
	for _, name := range []string{record.Predicted, record.Confidence, record.Probabilities} {
		if in.HasField(name) {
			return c, fmt.Errorf("the data have a column %q already; rename it", name)
		}
	}
	return c, nil
}

// Open implements pipeline.RowWise.
func (s *stage) Open(ctx context.Context, env *pipeline.Env, side map[string][]pipeline.Input) (pipeline.Mapper, error) {
	stored := s.stored
	if stored == nil {
		var err error
		if stored, err = classifier.ReadTasks(ctx, side["model"][0]); err != nil {
			return nil, err
		}
		if stored, err = s.one(stored); err != nil {
			return nil, err
		}
	}
	model, err := inference.New(stored)
	if err != nil {
		return nil, err
	}
	if s.stored != nil {
		if now, err := digest.File(s.path(s.params.ModelFile)); err != nil || now != s.digest {
			return nil, errors.Join(fmt.Errorf("%s changed while the pipeline was running", s.params.ModelFile), err)
		}
	}
	return newMapper(s, model, max(env.Threads, 1))
}

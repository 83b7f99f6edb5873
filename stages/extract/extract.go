package extract

import (
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	Backbone   backbone.Name             `yaml:"backbone" doc:"the network: a name from 'tlpipe models list', or pixels for no network"`
	Weights    backbone.WeightsReference `yaml:"weights" recipe:"-" doc:"a weight set of the backbone; random; the path of a file written by PyTorch, Keras or safetensors (.safetensors, .pth, .h5, .keras), or its URL and digest, https://…#sha256=… or {url, sha256}, with limits: {size, rate, stall} of the download if needed; VARIANT:PATH where the file does not identify the variant of the backbone"`
	Layer      string                    `yaml:"layer" doc:"pooled (the feature vector), last (the last map), or any layer or block of the backbone"`
	Precision  string                    `yaml:"precision" enum:"fp32,bf16,int8" doc:"arithmetic of the network: fp32; bf16, faster on processors with bfloat16 instructions and slightly less accurate; or int8, faster still and less accurate, with quantisation ranges calibrated on built-in images"`
	Flip       bool                      `yaml:"flip" doc:"average the features of each image and of its mirror image"`
	RandomSeed uint64                    `yaml:"random_seed" doc:"seed of random weights; does not affect other weights"`
	Batch      int                       `yaml:"batch" min:"1" max:"256" recipe:"-" doc:"images per batch on each thread; larger batches take more memory"`
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "extract",
		Summary: "compute features of images with a frozen pre-trained backbone",
		Doc: "Runs each image through a backbone and stores the output of one layer in the column `feature`; the pixels are dropped, " +
			"all other columns are kept. Images must have the preprocessing of the weights: set `for: BACKBONE` in the preprocess " +
			"stage. `weights: random` and the backbone `pixels` give baselines for pre-trained features.",
		Example: `features:
  uses: extract
  from: images
  with: {backbone: efficientnet_lite0, layer: pooled}
`,
		Version: 3,
		Inputs:  []pipeline.Port{{Name: "images", Kind: pipeline.Images, Doc: "images with the preprocessing of the backbone"}},
		Outputs: []pipeline.Port{{Name: "features", Kind: pipeline.Features, Doc: "the same rows with `feature` in place of `image`"}},
	}, Params{
		Backbone: "efficientnet_lite0", Weights: backbone.DefaultWeights, Layer: "pooled", Precision: "fp32", Batch: 1,
	}, build)
}

// stage is the kind with its parameters filled in.
type stage struct {
	params    Params
	precision frozen.Precision
	backbone  backbone.Backbone
	weights   *backbone.ResolvedWeights

	height, width int                // of the pictures; 0 if Check could not know
	takes         pipeline.Resources // for them
}

func build(p Params) (pipeline.Stage, error) {
	s := &stage{params: p}
	var errs []error
	var err error
	if s.backbone, err = backbone.Find(string(p.Backbone)); err != nil {
		hint := ""
		if unknown := new(backbone.UnknownError); errors.As(err, &unknown) {
			hint = unknown.Hint
		}
		errs = append(errs, pipeline.ParamErrorHint("backbone", hint, "there is no backbone %q", p.Backbone))
	} else if s.weights, err = s.backbone.Resolve(p.Weights); err != nil {
		errs = append(errs, err)
	}
	if s.precision, err = frozen.ParsePrecision(p.Precision); err != nil {
		errs = append(errs, pipeline.ParamError("precision", "%v", err))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Locate implements pipeline.Located.
func (s *stage) Locate(dir string) { s.weights.Locate(dir) }

// Check implements pipeline.Stage.
func (s *stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	prepared, known := "", false
	out := pipeline.Traits{}
	for _, traits := range inputs["images"] {
		prepared, known = traits[record.PreprocessingKey]
		if task, ok := traits[record.TaskKey]; ok {
			out[record.TaskKey] = task
		}
	}
	size, err := s.weights.Preprocessing()
	if err != nil {
		return nil, pipeline.ParamError("weights", "%v", err)
	}
	if known {
		p, err := record.ParsePreprocessing(prepared)
		if err != nil {
			return nil, err
		}
		if err := s.weights.CheckPixels(p); err != nil {
			return nil, err
		}
		size = p
		s.height, s.width = p.Height, p.Width
	} else if !s.backbone.AnyPixels {
		return nil, fmt.Errorf("the images have no record of their preprocessing; %s needs its own: set `for: %s` in the preprocess stage",
			s.backbone.Name, size.For)
	}
	made, err := s.extraction(size.Height, size.Width)
	if err != nil {
		return nil, err
	}
	if s.takes, err = s.estimate(size.Height, size.Width); err != nil {
		return nil, err
	}
	out[record.ExtractionKey] = made.Encode()
	if known {
		out[record.PreprocessingKey] = prepared
	}
	return map[string]pipeline.Traits{"features": out}, nil
}

// extraction tells what the features will be, for pictures of a size.
func (s *stage) extraction(height, width int) (record.Extraction, error) {
	net, err := s.weights.Network(height, width)
	if err != nil {
		return record.Extraction{}, err
	}
	layer, err := s.backbone.Layer(net, s.params.Layer)
	if err != nil {
		return record.Extraction{}, pipeline.ParamError("layer", "%v", err)
	}
	digest, err := s.weights.Digest()
	if err != nil {
		return record.Extraction{}, pipeline.ParamError("weights", "%v", err)
	}
	variant, err := s.weights.Variant()
	if err != nil {
		return record.Extraction{}, pipeline.ParamError("weights", "%v", err)
	}
	e := record.Extraction{
		Backbone: s.backbone.Name, Variant: variant, Weights: s.weights.Name, Digest: digest, Layer: layer,
		Precision: s.params.Precision, Flip: s.params.Flip,
	}
	if s.weights.Name == backbone.RandomWeights {
		e.Seed = s.params.RandomSeed
	}
	return e, nil
}

// Columns implements pipeline.RowWise: features come of the pixels alone.
func (s *stage) Columns(*arrow.Schema) (pipeline.Columns, error) {
	return pipeline.Columns{Reads: []string{record.Image}, Drops: []string{record.Image}}, nil
}

// Passes implements pipeline.Passing.
func (s *stage) Passes() (copies bool) { return false }

// Notes implements pipeline.Noted.
func (s *stage) Notes() []string {
	var out []string
	if note := s.precision.Note(); note != "" && !s.backbone.AnyPixels {
		out = append(out, note)
	}
	if note := s.weights.Note(); note != "" {
		out = append(out, note)
	}
	return out
}

// Numerics implements pipeline.Numeric.
func (s *stage) Numerics() string { return s.precision.Numerics() }

// Identity implements pipeline.Identified: the weights by name and content, never by path.
func (s *stage) Identity() (map[string]string, error) {
	return s.weights.Identity()
}

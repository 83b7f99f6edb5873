package quantise

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/simulate"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Params are the parameters of the stage.
type Params struct {
	Type           Type            `yaml:"type" enum:"int8,float16,bfloat16" doc:"how weights are stored; with int8 the model also computes with bytes"`
	Ranges         simulate.Method `yaml:"ranges" enum:"minmax,percentile,mse,entropy" doc:"how the range of a value is found from its numbers on training rows: by the extremes, a percentile, the least mean squared error or the least divergence"`
	Percentile     float64         `yaml:"percentile" min:"50" max:"100" doc:"of ranges percentile: percentage of the numbers within the range"`
	Rows           int             `yaml:"rows" min:"1" max:"100000" doc:"training rows to find ranges on, spread evenly over all; augmented copies are not used"`
	Equalise       bool            `yaml:"equalise" doc:"first equalise the ranges of the channels of consecutive layers with ReLU or nothing between them (Nagel et al. 2019)"`
	Rounding       Rounding        `yaml:"rounding" enum:"nearest,learned" doc:"of weights: to the nearest step, or up or down as learned, so that the outputs of the layer change least on up to 32 of the rows (AdaRound's objective, Nagel et al. 2020)"`
	Train          *Training       `yaml:"train" doc:"quantisation-aware training: the network is trained further with weights and values rounded as they will be and gradients straight through (Jacob et al. 2018), batch-norms folded, in the ranges found before; as in finetune with an input model; none if not given; {} trains all layers for three epochs"`
	BiasCorrection bool            `yaml:"bias_correction" doc:"adjust biases so that the mean of each channel is unchanged, on up to 32 of the rows"`
	Tolerance      float64         `yaml:"tolerance" min:"0" max:"1" doc:"the gate: by how much accuracy on the rows of split val may drop, as a fraction; for models that do not predict a single class, how much their predictions may change"`
	Confidence     float64         `yaml:"confidence" min:"0.5" max:"0.9999" doc:"of the one-sided interval of that drop, whose end must be within tolerance; 0.5 judges by the drop itself"`
	MostFloat      float64         `yaml:"most_float" min:"0" max:"1" doc:"the fraction of the layers with weights that may be left in float32 so that the gate holds"`
}

// Training is how a network learns to compute with bytes.
type Training struct{ transfer.Params }

// DecodeParam implements params.Decoder: all layers learn, gently, unless a strategy says otherwise.
func (t *Training) DecodeParam(d *params.Decoding, node *yaml.Node) {
	t.Further(d, node, strategy.RoundingAware())
}

// Type is what weights rest as.
type Type string

// Int8 is the type in which a model computes with bytes.
const Int8 Type = "int8"

// Rounding is how weights become steps.
type Rounding string

// The ways.
const (
	Nearest Rounding = "nearest"
	Learned Rounding = "learned"
)

// Ports.
const (
	modelPort  = "model"
	dataPort   = "data"
	gatePort   = "gate"
	layersPort = "layers"
	sizesPort  = "sizes"
)

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "quantise",
		Summary: "reduce a trained model to a quarter of its size with int8, or half with float16, if its accuracy holds",
		Doc: "Folds batch-norms into weights and stores weights as int8, with a scale for each output channel; values are rounded to " +
			"bytes in ranges found on rows of split train. The model then computes its convolutions with bytes wherever it is used: " +
			"evaluate, predict, bench. A gate compares it with the model in float32 on the rows of split val: the upper end of the " +
			"one-sided interval of the drop in accuracy must be within tolerance, both as tlpipe computes and with every value rounded, as " +
			"full-integer runtimes do. While it is not, the layers with the greatest measured sensitivity are left in float32; if " +
			"too many would have to be, the stage fails and says what was reached. Where int8 costs too much, train goes on with the network " +
			"rounded (quantisation-aware training). float16 and bfloat16 change how weights are stored; " +
			"the model computes in float32. tlpipe export writes int8 models as ONNX and TensorFlow Lite files.",
		Example: `small:
  uses: quantise
  from: {model: net, data: images}
  with: {tolerance: 0.02}`,
		Version: 6,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: modelPort, Kind: pipeline.Model, Doc: "the trained model"},
			{Name: dataPort, Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images}, Doc: "the rows that it was trained and validated on"},
		},
		Outputs: []pipeline.Port{
			{Name: modelPort, Kind: pipeline.Model, Doc: "the quantised model"},
			{Name: gatePort, Kind: pipeline.Metrics, Doc: "one row per attempt at the gate: accuracy before and after, drop and its limit, layers in float32"},
			{Name: layersPort, Kind: pipeline.Metrics, Doc: "one row per layer with a weight: type, bytes, range, sensitivity, why it was left in float32"},
			{Name: sizesPort, Kind: pipeline.Metrics, Doc: "the model before and after: parameters, multiply-adds, bytes, and for models of one class a row, where data has labelled rows of split val, accuracy on these and agreement with the model before, with intervals"},
		},
	}, usual(), build)
}

// usual are the parameters where a user gives none.
func usual() Params {
	return Params{Type: Int8, Ranges: simulate.Squared, Percentile: 99.99, Rows: 128, Rounding: Nearest, Tolerance: 0.01, Confidence: 0.95, MostFloat: 0.5}
}

func build(p Params) (pipeline.Stage, error) {
	s := stage{Params: p}
	var errs []error
	usual := usual()
	refuse := func(wrong bool, path, hint, format string, args ...any) {
		if wrong {
			errs = append(errs, pipeline.ParamErrorHint(path, hint, format, args...))
		}
	}
	for _, of := range []struct {
		param string
		given bool
	}{
		{"ranges", p.Ranges != usual.Ranges}, {"percentile", p.Percentile != usual.Percentile}, {"rows", p.Rows != usual.Rows}, {"equalise", p.Equalise},
		{"rounding", p.Rounding != usual.Rounding}, {"train", p.Train != nil}, {"bias_correction", p.BiasCorrection}, {"tolerance", p.Tolerance != usual.Tolerance}, {"confidence", p.Confidence != usual.Confidence}, {"most_float", p.MostFloat != usual.MostFloat},
	} {
		if p.Type != Int8 && of.given {
			errs = append(errs, pipeline.ParamIdle(of.param, "leave it out", "is for type int8: with %s, weights are stored in half of the space and the model computes in float32", p.Type))
		}
	}
	if p.Type == Int8 && p.Ranges != simulate.Percentile && p.Percentile != usual.Percentile {
		errs = append(errs, pipeline.ParamIdle("percentile", "add ranges: percentile, or leave it out", "is for ranges: percentile, and ranges is %s", p.Ranges))
	}
	if p.Train == nil || p.Type != Int8 {
		return s, errors.Join(errs...)
	}
	refuse(p.Rounding == Learned, "rounding", "leave it out", "training moves the weights, to the nearest steps")
	var err error
	if s.training, err = transfer.NewWithin("quantise", "train", p.Train.Params); err != nil {
		errs = append(errs, err)
	}
	return s, errors.Join(errs...)
}

type stage struct {
	Params
	training *transfer.Setup // nil: none
}

// Check implements pipeline.Stage: what the model says of its input stays true.
func (s stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	if err := cmp.Or(classifier.CheckOne("quantise", inputs[modelPort]), classifier.CheckFloat32("quantise", inputs[modelPort])); err != nil {
		return nil, err
	}
	out := pipeline.Traits{record.QuantisationKey: string(s.Type)}
	for _, key := range []string{record.ExtractionKey, record.PreprocessingKey} {
		for _, model := range inputs[modelPort] {
			if v := model[key]; v != "" {
				out[key] = v
				for _, data := range inputs[dataPort] {
					if given := data[key]; given != "" && given != v {
						return nil, fmt.Errorf("the data is not made as the rows that the model was trained on: %s", record.MadeDifferently(given, v))
					}
				}
			}
		}
	}
	if s.training != nil {
		if _, features := out[record.ExtractionKey]; features {
			return nil, pipeline.ParamErrorHint("train", "leave it out", "is for networks on pictures, and the model is a head on features")
		}
		if _, err := s.training.Check(inputs); err != nil {
			return nil, err
		}
	}
	return map[string]pipeline.Traits{modelPort: out}, nil
}

// Demands implements pipeline.Demanding.
func (s stage) Demands() []pipeline.Demand {
	if s.Type != Int8 {
		return nil
	}
	ranges := pipeline.Demand{Port: dataPort, Split: record.Train, Classes: 1, Why: "ranges are found on them"}
	if s.training != nil {
		ranges.Why = "they are what is learned from"
	}
	return []pipeline.Demand{
		ranges,
		{Port: dataPort, Split: record.Validation, Classes: 1, Why: "the gate compares accuracies on them"},
	}
}

// Numerics implements pipeline.Numeric.
func (s stage) Numerics() string {
	if s.Type != Int8 {
		return kernel.Numerics()
	}
	return frozen.Int8.Numerics()
}

// Run implements pipeline.WholeTable.
func (s stage) Run(ctx context.Context, task *pipeline.Task) (err error) {
	q, err := s.open(ctx, task)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	if s.Type != Int8 {
		if q.before, err = q.answers(ctx, q.model); err != nil {
			return err
		}
		q.model.Description.Quantisation = &record.Quantisation{Weights: record.TensorType(s.Type)}
		if err := q.roundWeights(); err != nil {
			return err
		}
		if q.after, err = q.answers(ctx, q.model); err != nil {
			return err
		}
	} else if err := q.toInt8(ctx); err != nil {
		return err
	}
	sizes, err := q.sizeRows()
	if err != nil {
		return err
	}
	rec, err := q.model.Record()
	if err != nil {
		return err
	}
	return errors.Join(
		task.WriteRecord(modelPort, rec),
		task.WriteRecord(gatePort, record.FromRows(q.attempts)),
		task.WriteRecord(layersPort, record.FromRows(q.layerRows())),
		task.WriteRecord(sizesPort, record.FromRows(sizes)),
	)
}

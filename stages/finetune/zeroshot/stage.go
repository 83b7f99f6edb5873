package zeroshot

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	Scale float64 `yaml:"scale" above:"0" max:"1000" doc:"what cosines are multiplied by to become logits: decides how sure the classifier is, not what it answers; 100 of CLIP"`
	Split string  `yaml:"split" enum:"all,train,val,test" doc:"the texts that are used"`
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "zero_shot",
		Summary: "make a classifier of texts that name its classes, without training",
		Doc: "Takes vectors of texts with labels, such as `a photo of a dog` of class dog: each is given length 1, the mean over the texts of a class is given " +
			"length 1 again, and a row is of the class with the greatest cosine. Rows and texts must be in one space: the picture tower (extract with a CLIP " +
			"backbone) and the text tower (encode) of one model, or what contrastive learned. The result is an ordinary model on features: " +
			"evaluate measures it, finetune can go on with it, and interpolate mixes the two. Instead of texts, any vectors of classes do, such as attributes.",
		Example: `classes:
  uses: zero_shot
  from: {data: picture_features, texts: prompt_vectors}
`,
		Version: 2,
		Inputs: []pipeline.Port{
			{Name: dataPort, Kind: pipeline.Features, Doc: "features of the rows that the classifier is for; only how they were made is read, no row"},
			{Name: textsPort, Kind: pipeline.Features, Doc: "features of texts, in the same space, with the class as label"},
		},
		Outputs: []pipeline.Port{{Name: "model", Kind: pipeline.Model, Doc: "the classifier"}},
	}, Params{Scale: 100, Split: all}, func(p Params) (pipeline.Stage, error) { return stage{p}, nil })
}

const (
	dataPort  = "data"
	textsPort = "texts"
	all       = "all"
)

type stage struct{ Params }

// Check implements pipeline.Stage.
func (stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	model := pipeline.Traits{record.TasksKey: classifier.TasksTrait([]string{record.Label})}
	for _, data := range inputs[dataPort] {
		for _, key := range rows.Carried() {
			if value, ok := data[key]; ok {
				model[key] = value
			}
		}
	}
	return map[string]pipeline.Traits{"model": model}, nil
}

// Numerics implements pipeline.Numeric.
func (stage) Numerics() string { return kernel.ScalarNumerics() }

// Run implements pipeline.WholeTable.
func (s stage) Run(ctx context.Context, task *pipeline.Task) error {
	data := task.Input(dataPort)
	schema, err := data.Schema(ctx)
	if err != nil {
		return err
	}
	if schema == nil {
		return fmt.Errorf("%s has no rows: how its features are made is not known", data.Name())
	}
	_, field, err := record.Column(schema, record.Feature)
	if err != nil {
		return err
	}
	shape, _, err := record.TensorShape(field)
	if err != nil {
		return err
	}
	width := nn.Shape(shape).Size()
	texts := task.Input(textsPort)
	sums, counts, err := s.read(ctx, texts, width, data.Name())
	if err != nil {
		return fmt.Errorf("texts %s: %w", texts.Name(), err)
	}
	classes := slices.Sorted(maps.Keys(sums))
	if len(classes) < 2 {
		return fmt.Errorf("texts %s name %d classes: at least two are needed", texts.Name(), len(classes))
	}
	fewest, most := math.MaxInt, 0
	var weights []float32
	for _, class := range classes {
		fewest, most = min(fewest, counts[class]), max(most, counts[class])
		mean := sums[class]
		if !unit(mean) {
			return fmt.Errorf("texts %s: the vectors of class %q cancel out, or are 0: none of its words is known", texts.Name(), class)
		}
		for _, v := range mean {
			weights = append(weights, float32(s.Scale*v))
		}
	}
	task.Log("%d classes of %d to %d texts each", len(classes), fewest, most)
	return s.write(ctx, task, data, shape, classes, weights)
}

// read sums up the vectors of each class at length 1. Vectors of zeros, of texts without any known word, do not count.
func (s stage) read(ctx context.Context, in pipeline.Input, width int, data string) (sums map[string][]float64, counts map[string]int, err error) {
	sums, counts = map[string][]float64{}, map[string]int{}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, nil, err
		}
		roles, err := record.NewRoles(rec)
		if err != nil {
			return nil, nil, err
		}
		features, err := record.TensorColumn(rec, record.Feature)
		if err != nil {
			return nil, nil, err
		}
		labels, err := record.ColumnAs[*array.String](rec, record.Label)
		if err != nil {
			return nil, nil, err
		}
		if features.Size() != width {
			return nil, nil, fmt.Errorf("they have %d features, and %s has %d: they are not in one space; take the text tower that belongs to the picture tower, or the stage contrastive", features.Size(), data, width)
		}
		var x []float32
		for i := range int(rec.NumRows()) {
			if labels.IsNull(i) || features.IsNull(i) || s.Split != all && roles.Split(i) != s.Split {
				continue
			}
			x = features.AppendFloats(x[:0], i)
			vector := make([]float64, width)
			for k, v := range x {
				vector[k] = float64(v)
			}
			class := strings.Clone(labels.Value(i))
			if sums[class] == nil {
				sums[class] = make([]float64, width)
			}
			if !unit(vector) {
				continue
			}
			counts[class]++
			for k, v := range vector {
				sums[class][k] += v
			}
		}
	}
	return sums, counts, nil
}

// unit gives a vector length 1; false if it has none.
func unit(x []float64) bool {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	if !(sum > 1e-20) || math.IsInf(sum, 1) {
		return false
	}
	for i := range x {
		x[i] /= math.Sqrt(sum)
	}
	return true
}

// write writes the classifier.
func (s stage) write(ctx context.Context, task *pipeline.Task, data pipeline.Input, shape []int, classes []string, weights []float32) error {
	b := nn.NewBuilder()
	x := b.Input("features", shape...)
	if len(shape) != 1 {
		x = b.Layer("flatten", nn.Flatten{}, x)
	}
	x = b.Layer("unit", nn.L2Normalise{}, x)
	b.Layer("probabilities", nn.Softmax{}, b.Layer("logits", nn.Dense{Out: len(classes)}, x))
	net, err := b.Network()
	if err != nil {
		return err
	}
	tensors := nn.Weights{"logits.weight": {Shape: nn.Shape{len(classes), len(weights) / len(classes)}, Data: weights}}
	schema, err := data.Schema(ctx)
	if err != nil {
		return err
	}
	transforms, err := record.TransformsOf(schema.Metadata().ToMap())
	if err != nil {
		return err
	}
	c := classifier.New(net, tensors, record.SingleLabelHead(record.Label, classes), transforms)
	texts, err := task.Input(textsPort).Schema(ctx)
	if err != nil {
		return err
	}
	told, err := record.TransformsOf(texts.Metadata().ToMap())
	if err != nil {
		return err
	}
	c.Description.Origins = backbone.AddOrigins(nil, transforms, told)
	c.Description.Recipe = task.Recipe
	rec, err := c.Record()
	if err != nil {
		return err
	}
	return task.WriteRecord("model", rec)
}

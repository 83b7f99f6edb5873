package zeroshot

import (
	"context"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// InterpolateParams are the parameters of the kind interpolate.
type InterpolateParams struct {
	Share float64 `yaml:"share" min:"0" max:"1" doc:"of the second model: 0 gives the first, 1 the second"`
}

// Interpolate declares the kind interpolate.
func Interpolate() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "interpolate",
		Summary: "mix the weights of two models of one network, as WiSE-FT does",
		Doc: "Gives (1 − share)·first + share·second for each weight. Between a zero-shot classifier and what fine-tuning made of it, " +
			"a share of about a half often keeps the accuracy on other domains that fine-tuning costs, and most of what it gained (WiSE-FT, Wortsman et al. 2022). " +
			"Both models must have the same layers and classes: the second one is usually trained from the first.",
		Example: `between:
  uses: interpolate
  from: {first: classes, second: tuned}
  with: {share: 0.5}
`,
		Version: 2,
		Inputs: []pipeline.Port{
			{Name: "first", Kind: pipeline.Model, Doc: "a model, such as of zero_shot"},
			{Name: "second", Kind: pipeline.Model, Doc: "a model with the same layers, such as the first after finetune"},
		},
		Outputs: []pipeline.Port{{Name: "model", Kind: pipeline.Model, Doc: "the model between the two"}},
	}, InterpolateParams{Share: 0.5}, func(p InterpolateParams) (pipeline.Stage, error) { return interpolation{p}, nil })
}

type interpolation struct{ InterpolateParams }

// Check implements pipeline.Stage.
func (interpolation) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	out := pipeline.Traits{}
	for _, port := range []string{"first", "second"} {
		if err := classifier.CheckOne("interpolate", inputs[port]); err != nil {
			return nil, err
		}
	}
	for _, second := range inputs["second"] {
		for key, value := range second {
			out[key] = value
		}
		for _, first := range inputs["first"] {
			if a, b := first[record.ExtractionKey], second[record.ExtractionKey]; a != b {
				return nil, fmt.Errorf("the models take features that are made differently: %s and %s", a, b)
			}
		}
	}
	return map[string]pipeline.Traits{"model": out}, nil
}

// Numerics implements pipeline.Numeric.
func (interpolation) Numerics() string { return kernel.ScalarNumerics() }

// Run implements pipeline.WholeTable.
func (s interpolation) Run(ctx context.Context, task *pipeline.Task) error {
	first, err := classifier.Read(ctx, task.Input("first"))
	if err != nil {
		return err
	}
	second, err := classifier.Read(ctx, task.Input("second"))
	if err != nil {
		return err
	}
	out, err := between(first, second, s.Share)
	if err != nil {
		return fmt.Errorf("models %s and %s: %w", task.Input("first").Name(), task.Input("second").Name(), err)
	}
	out.Description.Recipe = task.Recipe
	rec, err := out.Record()
	if err != nil {
		return err
	}
	return task.WriteRecord("model", rec)
}

// between mixes two models of one network.
func between(first, second *classifier.Classifier, share float64) (*classifier.Classifier, error) {
	a, b := first.Network.Layers(), second.Network.Layers()
	if !slices.EqualFunc(a, b, func(x, y nn.Layer) bool {
		return x.Name == y.Name && fmt.Sprint(x.Op) == fmt.Sprint(y.Op) && slices.Equal(x.Inputs, y.Inputs)
	}) {
		return nil, fmt.Errorf("they have different layers, and no weight of one belongs to one of the other")
	}
	if x, y := first.Head(), second.Head(); x.Task != y.Task || !slices.Equal(x.Names(), y.Names()) {
		return nil, fmt.Errorf("they tell different classes: %d and %d", len(x.Names()), len(y.Names()))
	}
	out := *second
	out.Weights = nn.Weights{}
	for _, p := range second.Network.Parameters() {
		x, y := first.Weights[p.Name()], second.Weights[p.Name()]
		mixed := nn.Tensor{Shape: slices.Clone(y.Shape), Data: make([]float32, len(y.Data))}
		for i, v := range y.Data {
			mixed.Data[i] = float32((1-share)*float64(x.Data[i]) + share*float64(v))
		}
		out.Weights[p.Name()] = mixed
	}
	for _, o := range first.Description.Origins {
		if !slices.Contains(out.Description.Origins, o) {
			out.Description.Origins = append(slices.Clone(out.Description.Origins), o)
		}
	}
	out.Description.Selection, out.Description.Reference = nil, nil // they are of the second model
	return &out, nil
}

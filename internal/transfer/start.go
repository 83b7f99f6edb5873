package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// startRecipe is all that decides the logistic regression that a training starts from but its input, the data: no seed,
// no strategy, so that all trainings of a backbone share it.
type startRecipe struct {
	Backbone    string            `yaml:"backbone"`
	Weights     map[string]string `yaml:"weights"`
	RandomSeed  uint64            `yaml:"random_seed"` // of random weights
	Target      string            `yaml:"target"`
	Copies      int               `yaml:"copies"`
	Penalties   []float64         `yaml:"penalties"`
	Standardise bool              `yaml:"standardise"`
}

// penaltiesOutput is the result of a start, beside the tensors: the penalties that were tried.
const penaltiesOutput = "penalties"

// startPart describes the start as a part of the stage's work.
func (s *Setup) startPart(inputs map[string][]pipeline.Input) (pipeline.Part, error) {
	id, err := s.backbone.identity()
	if err != nil {
		return pipeline.Part{}, err
	}
	return pipeline.Part{Name: "start", Inputs: map[string]pipeline.Input{DataPort: inputs[DataPort][0]}, Numerics: s.Numerics(), Recipe: startRecipe{
		Backbone: s.backbone.Name, Weights: id, RandomSeed: s.backbone.seed(s.RandomSeed, 0), Target: string(s.Target), Copies: s.Copies,
		Penalties: s.Start.Penalties, Standardise: s.Start.Standardise,
	}}, nil
}

// start gives the head what it starts from. The result stands for a phase before the first one.
func (t *training) start(ctx context.Context) (pipeline.Input, error) {
	if !t.Start.Converged() {
		return nil, nil
	}
	part, err := t.startPart(t.task.Inputs)
	if err != nil {
		return nil, err
	}
	result, err := t.task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error {
		fitted, steps, err := t.fitStart(ctx, task)
		if err != nil {
			return err
		}
		model := record.Model{}
		for name, tensor := range logits(fitted) {
			model.Tensors = append(model.Tensors, record.Tensor{Name: name, Shape: tensor.Shape, Data: tensor.Data})
		}
		slices.SortFunc(model.Tensors, func(a, b record.Tensor) int { return len(a.Name) - len(b.Name) }) // bias, weight
		rec, err := model.Record()
		if err != nil {
			return err
		}
		return errors.Join(task.WriteRecord(keptOutput, rec), task.WriteRecord(penaltiesOutput, record.FromRows(penaltyTrials(steps))))
	})
	if err != nil {
		return nil, err
	}
	tensors, err := readTensors(ctx, result[keptOutput])
	if err != nil {
		return nil, err
	}
	tried, err := record.ReadRows[record.PenaltyTrial](result[penaltiesOutput].Batches(ctx))
	if err != nil {
		return nil, err
	}
	t.tellStart(tried)
	return result[keptOutput], t.startFrom(tensors)
}

// startAside is start for a task that has no parts: nothing is written.
func (t *training) startAside(ctx context.Context, task *pipeline.Task) error {
	if !t.Start.Converged() {
		return nil
	}
	fitted, _, err := t.fitStart(ctx, task)
	if err != nil {
		return err
	}
	return t.startFrom(logits(fitted))
}

// startFrom lets the first phase begin with these tensors.
func (t *training) startFrom(tensors nn.Weights) error {
	weights := nn.Weights{}
	for name, tensor := range t.weights {
		weights[name] = tensor
	}
	for name, tensor := range tensors {
		weights[name], t.touched[name] = tensor, true
	}
	if err := t.net.Check(weights); err != nil {
		return fmt.Errorf("start from logistic regression: %w", err)
	}
	t.weights = weights
	return nil
}

// logits are the tensors of the head's only layer with weights.
func logits(l *shallow.Linear) nn.Weights {
	layer, width := head.Scope+".logits", len(l.Weights)/len(l.Bias)
	return nn.Weights{
		layer + "." + string(nn.Weight): {Shape: []int{len(l.Bias), width}, Data: l.Weights},
		layer + "." + string(nn.Bias):   {Shape: []int{len(l.Bias)}, Data: l.Bias},
	}
}

// tellStart takes note of what the training starts from.
func (t *training) tellStart(tried []record.PenaltyTrial) {
	at := slices.IndexFunc(tried, func(p record.PenaltyTrial) bool { return p.Chosen })
	if at < 0 {
		return
	}
	chosen, judged, by := tried[at], t.data.Validation.Len(), "the validation rows"
	if judged == 0 {
		judged, by = t.epochRows(), "cross-validation"
	}
	d := record.Diagnostic{Name: record.StartAccuracy, Value: chosen.Accuracy, Low: math.NaN(), High: math.NaN(), Rows: int64(judged),
		Text: fmt.Sprintf("the head starts from logistic regression with penalty %.3g", chosen.Penalty)}
	if !math.IsNaN(chosen.Accuracy) {
		in := metrics.Wilson(chosen.Accuracy*float64(judged), float64(judged))
		d.Low, d.High = in.Low, in.High
		d.Text += fmt.Sprintf(" of %d tried: by %s, log loss %.4f, accuracy %.1f %%", len(tried), by, chosen.Loss, 100*chosen.Accuracy)
	}
	t.task.Log("%s", d.Text)
	t.chosen = append(t.chosen, d)
}

// fitStart fits the logistic regression that head: logistic would fit to the same features.
func (t *training) fitStart(ctx context.Context, task *pipeline.Task) (*shallow.Linear, []shallow.Step, error) {
	var positions []int
	for i, c := range t.data.Training.Copies {
		if t.Copies < 1 || c < t.Copies {
			positions = append(positions, i)
		}
	}
	read, closing, err := t.frozenFeatures(ctx, task)
	if err != nil {
		return nil, nil, err
	}
	training, err := read(&t.data.Training, positions)
	var validation shallow.Rows
	if err == nil {
		validation, err = read(&t.data.Validation, t.data.Validation.Spread(math.MaxInt))
	}
	if err := errors.Join(err, closing()); err != nil {
		return nil, nil, err
	}
	return fitLogistic(ctx, t.data, positions, training, validation, shallow.Options{Settings: shallow.Settings{Penalties: t.Start.Penalties}, Standardise: t.Start.Standardise, Threads: task.Threads})
}

// readFeatures reads features of examples by position.
type readFeatures func(from *rows.Examples, positions []int) (shallow.Rows, error)

// frozenFeatures gives what the backbone puts out for rows as it is, without adapters, in float32. Where the budget for
// activations allows, that is cached, and what the first phase needs is computed with it.
func (t *training) frozenFeatures(ctx context.Context, task *pipeline.Task) (read readFeatures, closing func() error, err error) {
	net, weights := t.bare, t.weights.Select(t.bare)
	top := net.Output().Name
	cut := prefix.Prefix{Cut: top, Precision: prefix.Float32, Size: net.Shape(top).Size(), Rows: t.cachedRows()}
	if task.Part == nil || cut.Bytes() > int64(t.PrefixCache) {
		return func(from *rows.Examples, positions []int) (r shallow.Rows, err error) {
			r = shallow.Rows{Width: cut.Size, Classes: at(from.Classes, positions)}
			r.Values, err = compute(ctx, task.Threads, net, weights, from, positions)
			return r, err
		}, func() error { return nil }, nil
	}
	cuts := []prefix.Prefix{cut}
	if t.prefixes[0].Cut != "" && t.Strategy.Adapters == nil {
		cuts = append(cuts, t.cutsFrom(0)...)
	}
	a, err := prefix.NewActivator(task, t.data, net, weights, t.Copies, cuts)
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	fetched, err := a.Fetch(ctx)
	if err != nil {
		return nil, nil, err
	}
	return func(from *rows.Examples, positions []int) (shallow.Rows, error) {
		r := shallow.Rows{Width: cut.Size, Classes: at(from.Classes, positions), Values: make([]float32, len(positions)*cut.Size)}
		return r, fetched.Of(from).Read(positions, train.Batch{Inputs: nn.Batch{top: {Float32: r.Values}}})
	}, fetched.Close, nil
}

// at picks elements by position.
func at[T any](all []T, positions []int) []T {
	out := make([]T, len(positions))
	for i, p := range positions {
		out[i] = all[p]
	}
	return out
}

package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// ratesOutput is the result of a range test: its points.
const ratesOutput = "rates"

// chooseRate finds the rate of phase i by a range test from the weights that the phase begins with, on the
// rows, or the cached activations, that it trains on. The test is a part of its own, and works on copies: but
// for the rate it leaves no trace in the training.
func (t *training) chooseRate(ctx context.Context, i int, before pipeline.Input) error {
	part, err := t.phasePart(i, t.turn(i), t.phases[i], t.prefixes[i], t.task.Inputs, before, t.task.Seed)
	if err != nil {
		return err
	}
	part.Name = "range test"
	result, err := t.task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error { return t.testRates(ctx, task, i) })
	if err != nil {
		return err
	}
	trials, err := record.ReadRows[record.RateTrial](result[ratesOutput].Batches(ctx))
	if err != nil {
		return err
	}
	p := t.phases[i]
	diagnostic := record.Diagnostic{
		Phase: p.Name, Name: record.ChosenRate, Value: p.LearningRate, Low: math.NaN(), High: math.NaN(), Rows: int64(t.epochRows()),
		Text: fmt.Sprintf("phase %s: the range test of %d steps found no rate at which the loss falls; using the default %.2g", p.Name, len(trials), p.LearningRate),
	}
	for _, trial := range trials {
		if trial.Chosen {
			t.phases[i] = p.At(trial.Rate)
			diagnostic.Value = trial.Rate
			diagnostic.Text = fmt.Sprintf("phase %s: learning rate %.2g, chosen by a range test of %d steps", p.Name, trial.Rate, len(trials))
		}
	}
	t.task.Log("%s", diagnostic.Text)
	t.chosen = append(t.chosen, diagnostic)
	return nil
}

// testRates is the range test of phase i; it writes what the test found.
func (t *training) testRates(ctx context.Context, task *pipeline.Task, i int) (err error) {
	net, training, _, closeExamples, err := t.examples(ctx, task, i)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeExamples()) }()
	curve, err := train.RateSweep(ctx, net, t.weights.Select(net), t.options(task, i), training, train.DefaultSweep())
	if err != nil {
		return err
	}
	var trials []record.RateTrial
	for _, p := range curve.Points {
		trials = append(trials, record.RateTrial{Rate: p.Rate, Loss: p.Loss, Smoothed: p.Smoothed, Chosen: p.Rate == curve.Valley})
	}
	return task.WriteRecord(ratesOutput, record.FromRows(trials))
}

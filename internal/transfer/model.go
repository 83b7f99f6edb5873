package transfer

import (
	"context"
	"fmt"
	"maps"
	"math"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/domain/drift"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
)

// newModel makes what is stored of a network that was trained on the rows, with weights from these origins. The recipe is that of
// the task.
func newModel(task *pipeline.Task, d *rows.Data, net *nn.Network, weights nn.Weights, origins []record.Origin, selection record.Selection) *classifier.Classifier {
	if outputs := net.Outputs(); len(outputs) > 1 && d.Several == nil { // what was compared with a teacher is no part of the model
		if alone, err := net.Cut(outputs[0].Name); err == nil {
			net, weights = alone, weights.Select(alone)
		}
	}
	c := classifier.New(net, weights, d.Target, d.Transforms)
	if d.Several != nil {
		c.Description.Heads = nil
		for i, aim := range d.Several {
			aim.Head.Output = net.Outputs()[i].Name
			c.Description.Heads = append(c.Description.Heads, aim.Head)
		}
	}
	c.Description.Origins = zoo.AddOrigins(origins, d.Transforms)
	c.Description.Recipe = task.Recipe
	selection.Trained = d.Training.Rows()
	if selection.Split == "" {
		selection.Split, selection.Rows = record.Train, d.Training.Rows()
		if n := d.Validation.Rows(); n > 0 {
			selection.Split, selection.Rows = record.Validation, n
		}
	}
	c.Description.Selection = &selection
	c.Metadata = maps.Clone(d.Metadata)
	for _, key := range rows.Carried() {
		delete(c.Metadata, key) // the transforms tell it
	}
	return c
}

// Refer stores with a model what it answers to a sample of rows that it did not learn from, at these positions, so that
// answers to new rows can be held against them. Models that tell numbers, and
// those of text, have no such reference.
func Refer(ctx context.Context, threads int, model *classifier.Classifier, from *rows.Examples, positions []int) error {
	head, inputs := model.Head(), model.Network.Inputs()
	if len(model.Description.Heads) > 1 || head.Task == record.Regression || len(inputs) != 1 || model.Network.Element(inputs[0].Name) != nn.Float32 || len(positions) < drift.Least {
		return nil
	}
	if len(positions) > drift.MostReference {
		some := make([]int, drift.MostReference)
		for i := range some {
			some[i] = positions[i*len(positions)/len(some)]
		}
		positions = some
	}
	answers, err := compute(ctx, threads, model.Network, model.Weights, from, positions)
	if err != nil {
		return fmt.Errorf("answers that the model is held against: %w", err)
	}
	model.Description.Reference = drift.Refer(record.Validation, answers, len(head.Names()))
	return nil
}

// refer is [Refer] to validation rows.
func refer(ctx context.Context, task *pipeline.Task, model *classifier.Classifier, d *rows.Data) error {
	return Refer(ctx, task.Threads, model, &d.Validation, d.Validation.Spread(drift.MostReference))
}

// selection tells why the model has the weights that the phases handed on.
func (t *training) selection() record.Selection {
	at := -1
	for i, e := range t.history {
		if e.Kept {
			at = i
		}
	}
	s := record.Selection{By: record.ChosenLast}
	if len(t.phases) > 0 {
		s.Phase = t.phases[0].Name
	}
	if at >= 0 {
		s = t.measured(at)
	}
	if t.Restore == strategy.RestoreBest && t.data.Validation.Rows() > 0 {
		for _, p := range t.phases {
			if p.Name == s.Phase {
				s.By = p.Learning(t.Learning).EarlyStopping.Monitor
			}
		}
	}
	return s
}

// measured tells of the weights of an epoch of the history.
func (t *training) measured(at int) record.Selection {
	if at < 0 { // nothing was trained
		return record.Selection{By: record.ChosenLast}
	}
	e := t.history[at]
	s := record.Selection{By: record.ChosenLast, Phase: e.Phase, Epoch: int(e.Epoch)}
	if t.data.Validation.Rows() > 0 {
		s.Metrics = measures(e.ValidationLoss, e.ValidationAccuracy)
	} else {
		s.Metrics = measures(e.Loss, e.Accuracy)
	}
	return s
}

// selectionOf tells why a classifier that is fitted to its end has the settings that it has.
func selectionOf(steps []shallow.Step, validation int) record.Selection {
	s := record.Selection{By: record.ChosenOnly, Tried: len(steps)}
	for i, step := range steps {
		if !step.Chosen {
			continue
		}
		s.Phase, s.Epoch, s.Metrics = step.String(), i+1, measures(step.Loss, step.Accuracy)
		switch {
		case step.Setting == "":
		case validation > 0:
			s.By = record.ChosenByLoss
		default:
			s.By = record.ChosenByCross
		}
	}
	return s
}

// measures are those that are numbers.
func measures(loss, accuracy float64) map[string]float64 {
	m := map[string]float64{}
	for name, x := range map[string]float64{"loss": loss, "accuracy": accuracy} {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			m[name] = x
		}
	}
	return m
}

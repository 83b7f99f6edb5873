package transfer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
)

const (
	// overfitted is the gap between training and validation accuracy that gives an alarm, if the
	// interval lies above it.
	overfitted = 0.1
	// drifted is the drift of the features that gives an alarm.
	drifted = 0.5
	// driftRows is how many rows, at most, the drift is measured on: the estimate does not depend on
	// their number, and its error is small from a hundred on.
	driftRows = 128
)

// diagnostics tells how well the transfer went.
func (t *training) diagnostics(ctx context.Context) (out []record.Diagnostic, err error) {
	out = append(out, t.chosen...)
	for i := range t.phases {
		if diagnostic, ok := t.overfitting(i); ok {
			out = append(out, diagnostic)
		}
	}
	drift, ok, err := t.drift(ctx)
	if err != nil {
		return nil, err
	}
	if ok {
		out = append(out, drift)
	}
	forgotten, err := t.forgetting(ctx)
	out = append(out, forgotten...)
	for _, diagnostic := range out {
		if diagnostic.Alarm {
			t.task.Log("%s", diagnostic.Text)
		}
	}
	return out, err
}

// overfitting compares the accuracy on the training rows, as they were trained on in the epoch that
// phase i kept, with that on the validation rows.
func (t *training) overfitting(i int) (record.Diagnostic, bool) {
	at := slices.IndexFunc(t.history, func(e record.TrainingEpoch) bool { return e.Phase == t.phases[i].Name && e.Kept })
	rows, validation := t.epochRows(), t.data.Validation.Len()
	if at < 0 || validation == 0 || rows == 0 || t.data.Task() != record.SingleLabel {
		return record.Diagnostic{}, false
	}
	e := t.history[at]
	interval := metrics.ShareDifference(e.Accuracy*float64(rows), float64(rows), e.ValidationAccuracy*float64(validation), float64(validation))
	diagnostic := record.Diagnostic{
		Phase: e.Phase, Name: record.OverfittingGap, Value: e.Accuracy - e.ValidationAccuracy,
		Low: interval.Low, High: interval.High, Rows: int64(validation), Alarm: interval.Low > overfitted,
	}
	diagnostic.Text = fmt.Sprintf("phase %s: %.1f %% accurate on the training rows, %.1f %% on the validation rows", e.Phase, 100*e.Accuracy, 100*e.ValidationAccuracy)
	if diagnostic.Alarm {
		diagnostic.Text += ": it fits the training rows much better than new ones; more rows or copies, dropout, mixup, weight decay, or fewer layers that learn may help"
	}
	return diagnostic, true
}

// drift compares the features of validation rows before the training and after; ok is false if the
// backbone did not learn.
func (t *training) drift(ctx context.Context) (_ record.Diagnostic, ok bool, err error) {
	learned := false
	for name := range t.touched {
		learned = learned || t.trunk != "" && !head.Contains(name)
	}
	chosen := t.data.Validation.Spread(driftRows)
	if !learned || len(chosen) < 4 || t.backbone != nil && t.backbone.Spelled { // random features mean nothing
		return record.Diagnostic{}, false, nil
	}
	trunk, err := t.net.Cut(t.trunk)
	if err != nil {
		return record.Diagnostic{}, false, err
	}
	both, weights, ends, err := t.beside(trunk)
	if err != nil {
		return record.Diagnostic{}, false, err
	}
	features, err := computeLayers(ctx, t.task.Threads, both, weights, &t.data.Validation, chosen, ends)
	if err != nil {
		return record.Diagnostic{}, false, err
	}
	value := min(max(1-metrics.CKA(features[0], features[len(features)-1], len(chosen)), 0), 1)
	if math.IsNaN(value) {
		return record.Diagnostic{}, false, nil
	}
	diagnostic := record.Diagnostic{
		Name: record.FeatureDrift, Value: value, Low: math.NaN(), High: math.NaN(), Rows: int64(len(chosen)), Alarm: value > drifted,
		Text: fmt.Sprintf("the features of the validation rows have drifted by %.2f from those that the training started with (1 - CKA)", value),
	}
	if diagnostic.Alarm {
		diagnostic.Text += ": most of what the backbone knew is gone; lower rates, fewer layers that learn or a head that is trained first keep more"
	}
	return diagnostic, true, nil
}

// beside makes a network of a trunk as it was before the training and, beside it, those of its layers that put out something else after
// it, so that what is below them is computed once. ends are its outputs: two, unless nothing has
// changed.
func (t *training) beside(trunk *nn.Network) (both *nn.Network, weights nn.Weights, ends []string, err error) {
	layers, weights := slices.Clone(trunk.Layers()), maps.Clone(t.started.Select(trunk))
	renamed := map[string]string{} // layers that have changed, or of which an input has
	name := func(layer string) string { return cmp.Or(renamed[layer], layer) }
	for _, l := range trunk.Layers() {
		changed := slices.ContainsFunc(l.Inputs, func(input string) bool { return renamed[input] != "" })
		parameters := trunk.LayerParameters(l)
		for _, p := range parameters {
			changed = changed || !slices.Equal(t.started[p.Name()].Data, t.weights[p.Name()].Data)
		}
		if !changed {
			continue
		}
		after := nn.Layer{Name: "after." + l.Name, Op: l.Op}
		for _, input := range l.Inputs {
			after.Inputs = append(after.Inputs, name(input))
		}
		renamed[l.Name] = after.Name
		layers = append(layers, after)
		for _, p := range parameters {
			tensor := t.weights[p.Name()]
			p.Layer = after.Name
			weights[p.Name()] = tensor
		}
	}
	end := trunk.Output().Name
	if name(end) == end { // nothing has changed that leads there
		return trunk, weights, []string{end}, nil
	}
	ends = []string{end, name(end)}
	both, err = nn.New(layers, ends...)
	return both, weights, ends, err
}

package transfer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	extraction "github.com/tlpipe/tlpipe/internal/features"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// extracted are the features that the stage extract makes of pictures.
func extracted(t *testing.T, chunks []arrow.Record) (out []arrow.Record) {
	t.Helper()
	b, err := zoo.Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	weights, err := b.Resolve(zoo.DefaultWeights)
	if err != nil {
		t.Fatal(err)
	}
	made := record.Extraction{Backbone: b.Name, Layer: b.Pooled, Precision: "fp32"}
	e, err := extraction.New(made, weights, side, side, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	w := e.Take(1, 1)
	for _, rec := range chunks {
		column, err := picture.NewColumn(rec)
		if err != nil {
			t.Fatal(err)
		}
		size := e.Shape().Size()
		field := record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, size)
		list := array.NewBuilder(memory.DefaultAllocator, field.Type).(*array.FixedSizeListBuilder)
		for i := range column.Rows {
			column.Read(w.Input, i)
			features := make([]float32, size)
			if err := w.Run(1, features); err != nil {
				t.Fatal(err)
			}
			list.Append(true)
			list.ValueBuilder().(*array.Float32Builder).AppendValues(features, nil)
		}
		at, _, err := record.Column(rec.Schema(), record.Image)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := record.Replace(rec.Schema(), record.Image, field)
		if err != nil {
			t.Fatal(err)
		}
		columns := slices.Clone(rec.Columns())
		columns[at] = list.NewArray()
		out = append(out, array.NewRecord(record.WithMetadata(schema, record.ExtractionKey, made.Encode()), columns, rec.NumRows()))
	}
	return out
}

// mislabelled gives some rows the other label, so that no classifier is sure of all.
func mislabelled(t *testing.T, chunks []arrow.Record) (out []arrow.Record) {
	t.Helper()
	n := 0
	for _, rec := range chunks {
		labels, b := rec.Column(2).(*array.String), array.NewStringBuilder(memory.DefaultAllocator)
		for i := range labels.Len() {
			label := labels.Value(i)
			if n++; n%5 == 0 {
				label = map[string]string{"down": "across", "across": "down"}[label]
			}
			b.Append(label)
		}
		columns := slices.Clone(rec.Columns())
		columns[2] = b.NewArray()
		out = append(out, array.NewRecord(rec.Schema(), columns, rec.NumRows()))
	}
	return out
}

// spoilt is a phase whose every epoch is worse than what it begins with.
const spoilt = "strategy: [{epochs: 1, learning_rate: 1e4%s}]"

// TestStartIsLogisticRegressionOnExtractedFeatures holds what a phase begins with, and keeps as no epoch is better, against
// head: logistic on the features that extract makes: the same numbers to the bit, whatever learns and wherever the features
// come from.
func TestStartIsLogisticRegressionOnExtractedFeatures(t *testing.T) {
	for name, c := range map[string]struct {
		validation, copies int
		with, phase, fit   string
	}{
		"cached":         {8, 1, "start: logistic", "", "head: logistic"},
		"all learn":      {8, 1, "start: logistic", ", unfreeze: all", "head: logistic"},
		"nothing cached": {8, 1, "start: logistic, prefix_cache: 0", "", "head: logistic"},
		"standardised":   {8, 0, "start: {standardise: true, penalties: [10, 1, 0.1]}", "", "head: {kind: logistic, penalties: [10, 1, 0.1]}, standardise: true"},
		"float32":        {8, 0, "start: logistic, prefix_precision: float32", "", "head: logistic"},
		"tutorial":       {8, 0, "start: logistic, preset: tutorial", "", "head: logistic"},
		"one penalty":    {8, 0, "start: {penalties: [3]}", "", "head: {kind: logistic, penalties: [3]}"},
	} {
		chunks := mislabelled(t, pictures(t, 20, c.validation, c.copies))
		want := mustRun(t, "{"+c.fit+"}", extracted(t, chunks)...)
		got := mustRunPictures(t, "{"+small+", "+c.with+", "+fmt.Sprintf(spoilt, c.phase)+"}", chunks)
		for _, tensor := range []string{"logits.weight", "logits.bias"} {
			if w, g := want.model.Weights[tensor].Data, got.model.Weights[head.Scope+"."+tensor].Data; !slices.Equal(w, g) || len(w) == 0 {
				t.Errorf("%s: %s is another than that of logistic regression on extracted features; log %q", name, tensor, got.log)
			}
		}
		at := slices.IndexFunc(got.diagnostics, func(d record.Diagnostic) bool { return d.Name == record.StartAccuracy })
		kept := slices.IndexFunc(want.history, func(e record.TrainingEpoch) bool { return e.Kept })
		if at < 0 || got.diagnostics[at].Value != want.history[kept].ValidationAccuracy || got.diagnostics[at].Rows != int64(c.validation) {
			t.Errorf("%s: diagnostics %+v", name, got.diagnostics)
		}
		if slices.ContainsFunc(got.history, func(e record.TrainingEpoch) bool { return e.Kept }) {
			t.Errorf("%s: history %+v", name, got.history)
		}
	}
}

// Without validation rows, copies of a picture are never on both sides of the cross-validation, and training goes on from the start.
func TestStartByCrossValidation(t *testing.T) {
	chunks := pictures(t, 20, 0, 2)
	want := mustRun(t, "{head: logistic}", extracted(t, chunks)...)
	got := mustRunPictures(t, "{"+small+", start: logistic, strategy: [{epochs: 1, learning_rate: 1e-12}]}", chunks)
	w, g := want.model.Weights["logits.weight"].Data, got.model.Weights[head.Scope+".logits.weight"].Data
	for i := range w {
		if math.Abs(float64(w[i]-g[i])) > 1e-9 {
			t.Fatalf("weight %d is %v, started from %v", i, g[i], w[i])
		}
	}
	if !strings.Contains(strings.Join(got.log, "\n"), "by cross-validation, log loss") {
		t.Errorf("log %q", got.log)
	}
}

// Adapters begin as nothing: the features are those of the plain backbone.
func TestAdaptersStartFromLogisticRegression(t *testing.T) {
	chunks := mislabelled(t, pictures(t, 20, 8, 0))
	want := mustRun(t, "{head: logistic}", extracted(t, chunks)...)
	got := mustRunPictures(t, "{"+small+", start: logistic, strategy: {kind: adapters, epochs: [1], learning_rate: [1e4]}}", chunks)
	if !slices.Equal(want.model.Weights["logits.weight"].Data, got.model.Weights[head.Scope+".logits.weight"].Data) {
		t.Error("another start")
	}
}

// The start is a part of its own, without the seed and what the phases do.
func TestStartIsAPart(t *testing.T) {
	chunks := pictures(t, 16, 6, 0)
	inputs := map[string][]pipeline.Input{DataPort: {pipelinetest.NewTable("images", nil, chunks...)}}
	parts := func(with string, seed uint64) (names []string, first pipeline.Part) {
		s := pipelinetest.Stage(t, Kind(), with).(*stage)
		if _, err := s.Check(map[string][]pipeline.Traits{DataPort: {{record.PreprocessingKey: prepared(t).Encode()}}}); err != nil {
			t.Fatal(err)
		}
		n, err := s.PlanParts(inputs, seed, func(p pipeline.Part) (map[string]pipeline.Input, bool) {
			if names = append(names, p.Name); len(names) == 1 {
				first = p
			}
			return map[string]pipeline.Input{keptOutput: inputs[DataPort][0]}, true
		})
		if err != nil || n != len(names) {
			t.Fatalf("%d parts, asked for %q: %v", n, names, err)
		}
		return names, first
	}
	const with = "{" + small + ", start: logistic, strategy: [{epochs: %d}, {epochs: 1, top: 4}]}"
	names, first := parts(fmt.Sprintf(with, 1), 1)
	if !slices.Equal(names, []string{"start", "phase", "phase"}) {
		t.Errorf("parts %q", names)
	}
	if _, again := parts(fmt.Sprintf(with, 2), 2); fmt.Sprint(first.Recipe) != fmt.Sprint(again.Recipe) {
		t.Errorf("recipes %+v, %+v", first.Recipe, again.Recipe)
	}
	s := pipelinetest.Stage(t, Kind(), fmt.Sprintf(with, 1)).(*stage)
	if _, err := s.SweepRates(context.Background(), &pipeline.Task{Env: pipelinetest.Env(t), Inputs: inputs}, 1, train.Sweep{From: 1e-5, To: 1, Steps: 4}); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotStartFromLogisticRegression(t *testing.T) {
	for with, want := range map[string]string{
		"{start: logistic}": "start: logistic is for a backbone with a new head",
		"{backbone: efficientnet_lite0, head: tutorial, start: logistic}":     "start: a head with hidden layers cannot start",
		"{backbone: efficientnet_lite0, preset: tutorial, start: logistic}":   "take head: linear",
		"{backbone: efficientnet_lite0, start: logistics}":                    "is nothing to start from",
		"{backbone: efficientnet_lite0, start: {kind: zero, penalties: [1]}}": "nothing else is to be said",
	} {
		if _, err := pipelinetest.TryStage(Kind(), with); err == nil || !strings.Contains(fmt.Sprintf("%+v", err), want) {
			t.Errorf("%s: error %v, want one with %q", with, err, want)
		}
	}
}

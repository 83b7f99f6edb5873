package evaluate_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/picture/likeness"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/evaluate"
	"gopkg.in/yaml.v3"
)

// row is a row of a features table with two features.
type row struct {
	id, label, split, domain, object string
	copy                             int32
	x, y                             float32
}

// features makes a table of rows; extraction is what its metadata says, if
// anything.
func features(t testing.TB, extraction string, rows ...row) arrow.Record {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, 2),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: record.Split, Type: arrow.BinaryTypes.String},
		{Name: record.Domain, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "object", Type: arrow.BinaryTypes.String},
		{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32},
	}, nil)
	if extraction != "" {
		schema = record.WithMetadata(schema, record.ExtractionKey, record.Extraction{Backbone: extraction}.Encode())
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	text := func(column int, value string) {
		if value == "" {
			b.Field(column).AppendNull()
			return
		}
		b.Field(column).(*array.StringBuilder).Append(value)
	}
	for _, r := range rows {
		text(0, r.id)
		lists := b.Field(1).(*array.FixedSizeListBuilder)
		lists.Append(true)
		lists.ValueBuilder().(*array.Float32Builder).AppendValues([]float32{r.x, r.y}, nil)
		text(2, r.label)
		text(3, r.split)
		text(4, r.domain)
		b.Field(5).(*array.StringBuilder).Append(r.object)
		b.Field(6).(*array.Int32Builder).Append(r.copy)
	}
	rec := b.NewRecord()
	t.Cleanup(rec.Release)
	return rec
}

// model makes a classifier whose logits are scale times the features, one a
// class.
func model(t testing.TB, name string, at pipeline.Coordinates, scale float32, extraction string, classes ...string) pipeline.Input {
	return modelMadeBy(t, nil, name, at, scale, extraction, classes...)
}

func modelMadeBy(t testing.TB, recipe *record.Recipe, name string, at pipeline.Coordinates, scale float32, extraction string, classes ...string) pipeline.Input {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("features", len(classes))
	x = b.Layer("logits", nn.Dense{Out: len(classes)}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := make([]float32, len(classes)*len(classes))
	for i := range classes {
		weights[i*len(classes)+i] = scale
	}
	var steps record.Transforms
	if extraction != "" {
		steps = record.Transforms{record.FeaturesStep{Extraction: record.Extraction{Backbone: extraction}}}
	}
	c := classifier.New(net, nn.Weights{"logits.weight": {Shape: nn.Shape{len(classes), len(classes)}, Data: weights}}, record.SingleLabelHead(record.Label, classes), steps)
	c.Description.Recipe = recipe
	m, err := c.Model()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := m.Record()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rec.Release)
	return pipelinetest.NewTable(name, at, rec)
}

// outputs are the tables that the stage wrote.
type outputs struct {
	metrics     []record.Metric
	comparison  []record.Comparison
	confusion   []record.Confusion
	calibration []record.CalibrationBin
	mistakes    []record.Mistake
	tables      map[string]*pipelinetest.Table
}

func try(t testing.TB, env *pipeline.Env, with string, models, data []pipeline.Input) (outputs, error) {
	t.Helper()
	ctx := context.Background()
	kind := evaluate.Kind()
	stage, err := pipelinetest.TryStage(kind, with)
	if err != nil {
		return outputs{}, err
	}
	tables, err := pipelinetest.Run(ctx, t, env, stage, kind, map[string][]pipeline.Input{"model": models, "data": data})
	if err != nil {
		return outputs{}, err
	}
	return outputs{
		metrics:     rowsOf[record.Metric](t, tables["metrics"]),
		comparison:  rowsOf[record.Comparison](t, tables["comparison"]),
		confusion:   rowsOf[record.Confusion](t, tables["confusion"]),
		calibration: rowsOf[record.CalibrationBin](t, tables["calibration"]),
		mistakes:    rowsOf[record.Mistake](t, tables["mistakes"]),
		tables:      tables,
	}, nil
}

func run(t testing.TB, with string, models, data []pipeline.Input) outputs {
	t.Helper()
	out, err := try(t, pipelinetest.Env(t), with, models, data)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func rowsOf[T any](t testing.TB, table *pipelinetest.Table) []T {
	t.Helper()
	rows, err := record.ReadRows[T](table.Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func (o outputs) metric(t testing.TB, model, slice, name, class string) record.Metric {
	t.Helper()
	for _, m := range o.metrics {
		if m.Model == model && m.Slice == slice && m.Metric == name && m.Class == class {
			return m
		}
	}
	t.Fatalf("there is no %s of %s, slice %q, class %q", name, model, slice, class)
	return record.Metric{}
}

// small is a problem whose numbers can be told by hand: the model takes the
// larger feature, and has five of six test rows right.
func small(t testing.TB) arrow.Record {
	return features(t, "",
		row{id: "a", label: "cat", split: "train", x: 4},
		row{id: "a", label: "cat", split: "train", x: 2, copy: 1},
		row{id: "b", label: "dog", split: "train", y: 3},
		row{id: "v", label: "dog", split: "val", y: 9},
		row{id: "t1", label: "cat", split: "test", domain: "photo", object: "1", x: 2},
		row{id: "t2", label: "cat", split: "test", domain: "photo", object: "1", x: 1},
		row{id: "t3", label: "cat", split: "test", domain: "sketch", object: "2", y: 1},
		row{id: "t4", label: "dog", split: "test", domain: "photo", object: "3", y: 2},
		row{id: "t5", label: "dog", split: "test", domain: "sketch", object: "4", y: 1},
		row{id: "t6", label: "cat", split: "test", domain: "sketch", object: "5", x: 5, copy: 0},
		row{id: "t6", label: "dog", split: "test", domain: "sketch", object: "5", x: 5, copy: 1},
	)
}

func TestNumbersByHand(t *testing.T) {
	out := run(t, "slices: [domain]\ntop_k: 2", []pipeline.Input{model(t, "head", nil, 1, "", "cat", "dog")},
		[]pipeline.Input{pipelinetest.NewTable("features", nil, small(t))})

	for _, want := range []struct {
		model, slice, metric, class string
		value                       float64
		rows                        int64
	}{
		{"head", "", "accuracy", "", 5.0 / 6, 6},
		{"head", "", "top_2_accuracy", "", 1, 6},
		{"head", "", "balanced_accuracy", "", (3.0/4 + 1) / 2, 6},
		{"head", "", "recall", "cat", 3.0 / 4, 4},
		{"head", "", "precision", "dog", 2.0 / 3, 2},
		// Cats by difference of logits: 2, 1, −1, 5; dogs: −2, −1. Of eight pairs one ties.
		{"head", "", "roc_auc", "cat", 7.5 / 8, 4},
		{"head", "domain=photo", "accuracy", "", 1, 3},
		{"head", "domain=sketch", "accuracy", "", 2.0 / 3, 3},
		{"majority class", "", "accuracy", "", 4.0 / 6, 6},
		{"nearest centroid", "", "accuracy", "", 5.0 / 6, 6},
	} {
		got := out.metric(t, want.model, want.slice, want.metric, want.class)
		if math.Abs(got.Value-want.value) > 1e-6 || got.Rows != want.rows {
			t.Errorf("%s of %s, slice %q, class %q: %v over %d rows, want %v over %d",
				want.metric, want.model, want.slice, want.class, got.Value, got.Rows, want.value, want.rows)
		}
		if got.Value > 0 && !(got.Low <= got.Value && got.Value <= got.High) {
			t.Errorf("%s of %s: interval %v to %v is not around %v", want.metric, want.model, got.Low, got.High, got.Value)
		}
	}
	if got := out.metric(t, "head", "", "log_loss", "").Value; math.Abs(got-(math.Log1p(math.Exp(-2))*2+math.Log1p(math.Exp(-1))*2+math.Log1p(math.E)+math.Log1p(math.Exp(-5)))/6) > 1e-6 {
		t.Errorf("log-loss %v", got)
	}
	if role := out.metric(t, "majority class", "", "accuracy", "").Role; role != record.BaselineRole {
		t.Errorf("the majority class is a %s", role)
	}

	if want := []record.Confusion{
		{Model: "head", Actual: "cat", Predicted: "cat", Rows: 3},
		{Model: "head", Actual: "cat", Predicted: "dog", Rows: 1},
		{Model: "head", Actual: "dog", Predicted: "dog", Rows: 2},
	}; !slices.Equal(out.confusion[:3], want) {
		t.Errorf("confusion %v", out.confusion[:3])
	}
	if len(out.mistakes) != 1 || out.mistakes[0].ID != "t3" || out.mistakes[0].Predicted != "dog" || math.Abs(out.mistakes[0].Confidence-math.E/(1+math.E)) > 1e-6 {
		t.Errorf("mistakes %+v", out.mistakes)
	}
	binned := int64(0)
	for _, b := range out.calibration {
		if b.Model == "head" {
			binned += b.Rows
		}
	}
	if binned != 6 {
		t.Errorf("%d rows in the bins of calibration", binned)
	}
}

func TestPredictionsCarryTheColumnsOfTheData(t *testing.T) {
	out := run(t, "", []pipeline.Input{model(t, "head", nil, 1, "", "cat", "dog")},
		[]pipeline.Input{pipelinetest.NewTable("features", nil, small(t))})
	table := out.tables["predictions"]
	schema, err := table.Schema(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := record.ColumnNames(schema), []string{"id", "label", "split", "domain", "object", "model", "predicted", "probabilities"}; !slices.Equal(got, want) {
		t.Errorf("columns %v, want %v", got, want)
	}
	if classes, _ := schema.Metadata().GetValue(record.ClassesKey); classes != `["cat","dog"]` {
		t.Errorf("classes in the metadata: %s", classes)
	}
	var lines []string
	for _, rec := range table.Records() {
		p, err := record.TensorColumn(rec, record.Probabilities)
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			line := ""
			for c := range 7 {
				line += rec.Column(c).ValueStr(i) + " "
			}
			lines = append(lines, line+fmt.Sprintf("%.3f", p.AppendFloats(nil, i)))
		}
	}
	if len(lines) != 24 {
		t.Fatalf("%d predictions of 6 rows by 4 candidates", len(lines))
	}
	if want := "t3 cat test sketch 2 head dog [0.269 0.731]"; lines[2] != want {
		t.Errorf("prediction %q, want %q", lines[2], want)
	}
	if want := "t1 cat test photo 1 majority class cat [0.667 0.333]"; lines[18] != want {
		t.Errorf("prediction %q, want %q", lines[12], want)
	}
}

// Rows that cannot be scored are answered, counted and told of.
func TestRowsThatAreNotScored(t *testing.T) {
	data := features(t, "",
		row{id: "a", label: "cat", split: "train", x: 1},
		row{id: "t1", label: "cat", split: "test", x: 2},
		row{id: "t2", label: "dog", split: "test", y: 2},
		row{id: "t3", split: "test", y: 2},
		row{id: "t4", label: "fish", split: "test", y: 2},
		row{id: "t5", label: "fish", split: "test", y: 3},
		row{id: "t6", label: "newt", split: "test", y: 3},
	)
	out := run(t, "", []pipeline.Input{model(t, "head", nil, 1, "", "cat", "dog")}, []pipeline.Input{pipelinetest.NewTable("features", nil, data)})
	for _, want := range []struct {
		model, metric, class string
		rows                 int64
	}{
		{"head", "unlabelled", "", 1},
		{"head", "unknown_label", "", 3},
		{"head", "unknown_label", "fish", 2},
		{"head", "unknown_label", "newt", 1},
		{"head", "accuracy", "", 2},
		{"majority class", "unknown_label", "dog", 1}, // which it never saw
		{"majority class", "accuracy", "", 1},
	} {
		if got := out.metric(t, want.model, "", want.metric, want.class); got.Rows != want.rows {
			t.Errorf("%s of %s, class %q: %d rows, want %d", want.metric, want.model, want.class, got.Rows, want.rows)
		}
	}
	if n := out.tables["predictions"].Rows(); n != 18 { // one class in training is none for a regression
		t.Errorf("%d predictions of 6 rows by 3 candidates", n)
	}
}

// Where all rows are right, resamples say nothing of errors too rare for the sample: Wilson's interval of 4 right out of 4 reaches
// down to 0.51.
func TestIntervalsWithoutSpread(t *testing.T) {
	data := features(t, "",
		row{id: "a", label: "cat", split: "train", x: 1}, row{id: "b", label: "dog", split: "train", y: 1},
		row{id: "t1", label: "cat", split: "test", object: "1", x: 2}, row{id: "t2", label: "cat", split: "test", object: "1", x: 3},
		row{id: "t3", label: "dog", split: "test", object: "2", y: 2}, row{id: "t4", label: "dog", split: "test", object: "2", y: 3},
	)
	for _, c := range []struct {
		with        string
		independent float64
	}{{"", 4}, {"cluster: object", 2}} {
		out := run(t, c.with, []pipeline.Input{model(t, "head", nil, 1, "", "cat", "dog")}, []pipeline.Input{pipelinetest.NewTable("features", nil, data)})
		const z = 1.959963984540054
		for _, want := range []struct {
			metric, class string
			trials        float64
		}{{record.Accuracy, "", c.independent}, {record.Recall, "dog", c.independent / 2}, {record.Precision, "cat", c.independent / 2}} {
			got := out.metric(t, "head", "", want.metric, want.class)
			if low := want.trials / (want.trials + z*z); got.Value != 1 || math.Abs(got.Low-low) > 1e-9 || got.High != 1 {
				t.Errorf("%s: %s: %v to %v, want %v to 1", c.with, want.metric, got.Low, got.High, low)
			}
		}
		if got := out.metric(t, "head", "", record.MacroF1, ""); got.Value != 1 || !math.IsNaN(got.Low) {
			t.Errorf("%s: macro F1 %v to %v", c.with, got.Low, got.High)
		}
		for _, k := range out.comparison {
			if k.B == "nearest centroid" && !(k.Difference == 0 && k.Low < -0.3 && k.High > 0.3) {
				t.Errorf("%s: difference of two models that are right everywhere: %v to %v", c.with, k.Low, k.High)
			}
		}
	}
}

// Rows that look like rows of other splits are told, whatever the models make of them.
func TestDuplicates(t *testing.T) {
	hash := func(words ...uint64) string { var h likeness.Hash; copy(h[:], words); return h.String() }
	plain := features(t, "",
		row{id: "a", label: "cat", split: "train", x: 1}, row{id: "b", label: "dog", split: "val", y: 1},
		row{id: "a", label: "cat", split: "train", copy: 1, x: 1},
		row{id: "t1", label: "cat", split: "test", x: 2}, row{id: "t2", label: "dog", split: "test", y: 2}, row{id: "t3", label: "dog", split: "test", y: 2}, row{id: "t4", label: "dog", split: "test", y: 2},
	)
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	for _, text := range []string{hash(1, 2, 3, 4), hash(^uint64(0), 7, 1<<40, 9), hash(9, 9, 9, 9), hash(1, 2, 3, 5), hash(^uint64(0), 7, 1<<40, 9), hash(0xAAAAAAAAAAAAAAAA, 0xAAAAAAAAAAAAAAAA, 0xAAAAAAAAAAAAAAAA, 0xAAAAAAAAAAAAAAAA), ""} {
		if text == "" {
			b.AppendNull()
		} else {
			b.Append(text)
		}
	}
	fields := append(slices.Clone(plain.Schema().Fields()), arrow.Field{Name: record.Likeness, Type: arrow.BinaryTypes.String, Nullable: true})
	column := b.NewArray()
	defer column.Release()
	data := array.NewRecord(arrow.NewSchema(fields, nil), append(slices.Clone(plain.Columns()), column), plain.NumRows())
	out := run(t, "", []pipeline.Input{model(t, "head", nil, 1, "", "cat", "dog")}, []pipeline.Input{pipelinetest.NewTable("features", nil, data)})
	got := rowsOf[record.Duplicate](t, out.tables["duplicates"])
	want := []record.Duplicate{
		{ID: "t2", Label: "dog", Other: "b", OtherLabel: "dog", OtherSplit: "val", Distance: 0, Rows: 3},
		{ID: "t1", Label: "cat", Other: "a", OtherLabel: "cat", OtherSplit: "train", Distance: 1, Rows: 3},
	}
	if !slices.Equal(got, want) {
		t.Errorf("duplicates %+v, want %+v", got, want)
	}
	if schema, err := out.tables["predictions"].Schema(t.Context()); err != nil || len(schema.FieldIndices(record.Likeness)) > 0 {
		t.Errorf("predictions carry likenesses, %v", err)
	}
}

// A night's worth of models: one for each value of an axis, with its data.
func TestModelsArePairedByCoordinates(t *testing.T) {
	good, bad := pipeline.Coordinates{"weights": "good"}, pipeline.Coordinates{"weights": "bad"}
	swapped := features(t, "",
		row{id: "a", label: "cat", split: "train", y: 4},
		row{id: "b", label: "dog", split: "train", x: 3},
		row{id: "t6", label: "cat", split: "test", y: 5}, // another order, another subset
		row{id: "t1", label: "cat", split: "test", y: 2},
		row{id: "t4", label: "dog", split: "test", x: 2},
	)
	out := run(t, "", []pipeline.Input{
		model(t, "head[weights=good,seed=1]", pipeline.Coordinates{"weights": "good", "seed": "1"}, 1, "", "cat", "dog"),
		model(t, "head[weights=bad]", bad, 1, "", "dog", "cat"),
	}, []pipeline.Input{pipelinetest.NewTable("features[weights=bad]", bad, swapped), pipelinetest.NewTable("features[weights=good]", good, small(t))})
	if got := out.metric(t, "head[weights=good,seed=1]", "", "accuracy", "").Rows; got != 6 {
		t.Errorf("the first model was measured on %d rows", got)
	}
	if got := out.metric(t, "head[weights=bad]", "", "accuracy", ""); got.Rows != 3 || got.Value != 1 {
		t.Errorf("the second model, whose classes are in another order: %v of %d rows", got.Value, got.Rows)
	}
	c := out.comparison[0]
	if c.A != "head[weights=good,seed=1]" || c.B != "head[weights=bad]" || c.Rows != 3 || c.Difference != 0 || c.P != 1 {
		t.Errorf("comparison %+v", c)
	}
	var names []string
	for _, m := range out.metrics {
		if m.Metric == record.Accuracy {
			names = append(names, m.Model)
		}
	}
	if want := []string{
		"head[weights=good,seed=1]", "head[weights=bad]", "logistic regression[weights=good]", "logistic regression[weights=bad]",
		"nearest centroid[weights=good]", "nearest centroid[weights=bad]",
		"majority class[weights=good]", "majority class[weights=bad]",
	}; !slices.Equal(names, want) {
		t.Errorf("candidates %v, want %v", names, want)
	}
}

// What learns from the target's labels is an upper bound beside adapted models, and told of as such; a model that learned from them
// as well is still held against it.
func TestBaselinesOfAdaptedModelsAreUpperBounds(t *testing.T) {
	recipe := func(fields ...record.RecipeField) *record.Recipe {
		return &record.Recipe{Digest: "00", Fields: append([]record.RecipeField{{Name: "stage", Value: "adapt"}}, fields...)}
	}
	domains := record.RecipeField{Name: "params.domains.source[0]", Value: `"photo"`}
	for name, c := range map[string]struct {
		recipe *record.Recipe
		suffix string
		role   string
	}{
		"another stage": {nil, "", record.BaselineRole},
		"two tables":    {recipe(), " trained on the target's own labels", record.BoundRole},
		"one table":     {recipe(domains), " trained with the target's labels", record.BoundRole},
	} {
		t.Run(name, func(t *testing.T) {
			env := pipelinetest.Env(t)
			var log []string
			env.Log = func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
			// The classes are swapped, so that both models are worse than any baseline.
			out, err := try(t, env, "{bootstrap: 0}", []pipeline.Input{
				modelMadeBy(t, c.recipe, "adapted", nil, 1, "", "dog", "cat"), model(t, "upper", nil, 1, "", "dog", "cat"),
			}, []pipeline.Input{pipelinetest.NewTable("target", nil, small(t))})
			if err != nil {
				t.Fatal(err)
			}
			for _, baseline := range []string{"logistic regression", "nearest centroid"} {
				if got := out.metric(t, baseline+c.suffix, "", record.Accuracy, ""); got.Role != c.role {
					t.Errorf("%s has role %q, want %q", got.Model, got.Role, c.role)
				}
			}
			if got := out.metric(t, "majority class", "", record.Accuracy, ""); got.Role != record.BaselineRole {
				t.Errorf("the majority class has role %q", got.Role)
			}
			told := strings.Join(log, "\n")
			if got := strings.Contains(told, "adapted does not beat"); got != (c.recipe == nil) {
				t.Errorf("log %q", told)
			}
			if got := strings.Contains(told, "upper bounds, which adapted models are not expected to beat: logistic regression"+c.suffix+"; nearest centroid"+c.suffix); got != (c.recipe != nil) {
				t.Errorf("log %q", told)
			}
			if !strings.Contains(told, "upper does not beat logistic regression"+c.suffix) {
				t.Errorf("log %q", told)
			}
		})
	}
}

func TestPairing(t *testing.T) {
	data := func(name string, at pipeline.Coordinates) pipeline.Input {
		return pipelinetest.NewTable(name, at, small(t))
	}
	head := func(name string, at pipeline.Coordinates) pipeline.Input {
		return model(t, name, at, 1, "", "cat", "dog")
	}
	at := func(axis, value string) pipeline.Coordinates { return pipeline.Coordinates{axis: value} }
	for name, c := range map[string]struct {
		models, data []pipeline.Input
		want         string
	}{
		"one table for all":      {[]pipeline.Input{head("a", nil), head("b", at("seed", "1"))}, []pipeline.Input{data("f", nil)}, ""},
		"by place":               {[]pipeline.Input{head("a", nil), head("b", nil)}, []pipeline.Input{data("f", nil), data("g", nil)}, ""},
		"the closest":            {[]pipeline.Input{head("a", at("w", "1"))}, []pipeline.Input{data("f", nil), data("g", at("w", "1"))}, ""},
		"none agrees":            {[]pipeline.Input{head("a", at("w", "1"))}, []pipeline.Input{data("f", at("w", "2")), data("g", at("w", "3"))}, "0 of f, g agree"},
		"several agree":          {[]pipeline.Input{head("a", nil)}, []pipeline.Input{data("f", nil), data("g", nil)}, "2 of f, g agree"},
		"lists of other lengths": {[]pipeline.Input{head("a", nil), head("b", nil), head("c", nil)}, []pipeline.Input{data("f", nil), data("g", nil)}, "model a must pair with one"},
		"nothing to measure":     {nil, []pipeline.Input{data("f", nil)}, "at least one model"},
	} {
		_, err := try(t, pipelinetest.Env(t), "bootstrap: 10", c.models, c.data)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// noisy is a larger problem: objects of four rows, all right or all wrong.
func noisy(t testing.TB, batches int) []arrow.Record {
	var rows []row
	for i := range 120 {
		class, x := "cat", float32(1+i%3)
		if i%2 == 1 {
			class = "dog"
		}
		if right := (i/4)%5 != 0; right != (class == "cat") {
			x = -x
		}
		split := "test"
		if i%10 == 9 {
			split = "train"
		}
		rows = append(rows, row{
			id: fmt.Sprintf("r%03d", i), label: class, split: split, object: fmt.Sprint(i / 4), domain: []string{"p", "q", "r"}[i%3],
			x: x, y: float32(i%7) / 10,
		})
	}
	var out []arrow.Record
	size := (len(rows) + batches - 1) / batches
	for part := range slices.Chunk(rows, size) {
		out = append(out, features(t, "", part...))
	}
	return out
}

func TestSameBytesForAnyThreadsAndBatches(t *testing.T) {
	digest := func(threads, batches int) map[string]string {
		env := pipelinetest.Env(t)
		env.Threads = threads
		out, err := try(t, env, "slices: [domain, split]\ncluster: object\nbootstrap: 200",
			[]pipeline.Input{model(t, "head", nil, 1, "", "cat", "dog"), model(t, "weak", nil, 0.1, "", "dog", "cat")},
			[]pipeline.Input{pipelinetest.NewTable("features", nil, noisy(t, batches)...)})
		if err != nil {
			t.Fatal(err)
		}
		digests := map[string]string{}
		for port, table := range out.tables {
			if port != "predictions" || batches == 1 { // its batches are those of the data
				digests[port] = table.Digest()
			}
		}
		return digests
	}
	want := digest(1, 1)
	for port, got := range digest(5, 1) {
		if got != want[port] {
			t.Errorf("%s differs between one thread and five", port)
		}
	}
	for port, got := range digest(2, 7) {
		if got != want[port] {
			t.Errorf("%s differs between one batch and seven", port)
		}
	}
}

func TestClustersWidenIntervals(t *testing.T) {
	width := func(with string) float64 {
		m := run(t, with, []pipeline.Input{model(t, "head", nil, 1, "", "cat", "dog")},
			[]pipeline.Input{pipelinetest.NewTable("features", nil, noisy(t, 1)...)}).metric(t, "head", "", "accuracy", "")
		return m.High - m.Low
	}
	// Objects of four rows that stand and fall together: twice the width.
	rows, objects := width("bootstrap: 2000"), width("{bootstrap: 2000, cluster: object}")
	if objects < 1.6*rows || objects > 2.4*rows {
		t.Errorf("interval of width %v over rows, %v over objects of four", rows, objects)
	}
	if one := width("cluster: split"); one < objects { // all test rows in one cluster: one trial
		t.Errorf("one cluster has an interval of width %v", one)
	}
}

func TestWithoutBootstrapAndBaselines(t *testing.T) {
	out := run(t, "bootstrap: 0\nbaselines: []\nworst: 0", []pipeline.Input{
		model(t, "a", nil, 1, "", "cat", "dog"), model(t, "b", nil, -1, "", "cat", "dog"),
	}, []pipeline.Input{pipelinetest.NewTable("features", nil, small(t))})
	for _, m := range out.metrics {
		if !math.IsNaN(m.Low) || !math.IsNaN(m.High) {
			t.Errorf("%s has an interval without resamples", m.Metric)
		}
		if m.Role == record.BaselineRole {
			t.Errorf("there is a baseline: %s", m.Model)
		}
	}
	if len(out.comparison) != 1 || !math.IsNaN(out.comparison[0].Low) || out.comparison[0].OnlyA != 5 || out.comparison[0].OnlyB != 1 ||
		math.Abs(out.comparison[0].P-0.21875) > 1e-12 {
		t.Errorf("comparison %+v", out.comparison)
	}
	if len(out.mistakes) != 0 {
		t.Errorf("%d mistakes were kept", len(out.mistakes))
	}
}

func TestModelsOfOtherClassesShareATable(t *testing.T) {
	out := run(t, "", []pipeline.Input{model(t, "a", nil, 1, "", "cat", "dog"), model(t, "b", nil, 1, "", "newt", "dog")},
		[]pipeline.Input{pipelinetest.NewTable("features", nil, small(t))})
	rec := out.tables["predictions"].Records()[1] // of b
	p, err := record.TensorColumn(rec, record.Probabilities)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.AppendFloats(nil, 0); len(got) != 3 || got[0] != 0 || got[2] < got[1] {
		t.Errorf("probabilities of cat, dog, newt by a model of newt and dog: %v", got)
	}
	if got := out.metric(t, "b", "", "unknown_label", "cat").Rows; got != 4 {
		t.Errorf("%d cats are unknown to b", got)
	}
	for _, c := range out.comparison {
		if c.A == "a" && c.B == "b" && c.Rows != 2 {
			t.Errorf("compared on %d rows, want the two dogs", c.Rows)
		}
	}
}

func TestRefusals(t *testing.T) {
	nan := float32(math.NaN())
	table := func(recs ...arrow.Record) []pipeline.Input {
		return []pipeline.Input{pipelinetest.NewTable("features", nil, recs...)}
	}
	head := []pipeline.Input{model(t, "head", nil, 1, "a", "cat", "dog")}
	for name, c := range map[string]struct {
		with   string
		models []pipeline.Input
		data   []pipeline.Input
		want   string
	}{
		"no rows at all":         {"", head, table(), "data features has no rows"},
		"no rows of the split":   {"", head, table(features(t, "", row{id: "a", label: "cat", split: "train"}, row{id: "b", label: "cat", split: "val"})), "no row of split test to evaluate on; its splits: train 1, val 1"},
		"a split of nothing":     {"split: holdout", head, table(small(t)), `"holdout" is not one of train, val, test`},
		"a slice of nothing":     {"slices: [style]", head, table(small(t)), `slices[0]: there is no column "style"`},
		"a slice of vectors":     {"slices: [domain, feature]", head, table(small(t)), "slices[1]: column \"feature\" is fixed_size_list"},
		"a slice twice":          {"slices: [domain, domain]", head, table(small(t)), "listed twice"},
		"a cluster of nothing":   {"cluster: thing", head, table(small(t)), `cluster: there is no column "thing"`},
		"an unknown baseline":    {"baselines: [majority, median]", head, table(small(t)), `"median" is not one of`},
		"features too long":      {"", []pipeline.Input{model(t, "head", nil, 1, "", "a", "b", "c")}, table(small(t)), "model head does not take the rows of features: it takes features of 3 values, but these have 2"},
		"other features":         {"", head, table(features(t, "b", row{id: "t", label: "cat", split: "test"})), `the features that it was trained on: backbone b, not a`},
		"an id twice":            {"", head, table(features(t, "", row{id: "t", label: "cat", split: "test"}, row{id: "t", label: "dog", split: "test"})), `two rows have the id "t"`},
		"features not finite":    {"", head, table(features(t, "", row{id: "t", label: "cat", split: "test", x: nan})), `the output for row "t" is not a number`},
		"only classes not known": {"", head, table(features(t, "", row{id: "t", label: "newt", split: "test"}, row{id: "u", split: "test"})), "rows: (no label) 1, newt 1; classes: cat, dog"},
	} {
		_, err := try(t, pipelinetest.Env(t), c.with, c.models, c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func TestCheckComparesTraits(t *testing.T) {
	stage := pipelinetest.Stage(t, evaluate.Kind(), "")
	traits := func(extraction string) pipeline.Traits {
		return pipeline.Traits{record.ExtractionKey: extraction}
	}
	for _, c := range []struct {
		models, data []pipeline.Traits
		ok           bool
	}{
		{[]pipeline.Traits{traits("a")}, []pipeline.Traits{traits("a")}, true},
		{[]pipeline.Traits{traits("b"), traits("a")}, []pipeline.Traits{traits("a"), traits("b")}, true},
		{[]pipeline.Traits{traits("a")}, []pipeline.Traits{{}}, true},
		{[]pipeline.Traits{{}}, []pipeline.Traits{traits("a")}, true},
		{[]pipeline.Traits{traits("a"), traits("c")}, []pipeline.Traits{traits("a"), traits("b")}, false},
	} {
		if _, err := stage.Check(map[string][]pipeline.Traits{"model": c.models, "data": c.data}); (err == nil) != c.ok {
			t.Errorf("models %v, data %v: error %v", c.models, c.data, err)
		}
	}
}

func TestStopsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	kind := evaluate.Kind()
	env := pipelinetest.Env(t)
	env.Progress = func(int64, int64, string) { cancel() }
	_, err := pipelinetest.Run(ctx, t, env, pipelinetest.Stage(t, kind, "bootstrap: 100000"), kind, map[string][]pipeline.Input{
		"model": {model(t, "head", nil, 1, "", "cat", "dog")},
		"data":  {pipelinetest.NewTable("features", nil, small(t))},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the run was stopped", err)
	}
}

func TestTheExampleHolds(t *testing.T) {
	var doc map[string]struct {
		Uses string
		From map[string]string
		With yaml.Node
	}
	if err := yaml.Unmarshal([]byte(evaluate.Kind().Example), &doc); err != nil {
		t.Fatal(err)
	}
	with, err := yaml.Marshal(new(doc["scores"].With))
	if err != nil {
		t.Fatal(err)
	}
	pipelinetest.Stage(t, evaluate.Kind(), string(with))
	for port := range doc["scores"].From {
		if _, ok := evaluate.Kind().Input(port); !ok {
			t.Errorf("the example feeds a port %q that there is not", port)
		}
	}
}

package predict_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/export"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/evaluate/predict"
)

// data are rows of two features.
func data(t *testing.T, features ...[2]float32) arrow.Record {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, 2),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil))
	defer b.Release()
	for i, f := range features {
		b.Field(0).(*array.StringBuilder).Append(string(rune('a' + i)))
		list := b.Field(1).(*array.FixedSizeListBuilder)
		list.Append(true)
		list.ValueBuilder().(*array.Float32Builder).AppendValues(f[:], nil)
		b.Field(2).AppendNull()
	}
	return b.NewRecord()
}

// model answers with the features themselves, through the head's last function.
func model(t *testing.T, head record.Head) pipeline.Input {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Layer("logits", nn.Dense{Out: 2}, b.Input("features", 2))
	switch head.Task {
	case record.SingleLabel:
		b.Layer("probabilities", nn.Softmax{}, x)
	case record.MultiLabel:
		b.Layer("probabilities", nn.Activation{Function: kernel.Sigmoid}, x)
	}
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := classifier.New(net, nn.Weights{"logits.weight": {Shape: nn.Shape{2, 2}, Data: []float32{1, 0, 0, 1}}}, head, nil).Model()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := stored.Record()
	if err != nil {
		t.Fatal(err)
	}
	return pipelinetest.NewTable("head", nil, rec)
}

func answers(t *testing.T, with string, in pipeline.Input, rows arrow.Record) arrow.Record {
	t.Helper()
	stage := pipelinetest.Stage(t, predict.Kind(), with)
	inputs, side := map[string][]pipeline.Traits{"data": {nil}}, map[string][]pipeline.Input{}
	if in != nil {
		inputs["model"], side["model"] = []pipeline.Traits{nil}, []pipeline.Input{in}
	}
	if _, err := stage.Check(inputs); err != nil {
		t.Fatal(err)
	}
	out := pipelinetest.Map(t, pipelinetest.Env(t), stage, side, rows)
	if len(out[0].Rejects) > 0 {
		t.Fatalf("rejects %v", out[0].Rejects)
	}
	return out[0].Rows
}

func cell(rec arrow.Record, column string, row int) string {
	return rec.Column(rec.Schema().FieldIndices(column)[0]).ValueStr(row)
}

func TestClasses(t *testing.T) {
	rows := data(t, [2]float32{0, 200}, [2]float32{200, 0}, [2]float32{1, 1})
	in := model(t, record.SingleLabelHead(record.Label, []string{"cat", "dog"}))
	out := answers(t, "{}", in, rows)
	if got := strings.Join(record.ColumnNames(out.Schema()), " "); got != "id predicted confidence probabilities label" {
		t.Errorf("columns %s", got)
	}
	for row, want := range []string{"dog 1 [0,1]", "cat 1 [1,0]", "cat 0.5 [0.5,0.5]"} {
		if got := cell(out, "predicted", row) + " " + cell(out, "confidence", row) + " " + cell(out, "probabilities", row); got != want {
			t.Errorf("row %d: %s, want %s", row, got, want)
		}
	}
	// The same model from a file.
	path := filepath.Join(t.TempDir(), "head.safetensors")
	if _, err := export.File(t.Context(), path, in); err != nil {
		t.Fatal(err)
	}
	if again := answers(t, "{model_file: "+path+"}", nil, rows); !array.RecordEqual(out, again) {
		t.Errorf("from a file %v, from a stage %v", again, out)
	}
}

func TestSeveralClassesAndNumbers(t *testing.T) {
	rows := data(t, [2]float32{100, 100}, [2]float32{-100, 1})
	out := answers(t, "{threshold: 0.75}", model(t, record.MultiLabelHead("tags", []string{"new", "red"})), rows)
	if a, b := cell(out, "predicted", 0), cell(out, "predicted", 1); a != `["new","red"]` || b != "[]" {
		t.Errorf("classes %s and %s", a, b)
	}
	out = answers(t, "{}", model(t, record.RegressionHead("size", []string{"x", "y"})), rows)
	if got := cell(out, "predicted", 1); got != "[-100,1]" || out.Schema().HasField(record.Probabilities) {
		t.Errorf("numbers %s of %v", got, out.Schema())
	}
	if head, err := record.ParseHead(out.Schema().Metadata().ToMap()[record.HeadKey]); err != nil || head.Targets[1] != "y" {
		t.Errorf("head %+v, %v", head, err)
	}
}

func TestRefused(t *testing.T) {
	extraction := func(layer string) string {
		return record.Extraction{Backbone: "pixels", Layer: layer, Precision: "fp32"}.Encode()
	}
	prepared := record.Preprocessing{Height: 8, Width: 8, Resize: record.ResizeSquash, Filter: record.FilterBilinear, Channels: "rgb", Std: [3]float32{1, 1, 1}}
	other := prepared
	other.Background = "#000000"
	for _, c := range []struct {
		with        string
		model, data pipeline.Traits
		want        string
	}{
		{"{}", nil, pipeline.Traits{}, "the model is missing"},
		{"{model_file: nosuch.safetensors}", nil, pipeline.Traits{}, "there is no file"},
		{"{model_file: nosuch.safetensors}", pipeline.Traits{}, pipeline.Traits{}, "already"},
		{"{}", pipeline.Traits{record.ExtractionKey: extraction("pooled")}, pipeline.Traits{record.ExtractionKey: extraction("last")}, "the features that the model was trained on: layer last, not pooled"},
		{"{}", pipeline.Traits{record.PreprocessingKey: prepared.Encode()}, pipeline.Traits{record.ExtractionKey: extraction("last")}, "takes images"},
		{"{}", pipeline.Traits{record.PreprocessingKey: prepared.Encode()}, pipeline.Traits{record.PreprocessingKey: other.Encode()}, "#000000"},
		{"{}", pipeline.Traits{record.PreprocessingKey: prepared.Encode(), record.ExtractionKey: extraction("pooled")}, pipeline.Traits{record.PreprocessingKey: prepared.Encode()}, ""},
	} {
		inputs := map[string][]pipeline.Traits{"data": {c.data}}
		if c.model != nil {
			inputs["model"] = []pipeline.Traits{c.model}
		}
		_, err := pipelinetest.Stage(t, predict.Kind(), c.with).Check(inputs)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

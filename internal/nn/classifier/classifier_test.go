package classifier

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

func example(t testing.TB) *Classifier {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("features", 3)
	x = b.Layer("logits", nn.Dense{Out: 2, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	c := New(net, nn.Weights{
		"logits.weight": {Shape: nn.Shape{2, 3}, Data: []float32{1, 0, 0, 0, 1, 0}},
		"logits.bias":   {Shape: nn.Shape{2}, Data: []float32{0, 1}},
	}, record.SingleLabelHead("label", []string{"cat", "dog"}), record.Transforms{record.FeaturesStep{}})
	c.Metadata = map[string]string{"other": "{}"}
	return c
}

func modelRecord(t *testing.T, c *Classifier) arrow.Record {
	t.Helper()
	m, err := c.Model()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := m.Record()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rec.Release)
	return rec
}

func TestStoredAndRead(t *testing.T) {
	c := example(t)
	rec := modelRecord(t, c)
	back, err := Read(context.Background(), pipelinetest.NewTable("head", nil, rec))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back.Weights, c.Weights) || !reflect.DeepEqual(back.Description, c.Description) || !reflect.DeepEqual(back.Metadata, c.Metadata) {
		t.Errorf("read back as %+v", back)
	}
	if got := back.InputShape(); !slices.Equal(got, nn.Shape{3}) {
		t.Errorf("input shape %v", got)
	}
	program, err := back.Compile()
	if err != nil {
		t.Fatal(err)
	}
	probabilities := make([]float32, 4)
	if err := program.NewSession(2).Run(nil, []float32{1, 0, 9, 2, 0, 9}, 2, probabilities); err != nil {
		t.Fatal(err)
	}
	e := math.E / (1 + math.E)
	for i, want := range []float64{0.5, 0.5, e, 1 - e} {
		if math.Abs(float64(probabilities[i])-want) > 1e-6 {
			t.Errorf("probabilities %v, element %d should be %v", probabilities, i, want)
		}
	}
}

// A model that was stored before descriptions is read: its metadata tells the same.
func TestFirstForm(t *testing.T) {
	made := record.Extraction{Backbone: "resnet50", Weights: "imagenet", Digest: "abc", Layer: "pooled", Precision: "fp32"}
	prepared := record.Preprocessing{Height: 8, Width: 8, Resize: record.ResizeSquash, Filter: record.FilterBilinear, Channels: "rgb", Std: [3]float32{1, 1, 1}}
	m, err := example(t).Model()
	if err != nil {
		t.Fatal(err)
	}
	m.Description, m.Classes = nil, []string{"cat", "dog"}
	m.Metadata = map[string]string{record.PreprocessingKey: prepared.Encode(), record.ExtractionKey: made.Encode(), "other": "1"}
	rec, err := m.Record()
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	for key, want := range map[string]bool{record.ClassesKey: true, record.DescriptionKey: false} {
		if _, got := rec.Schema().Metadata().GetValue(key); got != want {
			t.Errorf("%s in the metadata of form 1: %v", key, got)
		}
	}
	c, err := Read(context.Background(), pipelinetest.NewTable("head", nil, rec))
	if err != nil {
		t.Fatal(err)
	}
	want := record.Description{
		Version: record.ModelVersion,
		Inputs:  []record.ModelInput{{Name: "features", Shape: []int{3}, Column: record.Feature, Transforms: append(prepared.Transforms(), record.FeaturesStep{Extraction: made})}},
		Heads:   []record.Head{record.SingleLabelHead("label", []string{"cat", "dog"})},
		Origins: []record.Origin{{Backbone: "resnet50", Weights: "imagenet", Digest: "abc"}},
	}
	if !reflect.DeepEqual(c.Description, want) || !reflect.DeepEqual(c.Metadata, map[string]string{"other": "1"}) {
		t.Errorf("described as %+v with %v, want %+v", c.Description, c.Metadata, want)
	}
	head, err := record.RegressionHead("size", []string{"width", "height"}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	m.Metadata, m.Classes = map[string]string{record.HeadKey: head}, nil
	if c, err = Parse(m); err != nil || c.Head().Task != record.Regression || !slices.Equal(c.Head().Names(), []string{"width", "height"}) || len(c.Metadata) != 0 {
		t.Errorf("a model of numbers is %+v, %v", c, err)
	}
	m.Metadata, m.Classes = map[string]string{record.PreprocessingKey: "{}"}, []string{"cat", "dog"}
	if _, err = Parse(m); err == nil || !strings.Contains(err.Error(), "is not a size") {
		t.Errorf("pictures of no size: %v", err)
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	for _, c := range []struct {
		want  string
		spoil func(m *record.Model)
	}{
		{"2 outputs for 1 classes", func(m *record.Model) { m.Description.Heads[0].Classes = []string{"cat"} }},
		{"but the network takes \"features\"", func(m *record.Model) { m.Description.Inputs[0].Name = "image" }},
		{"but the network takes", func(m *record.Model) { m.Description.Inputs[0].Shape = []int{4} }},
		{"2 heads", func(m *record.Model) {
			m.Description.Heads = append(m.Description.Heads, record.RegressionHead("age", []string{"age"}))
		}},
		{"ends in \"probabilities\"", func(m *record.Model) { m.Description.Heads[0].Output = "logits" }},
		{"no form 7", func(m *record.Model) { m.Description.Version = 7 }},
		{"missing: logits.weight", func(m *record.Model) { m.Tensors = m.Tensors[1:] }},
		{"two tensors are named", func(m *record.Model) { m.Tensors = append(m.Tensors, m.Tensors[0]) }},
		{"not finite", func(m *record.Model) { m.Tensors[1].Data = []float32{0, float32(math.NaN())} }},
		{"no layer", func(m *record.Model) { m.Architecture = []byte(`{"layers": []}`) }},
		{"read a network", func(m *record.Model) { m.Architecture = []byte(`{"backbone": 3}`) }},
		{"load a classifier", func(m *record.Model) { m.Architecture = nil }},
		{"not in a softmax", func(m *record.Model) {
			m.Architecture = []byte(`{"layers": [{"name": "features", "op": "input", "with": {"shape": [3]}}]}`)
		}},
	} {
		m, err := example(t).Model()
		if err != nil {
			t.Fatal(err)
		}
		c.spoil(&m)
		if _, err := Parse(m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	unfit := example(t)
	delete(unfit.Weights, "logits.bias")
	if _, err := unfit.Model(); err == nil {
		t.Error("a classifier without its bias was stored")
	}
}

func TestArtifactsOfOtherSizes(t *testing.T) {
	rec := modelRecord(t, example(t))
	if _, err := Read(context.Background(), pipelinetest.NewTable("twice", nil, rec, rec)); err == nil {
		t.Error("two batches were taken")
	}
	if _, err := Read(context.Background(), pipelinetest.NewTable("nothing", nil)); err == nil {
		t.Error("an empty artifact was taken")
	}
}

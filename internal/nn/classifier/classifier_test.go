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

func example(t *testing.T) *Classifier {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("features", 3)
	x = b.Layer("logits", nn.Dense{Out: 2, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return &Classifier{
		Network: net,
		Weights: nn.Weights{
			"logits.weight": {Shape: nn.Shape{2, 3}, Data: []float32{1, 0, 0, 0, 1, 0}},
			"logits.bias":   {Shape: nn.Shape{2}, Data: []float32{0, 1}},
		},
		Classes:  []string{"cat", "dog"},
		Metadata: map[string]string{record.ExtractionKey: "{}"},
	}
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
	if !reflect.DeepEqual(back.Weights, c.Weights) || !slices.Equal(back.Classes, c.Classes) || !reflect.DeepEqual(back.Metadata, c.Metadata) {
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

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	for _, c := range []struct {
		want  string
		spoil func(m *record.Model)
	}{
		{"2 outputs for 1 classes", func(m *record.Model) { m.Classes = m.Classes[:1] }},
		{"missing: logits.weight", func(m *record.Model) { m.Tensors = m.Tensors[1:] }},
		{"two tensors are named", func(m *record.Model) { m.Tensors = append(m.Tensors, m.Tensors[0]) }},
		{"not finite", func(m *record.Model) { m.Tensors[1].Data = []float32{0, float32(math.NaN())} }},
		{"no layer", func(m *record.Model) { m.Architecture = []byte(`{"layers": []}`) }},
		{"read a network", func(m *record.Model) { m.Architecture = []byte(`{"backbone": 3}`) }},
		{"load a classifier", func(m *record.Model) { m.Architecture = nil }},
		{"not in a softmax", func(m *record.Model) {
			m.Architecture = []byte(`{"layers": [{"name": "features", "op": "input", "with": {"shape": [2]}}]}`)
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

package episodes_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/evaluate/episodes"
)

// data are features of classes that lie apart: classes 0 to 5 for testing, 6 to 8 for training.
func data(t *testing.T) arrow.Record {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, 9),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: record.Split, Type: arrow.BinaryTypes.String},
		{Name: "object", Type: arrow.PrimitiveTypes.Int64},
	}, nil))
	defer b.Release()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 180 {
		class := i % 9
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("row %03d", i))
		list := b.Field(1).(*array.FixedSizeListBuilder)
		list.Append(true)
		for j := range 9 {
			v := 0.1 * random.NormFloat64()
			if j == class {
				v++
			}
			list.ValueBuilder().(*array.Float32Builder).Append(float32(v))
		}
		b.Field(2).(*array.StringBuilder).Append(fmt.Sprint("class ", class))
		split := record.Test
		if class > 5 {
			split = record.Train
		}
		b.Field(3).(*array.StringBuilder).Append(split)
		b.Field(4).(*array.Int64Builder).Append(int64(i/18*9 + class)) // of two rows each
	}
	return b.NewRecord()
}

func TestEpisodesAreMeasured(t *testing.T) {
	rec := data(t)
	defer rec.Release()
	stage := pipelinetest.Stage(t, episodes.Kind(), "{way: 4, shots: [1, 3], query: 5, episodes: 20, by: object, open: 6}")
	out, err := pipelinetest.Run(context.Background(), t, pipelinetest.Env(t), stage, episodes.Kind(), map[string][]pipeline.Input{"data": {pipelinetest.NewTable("features", nil, rec)}})
	if err != nil {
		t.Fatal(err)
	}
	metrics := rows[record.Metric](t, out["metrics"])
	if len(metrics) != 2*6*2 {
		t.Errorf("%d metrics", len(metrics))
	}
	for _, m := range metrics {
		if m.Rows != 20 || m.Value < 0.95 && !strings.Contains(m.Model, "laplacian") || m.Low > m.Value || m.High < m.Value {
			t.Errorf("%+v", m)
		}
	}
	if each := rows[episodes.Episode](t, out["episodes"]); len(each) != 2*6*20 {
		t.Errorf("%d episodes", len(each))
	}
}

func TestWhatIsRefused(t *testing.T) {
	for with, want := range map[string]string{
		"{shots: []}":          "name one number or more",
		"{shots: [1, 1]}":      "listed twice",
		"{shots: [0]}":         "want 1 to 1000",
		"{methods: []}":        "name one or more",
		"{base: test}":         "would not be new",
		"{methods: [nearest]}": "nearest",
		"{way: 1}":             "way",
	} {
		if _, err := pipelinetest.TryStage(episodes.Kind(), with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", with, err, want)
		}
	}
	rec := data(t)
	defer rec.Release()
	for with, want := range map[string]string{
		"{way: 7}":                  "need 7 with more than",
		"{shots: [15], by: object}": "need 5 with more than 15 objects each",
		"{by: place}":               "place",
		"{split: val}":              "no labelled row of split val",
		"{by: feature}":             "not a plain value",
	} {
		stage := pipelinetest.Stage(t, episodes.Kind(), with)
		_, err := pipelinetest.Run(context.Background(), t, pipelinetest.Env(t), stage, episodes.Kind(), map[string][]pipeline.Input{"data": {pipelinetest.NewTable("features", nil, rec)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", with, err, want)
		}
	}
}

func rows[T any](t *testing.T, table *pipelinetest.Table) []T {
	t.Helper()
	out, err := record.ReadRows[T](table.Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

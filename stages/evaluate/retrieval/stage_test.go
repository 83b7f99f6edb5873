package retrieval_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/evaluate/retrieval"
)

// table has rows at angles, in degrees, of classes and objects, all of split test but those of class "other".
func table(t *testing.T, width int, rows ...string) arrow.Record {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, width),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: record.Split, Type: arrow.BinaryTypes.String},
		{Name: "object", Type: arrow.BinaryTypes.String},
	}, nil))
	defer b.Release()
	for i, row := range rows {
		var class, object string
		var angle float64
		if _, err := fmt.Sscan(row, &class, &object, &angle); err != nil {
			t.Fatal(err)
		}
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprint("row", i))
		list := b.Field(1).(*array.FixedSizeListBuilder)
		list.Append(true)
		values := make([]float32, width)
		values[0], values[1] = float32(math.Cos(angle*math.Pi/180)), float32(math.Sin(angle*math.Pi/180))
		list.ValueBuilder().(*array.Float32Builder).AppendValues(values, nil)
		b.Field(2).(*array.StringBuilder).Append(class)
		split := record.Test
		if class == "other" {
			split = record.Train
		}
		b.Field(3).(*array.StringBuilder).Append(split)
		b.Field(4).(*array.StringBuilder).Append(object)
	}
	return b.NewRecord()
}

func run(t *testing.T, with string, tables map[string]arrow.Record) (map[string]float64, []retrieval.Answer, error) {
	t.Helper()
	inputs := map[string][]pipeline.Input{}
	for port, rec := range tables {
		inputs[port] = []pipeline.Input{pipelinetest.NewTable(port, nil, rec)}
	}
	out, err := pipelinetest.Run(context.Background(), t, pipelinetest.Env(t), pipelinetest.Stage(t, retrieval.Kind(), with), retrieval.Kind(), inputs)
	if err != nil {
		return nil, nil, err
	}
	metrics, err := record.ReadRows[record.Metric](out["metrics"].Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := record.ReadRows[retrieval.Answer](out["answers"].Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, m := range metrics {
		found[m.Model+": "+m.Metric] = m.Value
	}
	return found, answers, nil
}

// Rows find those of their class, but not themselves, nor others of their object if these are left out. Rows of other splits are
// neither queries nor found.
func TestWithinATable(t *testing.T) {
	rec := table(t, 2, "a x 0", "a x 1", "a y 20", "b z 10", "b z 11", "b w 60", "other x 0", "other v 2")
	defer rec.Release()
	found, answers, err := run(t, "{at: [1, 2], shown: 2, bootstrap: 20}", map[string]arrow.Record{"data": rec})
	if err != nil {
		t.Fatal(err)
	}
	// The nearest of the six: x1, x0, z11 (ties in no case), z11, z10, y.
	if got := found["data: recall_at_1"]; math.Abs(got-4.0/6) > 1e-9 {
		t.Errorf("recall at 1 is %v", got)
	}
	if got := found["chance: recall_at_1"]; math.Abs(got-2.0/5) > 1e-9 {
		t.Errorf("chance is %v", got)
	}
	if len(answers) != 12 || answers[0].ID != "row0" || answers[0].Found != "row1" || !answers[0].Right || answers[0].Rank != 1 || answers[0].Relevant != 2 {
		t.Errorf("%+v", answers)
	}
	for _, a := range answers {
		if a.ID == a.Found || a.FoundBy == "other" {
			t.Errorf("%+v", a)
		}
	}
	if found, _, err = run(t, "{without: object, bootstrap: 0}", map[string]arrow.Record{"data": rec}); err != nil || found["data: recall_at_1"] != 0 {
		t.Errorf("without rows of the object: %v, %v", found, err)
	}
}

// Rows of two tables find each other, in both directions.
func TestTwoTables(t *testing.T) {
	pictures, texts := table(t, 2, "a x 0", "a y 30", "b z 90"), table(t, 2, "k x 2", "k y 80", "k z 85")
	defer pictures.Release()
	defer texts.Release()
	found, _, err := run(t, "{by: object, at: [1, 3], bootstrap: 0}", map[string]arrow.Record{"data": pictures, "gallery": texts})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"data → gallery: recall_at_1": 2.0 / 3, "data → gallery: recall_at_3": 1, "data → gallery: median_rank": 1,
		"gallery → data: recall_at_1": 2.0 / 3, "gallery → data: mean_reciprocal_rank": (1 + 0.5 + 1) / 3.0, "chance, gallery → data: recall_at_1": 1.0 / 3,
	} {
		if got := found[name]; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	for with, want := range map[string]string{"{at: []}": "name one number", "{at: [1, 1]}": "listed twice", "{by: object, without: object}": "would be left out", `{by: ""}`: "name a column"} {
		if _, err := pipelinetest.TryStage(retrieval.Kind(), with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", with, err, want)
		}
	}
	rec, wide, alone := table(t, 2, "a x 0", "a y 1"), table(t, 3, "a x 0", "b y 1"), table(t, 2, "a x 0", "b y 1")
	defer rec.Release()
	defer wide.Release()
	defer alone.Release()
	for _, c := range []struct {
		with, want string
		tables     map[string]arrow.Record
	}{
		{"{by: place}", "place", map[string]arrow.Record{"data": rec}},
		{"{by: feature}", "not a plain value", map[string]arrow.Record{"data": rec}},
		{"{split: val}", "no row of split val", map[string]arrow.Record{"data": rec}},
		{"{}", "no query of split test has a row that belongs to it", map[string]arrow.Record{"data": alone}},
		{"{by: object}", "not in one space", map[string]arrow.Record{"data": rec, "gallery": wide}},
	} {
		if _, _, err := run(t, c.with, c.tables); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.with, err, c.want)
		}
	}
}

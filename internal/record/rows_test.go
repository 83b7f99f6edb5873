package record_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/record"
)

func encodeRows[T any](t interface{ Fatal(...any) }, rows []T) []byte {
	rec := record.FromRows(rows)
	defer rec.Release()
	data, err := record.Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRowsComeBackAsWritten(t *testing.T) {
	type row struct {
		Name  string  `column:"name"`
		Yes   bool    `column:"yes"`
		Small int32   `column:"small"`
		Count int64   `column:"count"`
		Value float64 `column:"value"`
	}
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(rapid.Custom(func(t *rapid.T) row {
			return row{
				Name: rapid.String().Draw(t, "name"), Yes: rapid.Bool().Draw(t, "yes"),
				Small: rapid.Int32().Draw(t, "small"), Count: rapid.Int64().Draw(t, "count"),
				Value: rapid.Float64().Draw(t, "value"),
			}
		})).Draw(t, "rows")
		back, err := record.ReadRows[row](record.Decode(encodeRows(t, rows)))
		if err != nil {
			t.Fatal(err)
		}
		if len(back) != len(rows) {
			t.Fatalf("%d rows came back of %d", len(back), len(rows))
		}
		for i := range rows {
			if back[i] != rows[i] {
				t.Fatalf("row %d: %+v became %+v", i, rows[i], back[i])
			}
		}
	})
}

func TestNotANumberRestsAsNull(t *testing.T) {
	rec := record.FromRows([]record.Metric{{Model: "m", Value: math.NaN(), Low: 1, High: 2}})
	defer rec.Release()
	at, _, err := record.Column(rec.Schema(), "value")
	if err != nil {
		t.Fatal(err)
	}
	if !rec.Column(at).IsNull(0) {
		t.Error("the value that is not defined is not null")
	}
	back, err := record.ReadRows[record.Metric](record.Decode(encodeRows(t, []record.Metric{{Value: math.NaN()}})))
	if err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(back[0].Value) {
		t.Errorf("null came back as %v", back[0].Value)
	}
}

func TestReadRowsRefusesAnotherTable(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "model", Type: arrow.PrimitiveTypes.Int64}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Field(0).(*array.Int64Builder).Append(1)
	rec := b.NewRecord()
	defer rec.Release()
	data, err := record.Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = record.ReadRows[record.Confusion](record.Decode(data)); err == nil || !strings.Contains(err.Error(), `"model" is int64`) {
		t.Errorf("error %v does not name the column of the wrong type", err)
	}
	if record.HasRows[record.Confusion](schema) {
		t.Error("a table of other columns passes for a confusion table")
	}
	if !record.HasRows[record.Confusion](record.RowsSchema[record.Confusion]()) {
		t.Error("a confusion table is not taken for one")
	}
	if _, err := record.ReadRows[record.Metric](record.Decode([]byte("no Arrow file"))); err == nil {
		t.Error("no error for bytes that are not Arrow")
	}
}

func TestHeadline(t *testing.T) {
	none := math.NaN()
	got := record.Headline([]record.Metric{
		{Model: "head", Metric: record.UnknownLabel, Class: "B", Value: 29, Rows: 29},
		{Model: "head", Metric: record.Accuracy, Value: 0.9, Low: 0.8, High: 0.95, Rows: 30},
		{Model: "head", Metric: record.Accuracy, Slice: "domain=noto", Value: 0.1},
		{Model: "head", Metric: record.ROCAUC, Class: "bird", Value: 0.1},
		{Model: "head", Metric: record.ROCAUC, Value: 0.99, Low: none, High: none},
		{Model: "head", Metric: record.LogLoss, Value: none},
		{Model: "head", Metric: record.WeightedF1, Value: 0.5},
		{Model: "majority class", Metric: record.Accuracy, Value: 0.125, Low: none, High: none},
	})
	want := map[string]float64{
		"head.accuracy": 0.9, "head.accuracy_low": 0.8, "head.accuracy_high": 0.95,
		"head.rows": 30, "head.labelled_rows": 59, "head.roc_auc": 0.99, "majority class.accuracy": 0.125,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("headline %v, want %v", got, want)
	}
}

func TestDecidedNeedsTestAndInterval(t *testing.T) {
	for _, c := range []struct {
		p, low, high float64
		want         bool
	}{
		{0.01, 0.1, 0.2, true},
		{0.01, -0.2, -0.1, true},
		{0.2, 0.1, 0.2, false},
		{0.01, -0.1, 0.2, false},
		{0.01, math.NaN(), math.NaN(), true},
		{0.06, math.NaN(), math.NaN(), false},
	} {
		if got := (record.Comparison{PAdjusted: c.p, Low: c.low, High: c.high}).Decided(); got != c.want {
			t.Errorf("p %v, interval %v to %v: decided %v", c.p, c.low, c.high, got)
		}
	}
}

func TestEvaluationComesBackAsWritten(t *testing.T) {
	want := record.Evaluation{Split: "test", Resamples: 1000, Cluster: "object"}
	got, err := record.ParseEvaluation(want.Encode())
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := record.ParseEvaluation("{"); err == nil {
		t.Error("no error for what is not JSON")
	}
}

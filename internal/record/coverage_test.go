package record_test

import (
	"reflect"
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
)

func TestCoverages(t *testing.T) {
	table := []record.Metric{
		{Model: "head", Role: record.ModelRole, Metric: record.Unlabelled, Rows: 2},
		{Model: "head", Role: record.ModelRole, Metric: record.UnknownLabel, Rows: 31},
		{Model: "head", Role: record.ModelRole, Metric: record.UnknownLabel, Class: "d", Rows: 4},
		{Model: "head", Role: record.ModelRole, Metric: record.UnknownLabel, Class: "Sea Lion", Rows: 25},
		{Model: "head", Role: record.ModelRole, Metric: record.UnknownLabel, Class: "-", Rows: 2},
		{Model: "head", Role: record.ModelRole, Metric: record.Accuracy, Rows: 30},
		{Model: "head", Role: record.ModelRole, Metric: record.Accuracy, Slice: "domain=x", Rows: 3},
		{Model: "head", Role: record.ModelRole, Metric: record.Recall, Class: "sea_lion", Rows: 30},
		{Model: "head", Role: record.ModelRole, Metric: record.Recall, Class: "+"},
		{Model: "majority class", Role: record.BaselineRole, Metric: record.Accuracy, Rows: 61},
	}
	want := []record.Coverage{
		{Model: "head", Scored: 30, Labelled: 61, Unlabelled: 2, Unknown: []record.UnknownClass{
			{Label: "Sea Lion", Rows: 25, Like: "sea_lion"}, {Label: "d", Rows: 4}, {Label: "-", Rows: 2},
		}},
		{Model: "majority class", Baseline: true, Scored: 61, Labelled: 61},
	}
	if got := record.Coverages(table); !reflect.DeepEqual(got, want) {
		t.Errorf("coverages\n%+v, want\n%+v", got, want)
	}
}

func TestAlike(t *testing.T) {
	for _, pair := range [][2]string{{"Sea Lion", "sea_lion"}, {"1", "1.0"}, {"+1e3", "1000"}, {"NaN", "nan"}} {
		if record.Alike(pair[0]) != record.Alike(pair[1]) {
			t.Errorf("%q and %q are not alike", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"+", "-"}, {"1.5", "15"}, {"-1", "1"}, {"cat", "cats"}} {
		if record.Alike(pair[0]) == record.Alike(pair[1]) {
			t.Errorf("%q and %q are alike", pair[0], pair[1])
		}
	}
}

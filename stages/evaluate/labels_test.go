package evaluate_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// mislabelled makes two clusters of rows in all splits, some of them with the label of the other. Copies of wrong rows stand
// beside them, which must not be looked at.
func mislabelled(t testing.TB) (rec arrow.Record, planted []string) {
	random := rand.New(rand.NewPCG(8, 9))
	var rows []row
	for i := range 300 {
		r := row{id: fmt.Sprint("row ", i), label: "left", split: []string{record.Train, record.Train, record.Validation, record.Test}[i%4], object: fmt.Sprint(i / 2)}
		r.x, r.y = float32(random.NormFloat64()-3), float32(random.NormFloat64())
		if i%2 == 1 {
			r.label = "right"
			r.x += 6
		}
		if i%20 == 7 || i%20 == 12 {
			r.label = map[string]string{"left": "right", "right": "left"}[r.label]
			planted = append(planted, r.id)
		}
		rows = append(rows, r)
		if r.split == record.Train {
			r.copy = 1
			rows = append(rows, r)
		}
	}
	rows = append(rows, row{id: "alone", label: "only one", split: record.Train, object: "alone"}, row{id: "bare", split: record.Train, object: "bare"})
	return features(t, "", rows...), planted
}

func TestPlantedLabelErrorsAreFound(t *testing.T) {
	rec, planted := mislabelled(t)
	data := pipelinetest.NewTable("data", nil, rec)
	search := func(with string) (found []record.LabelError, about record.Evaluation) {
		out := run(t, with, []pipeline.Input{model(t, "head", nil, 1, "", "left", "right")}, []pipeline.Input{data})
		table := out.tables["label_errors"]
		schema, err := table.Schema(context.Background())
		if err != nil || schema == nil {
			t.Fatalf("schema %v, error %v", schema, err)
		}
		text, _ := schema.Metadata().GetValue(record.EvaluationKey)
		about, err = record.ParseEvaluation(text)
		if err != nil {
			t.Fatal(err)
		}
		return rowsOf[record.LabelError](t, table), about
	}
	for _, with := range []string{"{bootstrap: 0}", "{bootstrap: 0, cluster: object, label_errors: 10}"} {
		found, about := search(with)
		if about.Labels == nil || about.Labels.Rows != 300 {
			t.Fatalf("%s: looked at %+v, want 300 rows", with, about.Labels)
		}
		right := 0
		for _, issue := range found {
			if slices.Contains(planted, issue.ID) {
				right++
			}
			if issue.Label == issue.Suggested || issue.Probability >= issue.Confidence {
				t.Errorf("%s: %+v", with, issue)
			}
		}
		t.Logf("%s: %d rows found, %d of the %d planted errors among them", with, len(found), right, len(planted))
		if right < len(planted)*95/100 || len(found) > len(planted)*110/100 {
			t.Errorf("%s: %d rows found, %d of the %d planted errors among them", with, len(found), right, len(planted))
		}
	}
	if found, about := search("{bootstrap: 0, label_errors: 0}"); found != nil || about.Labels != nil {
		t.Errorf("the search is off and finds %v", found)
	}
}

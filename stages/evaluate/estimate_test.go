package evaluate_test

import (
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/evaluate"
)

// Features are in memory for logistic regression alone; without inputs little is known.
func TestEstimate(t *testing.T) {
	estimate := func(with string, inputs map[string][]pipeline.Input) int64 {
		t.Helper()
		r, err := pipelinetest.Stage(t, evaluate.Kind(), with).(pipeline.Estimator).Estimate(inputs)
		if err != nil {
			t.Fatal(err)
		}
		return r.Memory
	}
	var rows []row
	for range 1000 {
		rows = append(rows, row{id: "a", label: "a", split: "test"})
	}
	inputs := map[string][]pipeline.Input{
		"model": {model(t, "head", nil, 1, "", "a", "b")},
		"data":  {pipelinetest.NewTable("features", nil, features(t, "", rows...))},
	}
	least, with, without := estimate("{}", nil), estimate("{}", inputs), estimate("{baselines: [majority]}", inputs)
	if least > 100e6 || without < least+1000*100 || with-without != 1000*2*4*9/4 {
		t.Errorf("without inputs %d, with them %d, without logistic regression %d", least, with, without)
	}
}

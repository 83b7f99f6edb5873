package choose_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/adapt/choose"
)

// A validator chooses between models; neither the baseline nor labels of the target decide.
func TestChooses(t *testing.T) {
	stage := pipelinetest.Stage(t, choose.Kind(), "{by: im}")
	inputs := map[string][]pipeline.Input{}
	digests := map[string]string{}
	for _, m := range []struct {
		name       string
		im, oracle float64
	}{{"adapted[weight=1]", 0.5, 0.9}, {"adapted[weight=2]", 0.8, 0.6}, {"adapted[weight=3]", math.NaN(), 0.7}} {
		model := record.FromRows([]record.LossTerm{{Candidate: m.name}}) // any table is passed on
		table := pipelinetest.NewTable(m.name, nil, model)
		digests[m.name] = table.Digest()
		selection := record.FromRows([]record.AdaptationTrial{
			{Candidate: "direct", Method: "direct", Best: true, IM: 0.99, Oracle: 0.5, P: math.NaN()},
			{Candidate: "dann", Method: "dann", Epoch: 1, IM: 0.95, Oracle: 0.99},
			{Candidate: "dann", Method: "dann", Epoch: 2, Best: true, Chosen: true, IM: m.im, Oracle: m.oracle},
		})
		inputs["models"] = append(inputs["models"], table)
		inputs["selections"] = append(inputs["selections"], pipelinetest.NewTable(m.name+".selection", nil, selection))
		model.Release()
		selection.Release()
	}
	out, err := pipelinetest.Run(context.Background(), t, pipelinetest.Env(t), stage, choose.Kind(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	if out["model"].Digest() != digests["adapted[weight=2]"] {
		t.Error("another model was passed on")
	}
	trials, err := record.ReadRows[record.AdaptationTrial](out["selection"].Batches(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	if len(trials) != 4 || trials[0].Method != "direct" || trials[0].Chosen || !trials[2].Chosen || trials[2].Candidate != "adapted[weight=2]: dann" {
		t.Errorf("%+v", trials)
	}
	diagnostics, err := record.ReadRows[record.Diagnostic](out["diagnostics"].Batches(context.Background()))
	if err != nil || len(diagnostics) != 1 || math.Abs(diagnostics[0].Value-0.3) > 1e-9 {
		t.Errorf("regret %+v, %v", diagnostics, err)
	}
	inputs["selections"] = inputs["selections"][:1]
	if _, err := pipelinetest.Run(context.Background(), t, pipelinetest.Env(t), stage, choose.Kind(), inputs); err == nil || !strings.Contains(err.Error(), "adapted[weight=2] has no selection") {
		t.Errorf("without a selection: %v", err)
	}
}

package transfer

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// TestLogisticHead fits rows that a plane divides as well as can be, says which penalty was taken, and needs no seed.
func TestLogisticHead(t *testing.T) {
	training, validation := blobs("train", 60, 0.8, 1), blobs("val", 30, 0.8, 2)
	out := mustRun(t, "{head: logistic}", features(t, append(training, validation...)...))
	kept := 0
	for _, e := range out.history {
		if e.Kept {
			kept++
		}
	}
	if kept != 1 || len(out.history) < 4 {
		t.Errorf("%d of %d penalties were kept", kept, len(out.history))
	}
	if got := accuracy(t, out.model, validation); got < 0.9 {
		t.Errorf("accuracy %v", got)
	}
	again := mustRun(t, "{head: {kind: logistic, penalties: [1]}}", features(t, training...))
	if len(again.history) != 1 || !again.history[0].Kept {
		t.Errorf("history %+v", again.history)
	}
}

func TestLogisticHeadRefusesWhatItHasNot(t *testing.T) {
	for with, want := range map[string]string{
		"{head: logistic, epochs: 3}":                           "it has no epochs",
		"{head: logistic, learning_rate: 0.1}":                  "has no learning rate",
		"{head: logistic, early_stopping: {patience: 3}}":       "fitted to its end",
		"{head: logistic, backbone: resnet18, weights: random}": "logistic is for features",
		"{head: {kind: logistic, hidden: [3]}}":                 "no hidden layers",
		"{head: {penalties: [3]}}":                              "a head of kind network has no penalties",
		"{head: {kind: knn, shrinkage: 0.5}}":                   "a head of kind knn has no shrinkage",
		"{head: {kind: ridges}}":                                "is no kind of head",
		"{head: {kind: lda, shrinkage: 2}}":                     "largest allowed value, 1",
		"{head: logistics}":                                     "is no head",
	} {
		if _, err := pipelinetest.TryStage(Kind(), with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", with, err, want)
		}
	}
}

// TestFittedHeads runs every classifier that is fitted to its end, with what may be said of it, and lets its model answer.
func TestFittedHeads(t *testing.T) {
	training, validation := blobs("train", 60, 0.8, 1), blobs("val", 30, 0.8, 2)
	heads := []string{"{kind: ridge, penalties: [10, 1]}", "{kind: lda, shrinkage: 0.1}", "{kind: centroid, metric: cosine}", "{kind: knn, k: [3, 7], metric: cosine, weighted: true}"}
	for _, head := range append(shallow.Names(), heads...) {
		for _, standardise := range []string{"", ", standardise: true"} {
			out := mustRun(t, "{head: "+head+standardise+"}", features(t, append(training, validation...)...))
			kept := slices.IndexFunc(out.history, func(e record.TrainingEpoch) bool { return e.Kept })
			if got := accuracy(t, out.model, validation); got < 0.9 || kept < 0 || math.Abs(got-out.history[kept].ValidationAccuracy) > 0.02 {
				t.Errorf("%s: accuracy %v, history %+v", head, got, out.history)
			}
			mustRun(t, "{head: "+head+standardise+"}", features(t, training...))
		}
	}
}

// A model that keeps rows has nothing that training could go on with.
func TestVotesAreNotGoneOnWith(t *testing.T) {
	rows := features(t, append(blobs("train", 20, 0.8, 1), blobs("val", 10, 0.8, 2)...)...)
	first, err := runStage(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), "{head: knn}").(*stage), map[string][]pipeline.Input{DataPort: {pipelinetest.NewTable("features", nil, rows)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = runStage(t, pipelinetest.Env(t), pipelinetest.Stage(t, Kind(), "{epochs: 1}").(*stage), map[string][]pipeline.Input{
		DataPort: {pipelinetest.NewTable("features", nil, rows)}, ModelPort: {first.tables[ModelPort]},
	})
	if err == nil || !strings.Contains(err.Error(), "cannot be trained further") {
		t.Error(err)
	}
}

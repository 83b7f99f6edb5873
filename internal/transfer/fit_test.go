package transfer

import (
	"strings"
	"testing"

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
		"{head: {penalties: [3]}}":                              "a network has no penalties",
		"{head: logistics}":                                     "is no head",
	} {
		if _, err := pipelinetest.TryStage(Kind(), with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", with, err, want)
		}
	}
}

package finetune_test

import (
	"fmt"
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/finetune"
	"github.com/tlpipe/tlpipe/stages/preprocess"
)

// A training takes more the more layers learn, and the more pictures are in a batch. What was measured of
// whole processes lies below.
func TestEstimate(t *testing.T) {
	pictures, err := pipelinetest.Stage(t, preprocess.Kind(), "{source: {builtin: emoji}, for: mobilenet_v2}").Check(nil)
	if err != nil {
		t.Fatal(err)
	}
	estimate := func(strategy string, batch int) int64 {
		t.Helper()
		stage := pipelinetest.Stage(t, finetune.Kind(),
			fmt.Sprintf("{backbone: mobilenet_v2, weights: random, batch_size: %d, strategy: {kind: %s, epochs: 1}}", batch, strategy))
		if _, err := stage.Check(map[string][]pipeline.Traits{"data": {pictures["images"]}}); err != nil {
			t.Fatal(err)
		}
		r, err := stage.(pipeline.Estimator).Estimate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Memory
	}
	head, few, many := estimate("feature_extraction", 4), estimate("full", 4), estimate("full", 16)
	if head >= few || few >= many {
		t.Errorf("the head alone %d, all layers %d, in larger batches %d", head, few, many)
	}
	// Peaks of `tlpipe bench train --backbone mobilenet_v2 --train all`: 202 MB at batch 4, 545 MB at batch 16.
	if few < 202e6 || few > 700e6 || many < 545e6 || many > 1200e6 {
		t.Errorf("%d bytes at batch 4, %d at batch 16", few, many)
	}
	if more := many - few; more < 300e6 || more > 450e6 {
		t.Errorf("twelve pictures more take %d bytes, measured 340 MB", more)
	}
}

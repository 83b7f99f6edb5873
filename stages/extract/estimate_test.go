package extract_test

import (
	"fmt"
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/extract"
	"github.com/tlpipe/tlpipe/stages/preprocess"
)

// More pictures at once take more for each thread, and larger ones more of everything but weights; what a row
// takes depends on the recipe alone.
func TestEstimate(t *testing.T) {
	estimate := func(size, batch int) pipeline.Resources {
		t.Helper()
		pictures, err := pipelinetest.Stage(t, preprocess.Kind(), fmt.Sprintf("{source: {builtin: emoji}, for: efficientnet_lite0, size: %d}", size)).Check(nil)
		if err != nil {
			t.Fatal(err)
		}
		stage := pipelinetest.Stage(t, extract.Kind(), fmt.Sprintf("{backbone: efficientnet_lite0, batch: %d}", batch))
		if _, err := stage.Check(map[string][]pipeline.Traits{"images": {pictures["images"]}}); err != nil {
			t.Fatal(err)
		}
		r, err := stage.(pipeline.Estimator).Estimate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one, many, large := estimate(64, 1), estimate(64, 16), estimate(256, 1)
	if one.Memory < 10e6 || one.Memory > 100e6 {
		t.Errorf("the weights, of 3.4 million parameters, take %d bytes", one.Memory)
	}
	if many.Memory != one.Memory || many.PerRow != one.PerRow || many.PerThread < 2*one.PerThread-one.PerThread/2 {
		t.Errorf("one picture at once %+v, sixteen %+v", one, many)
	}
	if large.Memory != one.Memory || large.PerRow <= one.PerRow || large.PerThread <= one.PerThread {
		t.Errorf("small pictures %+v, large ones %+v", one, large)
	}
}

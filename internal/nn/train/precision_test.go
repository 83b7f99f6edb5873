package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
)

// TestBFloat16TrainsAlike holds the losses of trainings whose products are rounded to bfloat16 against
// those in float32: the first is within 1 %, each within 10 %, and the mean of the last five within
// 3 %.
func TestBFloat16TrainsAlike(t *testing.T) {
	for _, c := range networkCases {
		t.Run(c.name, func(t *testing.T) {
			net := c.net(t)
			o := mapOptions(c.frozen, 2)
			want := tenSteps(t, newTrainer(t, net, referenceWeights(net), o))
			o.Precision = frozen.BFloat16
			got := tenSteps(t, newTrainer(t, net, referenceWeights(net), o))
			near := func(what string, a, b, tolerance float64) {
				if math.Abs(a-b) > tolerance*b {
					t.Errorf("%s: loss %v, in float32 %v", what, a, b)
				}
			}
			near("first step", got[0], want[0], 0.01)
			var gotLast, wantLast float64
			for step, loss := range got {
				near(fmt.Sprint("step ", step), loss, want[step], 0.1)
				if step >= 5 {
					gotLast += loss / 5
					wantLast += want[step] / 5
				}
			}
			near("last five", gotLast, wantLast, 0.03)
			if kernel.HasBFloat16() && slices.Equal(got, want) {
				t.Error("nothing was rounded")
			}
		})
	}
	// A head learns as well.
	net := tutorialHead(t, 10, 4)
	o := adamOptions()
	o.Precision = frozen.BFloat16
	last := run(t, net, o, blobs(160, 10, 4, 0.3, 1), blobs(80, 10, 4, 0.3, 2)).History()[11]
	if last.ValidationMeasures.Of(objective.Accuracy) != 1 || last.ValidationLoss > 0.05 {
		t.Errorf("after 12 epochs: %+v", last)
	}
}

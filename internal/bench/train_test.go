package bench

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

func TestStepsOfTraining(t *testing.T) {
	var before int64
	for _, trained := range []string{"head", "top:0", "top:9", "all"} {
		m := Train{Backbone: "resnet18", Size: 64, Classes: 10, Trained: trained, Batch: 2, Threads: 2, WarmUp: 1, Repeat: 2}
		r, err := m.Measure(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if r.Height != 64 || r.ImagesPerSecond <= 0 || r.Median > r.ImagesPerSecond || r.Repeat != 2 {
			t.Errorf("%s: measured %+v", trained, r)
		}
		if r.Parameters < before || trained == "top:9" && r.Parameters == before {
			t.Errorf("%s: %d parameters learn, of less %d", trained, r.Parameters, before)
		}
		before = r.Parameters
		// 148 MMAC at 64 pixels; the first convolution, 9.6 of them, needs no gradient of its input.
		perImage := r.GFLOPS / r.ImagesPerSecond / 2
		if want := map[string]float64{"head": 0.148, "all": 3*0.148 - 0.0096}[trained]; want > 0 && math.Abs(perImage/want-1) > 0.01 {
			t.Errorf("%s: %v·10⁹ multiplications a picture, want about %v", trained, perImage, want)
		}
	}
	if before != 11_176_512+5_130 { // of torchvision's resnet18 without its head, and of this one
		t.Errorf("%d parameters learn in all", before)
	}
}

func TestOtherWaysToTrain(t *testing.T) {
	m := Train{Backbone: "resnet18", Size: 64, Classes: 10, Trained: "top:9", Batch: 2, Threads: 2, Repeat: 1}
	whole, err := m.Measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	m.Cached, m.FixedNorms, m.Precision = true, true, frozen.BFloat16
	above, err := m.Measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if above.Parameters != whole.Parameters || above.From != "layer4.0.act" || !above.FixedNorms || above.Precision != "bf16" || above.Height != 64 {
		t.Errorf("from the cache %+v, whole %+v", above, whole)
	}
	if a, b := above.GFLOPS/above.ImagesPerSecond, whole.GFLOPS/whole.ImagesPerSecond; a > b/2 {
		t.Errorf("%v operations a picture from the cache, %v in all", a, b)
	}
}

func TestTrainingThatCannotBeMeasured(t *testing.T) {
	good := Train{Backbone: "resnet18", Size: 32, Classes: 2, Trained: "head", Batch: 2, Threads: 1, Repeat: 1}
	for name, change := range map[string]func(*Train){
		"no such backbone":  func(m *Train) { m.Backbone = "resnet" },
		"no network":        func(m *Train) { m.Backbone = "pixels" },
		"one picture":       func(m *Train) { m.Batch = 1 },
		"one class":         func(m *Train) { m.Classes = 1 },
		"no step":           func(m *Train) { m.Repeat = 0 },
		"too small":         func(m *Train) { m.Size = 3 },
		"no such part":      func(m *Train) { m.Trained = "tail" },
		"no number":         func(m *Train) { m.Trained = "top:" },
		"no such precision": func(m *Train) { m.Precision = frozen.Int8 },
		"too many":          func(m *Train) { m.Trained = "top:1000" },
	} {
		m := good
		change(&m)
		var wrong *RequestError
		if _, err := m.Measure(context.Background()); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

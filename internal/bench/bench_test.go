package bench

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
)

func TestAProfileCoversTheNetwork(t *testing.T) {
	e := Extract{Backbone: "resnet18", Size: 64, Batch: 2, Threads: 2, Weights: backbone.RandomWeights, Repeat: 1, WarmUp: 1, Profile: true}
	r, err := e.Measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r.Height != 64 || r.Width != 64 || r.ImagesPerSecond <= 0 || r.Median > r.ImagesPerSecond || r.Peak <= 0 {
		t.Errorf("measured %+v", r)
	}
	// 1.8 GMAC at 224 pixels, of which all but a thousand outputs of the classifier grow with the
	// picture.
	if perImage := 1e9 * r.GFLOPS / r.ImagesPerSecond; perImage < 2*1.4e8 || perImage > 2*1.6e8 {
		t.Errorf("%v operations a picture", perImage)
	}
	var share float64
	var steps int
	for _, class := range r.Classes {
		share += class.Share
		steps += class.Steps
	}
	if math.Abs(share-1) > 1e-9 || steps != len(r.Steps) || steps < 21 {
		t.Errorf("classes of %d steps have a share of %v; there are %d steps", steps, share, len(r.Steps))
	}
	var work float64
	for _, s := range r.Steps {
		work += s.GFLOPS * 1e9 * s.Seconds / 2
	}
	if want := 1e9 * r.GFLOPS / r.ImagesPerSecond; math.Abs(work/want-1) > 1e-6 {
		t.Errorf("the steps do %v operations a picture, the network %v", work, want)
	}
}

// ResNet50 needs at most 300 MB beside its weights and the pictures, at batch 8.
func TestALargeNetworkNeedsLittleMemory(t *testing.T) {
	e := Extract{Backbone: "resnet50", Batch: 8, Threads: 2, Weights: backbone.RandomWeights, Repeat: 1}
	r, err := e.Measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r.ArenaBytes < 1<<20 || r.ArenaBytes > 300e6 {
		t.Errorf("%d bytes", r.ArenaBytes)
	}
	t.Logf("%d bytes for activations and workspaces, %d for packed weights", r.ArenaBytes, r.WeightBytes)
}

func TestWhatCannotBeMeasured(t *testing.T) {
	good := Extract{Backbone: "resnet18", Size: 32, Batch: 1, Threads: 1, Weights: backbone.RandomWeights, Repeat: 1}
	for name, change := range map[string]func(*Extract){
		"no such backbone": func(e *Extract) { e.Backbone = "resnet" },
		"no network":       func(e *Extract) { e.Backbone = "pixels" },
		"no picture":       func(e *Extract) { e.Batch = 0 },
		"no thread":        func(e *Extract) { e.Threads = 0 },
		"no run":           func(e *Extract) { e.Repeat = 0 },
		"too small":        func(e *Extract) { e.Size = 3 },
		"no such weights":  func(e *Extract) { e.Weights = "mine" },
		"no such file":     func(e *Extract) { e.Weights = "none.safetensors" },
	} {
		e := good
		change(&e)
		var wrong *RequestError
		if _, err := e.Measure(context.Background()); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := good.Measure(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

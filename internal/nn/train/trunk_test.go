package train

import (
	"context"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

func TestTrunkIsWhatLiesBelowAllThatLearns(t *testing.T) {
	net := inverted(t)
	below := func(first string) func(string) bool {
		reached := map[string]bool{}
		on := true
		for _, l := range net.Layers() {
			on = on && l.Name != first
			reached[l.Name] = on
		}
		return func(layer string) bool { return reached[layer] }
	}
	for first, boundary := range map[string][]string{
		"stem":    {"input"},
		"a3":      {"a2active", "stemactive"}, // a3 itself, and the residual around it
		"squeeze": {"squeezepool", "b2active"},
		"logits":  {"pooled"},
	} {
		trunk, err := newTrunk(net, referenceWeights(net), Options{Freeze: below(first)})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(trunk.boundary, boundary) {
			t.Errorf("below %s: %v, want %v", first, trunk.boundary, boundary)
		}
	}
	if _, err := newTrunk(net, referenceWeights(net), Options{Freeze: func(string) bool { return true }}); err == nil {
		t.Error("a network that learns nothing was taken")
	}
}

// TestTrunkOfSeveralInputs parts a network that one input enters above what is frozen.
func TestTrunkOfSeveralInputs(t *testing.T) {
	b := nn.NewBuilder()
	image := b.Layer("image.dense", nn.Dense{Out: 3}, b.Input("image", 2))
	side := b.Input("side", 3)
	still := b.Layer("side.active", nn.Activation{Function: kernel.ReLU}, side)
	both := b.Layer("both", nn.Add{}, image, side, still)
	b.Layer("logits", nn.Dense{Out: 2}, both)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	for first, want := range map[string]struct{ boundary, computed []string }{
		"image.dense": {boundary: []string{"image", "side"}},
		"logits":      {boundary: []string{"both"}, computed: []string{"both"}},
		"both":        {boundary: []string{"both"}, computed: []string{"both"}},
	} {
		trunk, err := newTrunk(net, nntest.Weights(net, 1), Options{Freeze: func(layer string) bool { return layer != "logits" && layer != first }})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(trunk.boundary, want.boundary) || !slices.Equal(trunk.computed, want.computed) {
			t.Errorf("%s learns: boundary %v, computed %v", first, trunk.boundary, trunk.computed)
		}
	}
}

// TestRestoreReplacesFrozenWeights restores a checkpoint into a trainer that has run with others.
func TestRestoreReplacesFrozenWeights(t *testing.T) {
	net := inverted(t)
	o := mapOptions(func(layer string) bool { return isNorm(layer) || layer == "stem" || layer == "b3" }, 1)
	examples, positions := pictures(12), []int{0, 1, 2}
	first := newTrainer(t, net, referenceWeights(net), o)
	checkpoint, err := first.Save()
	if err != nil {
		t.Fatal(err)
	}
	second := newTrainer(t, net, net.Initialise(5), o)
	loss := func(trainer *Trainer) float64 {
		s, err := trainer.step(context.Background(), examples, [][]int{positions}, o.Rate, graph.Draw{}, schedule.Position{})
		if err != nil {
			t.Fatal(err)
		}
		return s.loss
	}
	want, before := loss(first), loss(second)
	if err := second.Restore(checkpoint); err != nil {
		t.Fatal(err)
	}
	if got := loss(second); got != want || before == want {
		t.Errorf("loss %v before and %v after, want %v", before, got, want)
	}
}

package zeroshot

import (
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
)

func model(t *testing.T, width int, weight float32, classes ...string) *classifier.Classifier {
	t.Helper()
	b := nn.NewBuilder()
	b.Layer("probabilities", nn.Softmax{}, b.Layer("logits", nn.Dense{Out: len(classes)}, b.Input("features", width)))
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := nn.Weights{"logits.weight": {Shape: nn.Shape{len(classes), width}, Data: slices.Repeat([]float32{weight}, width*len(classes))}}
	return classifier.New(net, weights, record.SingleLabelHead(record.Label, classes), nil)
}

// The model between two has their weights in the given shares, and at the ends those of one, bit for bit.
func TestBetween(t *testing.T) {
	first, second := model(t, 3, 0.1, "a", "b"), model(t, 3, 0.7, "a", "b")
	for share, want := range map[float64]float32{0: 0.1, 1: 0.7, 0.25: 0.25} {
		got, err := between(first, second, share)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range got.Weights["logits.weight"].Data {
			if d := w - want; share == 0.25 && (d > 1e-7 || d < -1e-7) || share != 0.25 && w != want {
				t.Errorf("share %v: weight %v, want %v", share, w, want)
			}
		}
	}
	for want, other := range map[string]*classifier.Classifier{"different layers": model(t, 3, 1, "a", "b", "c"), "different classes": model(t, 3, 1, "a", "c")} {
		if _, err := between(first, other, 0.5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := between(first, model(t, 4, 1, "a", "b"), 0.5); err == nil {
		t.Error("models of inputs of different widths were mixed")
	}
}

func TestUnit(t *testing.T) {
	x := []float64{3, 4}
	if !unit(x) || x[0] != 0.6 || x[1] != 0.8 || unit([]float64{0, 0}) {
		t.Errorf("%v", x)
	}
}

package method

import (
	"math"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// The reversal rises, and the rate falls, as published.
func TestSchedulesOfAdversarialTraining(t *testing.T) {
	for i, p := range []float64{0.1, 0.5, 1} {
		lambda, rate := []float64{.462117, .986614, .999909}[i], []float64{.594604, .260847, .165560}[i]
		if got := Rise(p); math.Abs(got-lambda) > 1e-6 {
			t.Errorf("λ(%v) is %v, want %v", p, got, lambda)
		}
		at := schedule.Position{Epoch: int(10 * p), Epochs: 10, Steps: 1}
		if got := schedule.Annealed().Factor(at); math.Abs(got-rate) > 1e-6 {
			t.Errorf("the rate at %v is %v, want %v", p, got, rate)
		}
	}
}

// The surest share of each class is labelled, and no row of another.
func TestConfidentByClass(t *testing.T) {
	p := []float32{.9, .1, .6, .4, .8, .2, .3, .7, .7, .3}
	if got := confident(p, 2, 0.5); !slices.Equal(got, []int{0, objective.Unknown, 0, 1, objective.Unknown}) {
		t.Errorf("%v", got)
	}
}

// Rows are labelled by the features that are like theirs, against a doubtful answer.
func TestLabelsByCentroids(t *testing.T) {
	features := []float32{1, 0, 1, 0.1, 0.9, 0, 0, 1, 0.1, 1, 0, 0.9}
	answers := []float32{.9, .1, .8, .2, .45, .55, .1, .9, .2, .8, .55, .45}
	if got := byCentroids(answers, features, 2); !slices.Equal(got, []int{0, 0, 0, 1, 1, 1}) {
		t.Errorf("%v", got)
	}
}

// Adversarial methods have a discriminator beside the classifier; what a model keeps is the classifier alone.
func TestNetworks(t *testing.T) {
	for _, k := range Kinds() {
		net, err := OnFeatures().Upon(nil, nn.Shape{20}, 4, Of(k.Name), true)
		if err != nil {
			t.Fatal(err)
		}
		l := LayersOf(net)
		if adversarial := k.Name == DANN || k.Name == CDAN; (l.Domain != "") != adversarial || l.Features != "hidden3.activation" || l.Penultimate != "task1.dropout" || l.Logits != logits {
			t.Errorf("%s: %+v", k.Name, l)
		}
		if shape := net.Shape(net.Output().Name); !slices.Equal(shape, nn.Shape{4}) {
			t.Errorf("%s gives %v", k.Name, shape)
		}
	}
}

package strategy

import (
	"math"
	"testing"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
)

func TestRatesByDepth(t *testing.T) {
	net := network(t, "resnet18", 64, 3)
	for _, c := range []struct {
		phase Phase
		want  map[string]float64 // 0: frozen
	}{
		{Phase{}, map[string]float64{"stem.conv": 0, "layer4.1.unit2.conv": 0, "classifier.logits": 1}},
		{Phase{Unfreeze: []string{"all"}, Spread: 100, LearningRate: 1e-3}, map[string]float64{"stem.conv": 0.01, "layer2.0.unit1.bn": math.Pow(100, -3.0/5), "classifier.logits": 1}},
		{Phase{Unfreeze: []string{"all"}, Decay: 0.5, LearningRate: 1e-3}, map[string]float64{"stem.conv": 1.0 / 32, "layer4.0.unit1.conv": 0.5, "classifier.logits": 1}},
		{Phase{Unfreeze: []string{"all"}, Decay: 0.5, LearningRate: 1e-3, HeadRate: 4e-3}, map[string]float64{"stem.conv": 1.0 / 32, "classifier.logits": 4}},
		{Phase{Top: 3}, map[string]float64{"layer4.1.unit1.conv": 0, "layer4.1.unit1.bn": 1, "layer4.1.unit2.conv": 1, "layer4.1.unit2.bn": 1}},
		{Phase{Freeze: []string{"stem", "layer1"}}, map[string]float64{"stem.bn": 0, "layer1.0.unit1.conv": 0, "layer2.0.unit1.conv": 1}},
		{Phase{Unfreeze: []string{"layer4"}, Freeze: []string{"*.bn"}}, map[string]float64{"layer4.0.unit1.bn": 0, "layer4.0.unit1.conv": 1, "layer3.0.unit1.conv": 0}},
		{Phase{LearningRate: 1e-3, Rates: map[string]float64{"layer4.*": 1e-4, "layer4.1": 5e-4, "layer3": 1e-5}},
			map[string]float64{"layer4.0.unit1.conv": 0.1, "layer4.1.unit1.conv": 0.5, "layer3.1.unit2.bn": 0.01, "layer2.0.unit1.conv": 0}},
	} {
		s, err := c.phase.Complete(0, Default).Selects(net, "")
		if err != nil {
			t.Fatal(err)
		}
		for layer, want := range c.want {
			if net.Shape(layer) == nil {
				t.Fatalf("there is no layer %q", layer)
			}
			if got := s.Rate(layer); math.Abs(got-want) > 1e-12 {
				t.Errorf("%+v: rate %v of %s, want %v", c.phase, got, layer, want)
			}
		}
	}
}

// network is a backbone of the zoo, with a linear head upon it.
func network(t *testing.T, name string, side, classes int) *nn.Network {
	t.Helper()
	b, err := zoo.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := b.Resolve(zoo.RandomWeights)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := weights.Network(side, side)
	if err != nil {
		t.Fatal(err)
	}
	trunk, err := whole.Cut(b.Pooled)
	if err != nil {
		t.Fatal(err)
	}
	net, err := head.Linear().Upon(trunk, head.OneOf(classes))
	if err != nil {
		t.Fatal(err)
	}
	return net
}

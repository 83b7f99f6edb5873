package strategy

import (
	"math"
	"strings"
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

// Of transformers top counts blocks, with all that lies above; the presets' numbers of layers mean two, or one.
func TestTopBlocksOfTransformers(t *testing.T) {
	net := network(t, "vit_s16", 32, 3)
	partial := func(kind spelling, preset Preset) Phase {
		s, err := kind.expand(preset)
		if err != nil {
			t.Fatal(err)
		}
		return s.Phases[len(s.Phases)/2] // of progressive the second
	}
	for _, c := range []struct {
		phase   Phase
		learn   []string
		learned []string
	}{
		{Phase{Top: 1}.Complete(0, Default), []string{"block11.attention.norm", "block11.feed_forward.narrow", "norm"}, []string{"block10.feed_forward.narrow", "stem.conv"}},
		{Phase{Top: 12}.Complete(0, Default), []string{"block0.attention.query"}, []string{"stem.positions"}},
		{partial(spelling{Kind: Partial}, Default), []string{"block10.attention.norm"}, []string{"block9.feed_forward.narrow"}},
		{partial(spelling{Kind: Progressive}, Default), []string{"block10.attention.norm"}, []string{"block9.feed_forward.narrow"}},
		{partial(spelling{Kind: Progressive, Top: 3}, Encoders), []string{"block9.attention.norm"}, []string{"block8.feed_forward.narrow"}},
		{partial(spelling{Kind: Partial}, Tutorial), []string{"block11.attention.norm"}, []string{"block10.feed_forward.narrow"}},
	} {
		s, err := c.phase.Selects(net, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, layer := range c.learn {
			if !s.Learns(layer) {
				t.Errorf("%+v: %s does not learn", c.phase, layer)
			}
		}
		for _, layer := range c.learned {
			if net.Shape(layer) == nil || s.Learns(layer) {
				t.Errorf("%+v: %s learns, or is not there", c.phase, layer)
			}
		}
	}
	if _, err := (Phase{Top: 13}).Complete(0, Default).Selects(net, "strategy."); err == nil || !strings.Contains(err.Error(), "12 blocks, not 13") {
		t.Errorf("13 blocks: %v", err)
	}
}

// Of bitfit the biases learn, and the head.
func TestBiasesAlone(t *testing.T) {
	net := network(t, "vit_s16", 32, 3)
	s, err := (Phase{Unfreeze: []string{biases}}).Complete(0, Encoders).Selects(net, "")
	if err != nil {
		t.Fatal(err)
	}
	learned := 0
	for _, p := range net.Parameters() {
		if s.Learns(p.Layer) && !s.Keeps(p) {
			if learned += p.Shape.Size(); p.Role == nn.Weight && !head.Contains(p.Layer) || p.Role == nn.Gamma {
				t.Errorf("%s learns", p.Name())
			}
		}
	}
	const width, blocks = 384, 12
	if want := width + blocks*(6*width+4*width+width) + width + 3*width + 3; learned != want { // patches, blocks, last norm, head
		t.Errorf("%d numbers learn, want %d", learned, want)
	}
	mixed, err := (Phase{Unfreeze: []string{biases, "block11"}}).Complete(0, Encoders).Selects(net, "")
	if err != nil {
		t.Fatal(err)
	}
	for layer, want := range map[string]bool{"block11.attention.query": false, "block10.attention.query": true} {
		if got := mixed.Keeps(nn.Parameter{Layer: layer, Role: nn.Weight}); got != want {
			t.Errorf("the weight of %s stays: %v, want %v", layer, got, want)
		}
	}
}

// Adapters stand where their papers put them, or where the pipeline says.
func TestWhereAdaptersStand(t *testing.T) {
	net := network(t, "vit_s16", 32, 3)
	for _, c := range []struct {
		adapters Adapters
		count    int
		first    string
	}{
		{Adapters{Kind: lora}, 24, "block0.attention.query"},
		{Adapters{Kind: lora, On: []string{"key", "attention.out"}}, 24, "block0.attention.key"},
		{Adapters{Kind: lora, On: []string{"block3.*"}}, 6, "block3.attention.query"},
		{Adapters{Kind: houlsby}, 24, "block0.attention.out"},
		{Adapters{Kind: pfeiffer}, 12, "block0.feed_forward.narrow"},
		{Adapters{Kind: bitfit}, 0, ""},
	} {
		layers, err := c.adapters.Layers(net, "strategy.")
		if err != nil || len(layers) != c.count || c.count > 0 && layers[0] != c.first {
			t.Errorf("%+v: %d layers %v, %v", c.adapters, len(layers), layers, err)
		}
	}
	for _, c := range []struct {
		adapters Adapters
		net      *nn.Network
		want     string
	}{
		{Adapters{Kind: lora, On: []string{"norm"}}, net, `no layer that lora can adapt is called "norm"`},
		{Adapters{Kind: houlsby}, network(t, "resnet18", 64, 3), "houlsby is for transformers"},
	} {
		if _, err := c.adapters.Layers(c.net, "strategy."); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.adapters, err)
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

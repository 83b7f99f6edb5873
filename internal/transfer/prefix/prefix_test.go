package prefix

import (
	"strings"
	"testing"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
)

func TestPrefixIsChosenByCost(t *testing.T) {
	net := network(t, "resnet50", 224, 10)
	for _, c := range []struct {
		phase  strategy.Phase
		budget int64
		maps   bool
		cut    string
		why    string
	}{
		{strategy.Phase{}, 20e9, false, "pooled", "8.19 MB"},
		{strategy.Phase{}, 20e9, true, "layer4.2.act", ""}, // a map, for cutmix
		{strategy.Phase{Top: 20}, 20e9, false, "layer3.5.act", ""},
		{strategy.Phase{Unfreeze: []string{"layer3"}}, 20e9, false, "layer2.3.act", ""},
		{strategy.Phase{Unfreeze: []string{"layer3"}}, 1e6, false, "", "left of the budget"},
		{strategy.Phase{Unfreeze: []string{"stem"}}, 20e9, false, "", "lowest layers learn"},
		{strategy.Phase{Unfreeze: []string{"all"}}, 20e9, false, "", "lowest layers learn"},
	} {
		s, err := c.phase.Complete(0, strategy.Default).Selects(net, "")
		if err != nil {
			t.Fatal(err)
		}
		got := chooser{net: net, rows: 2000, precision: BFloat16, budget: c.budget, maps: c.maps}.choose(s)
		if got.Cut != c.cut || !strings.Contains(got.Why, c.why) {
			t.Errorf("%+v: cut at %q: %s; want %q", c.phase, got.Cut, got.Why, c.cut)
		}
	}
}

// A cut that an earlier phase has cached costs nothing again.
func TestBudgetIsOfAllPhases(t *testing.T) {
	net := network(t, "resnet18", 64, 3)
	var phases []strategy.Selection
	for _, p := range []strategy.Phase{{Unfreeze: []string{"layer4"}}, {Unfreeze: []string{"layer4"}}, {Unfreeze: []string{"layer3"}}} {
		s, err := p.Complete(0, strategy.Default).Selects(net, "")
		if err != nil {
			t.Fatal(err)
		}
		phases = append(phases, s)
	}
	b := Budget{Bytes: 1_100_000, Precision: BFloat16} // 4×4×256 numbers of a row at layer3: 0.82 MB
	got := b.Choose(net, phases, 100)
	if got[0].Cut != "layer3.1.act" || got[1].Cut != got[0].Cut || got[2].Cut != "" || !strings.Contains(got[2].Why, "281 kB are left") {
		t.Errorf("%+v", got)
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

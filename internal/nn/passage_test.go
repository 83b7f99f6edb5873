package nn_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"pgregory.net/rapid"
)

func residualNetwork(t *testing.T) *nn.Network {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Layer("stem.conv", nn.Conv{Out: 4, Kernel: nn.Square(3), Padding: nn.Pad(1)}, b.Input("input", 8, 6, 3))
	s := b.Scope("block")
	y := s.Layer("conv", nn.Conv{Out: 4, Kernel: nn.Square(1)}, x)
	b.Layer("side", nn.Flatten{}, y) // leads nowhere
	x = s.Layer("add", nn.Add{}, x, y)
	x = b.Layer("pooled", nn.GlobalAveragePool{}, x)
	b.Layer("logits", nn.Dense{Out: 2}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func TestCuts(t *testing.T) {
	got := residualNetwork(t).Cuts()
	want := []nn.Passage{
		{"input", nn.Shape{8, 6, 3}, 0},
		{"stem.conv", nn.Shape{8, 6, 4}, 8 * 6 * 4 * 27},
		{"block.add", nn.Shape{8, 6, 4}, 8*6*4*27 + 8*6*4*4},
		{"pooled", nn.Shape{4}, 8*6*4*27 + 8*6*4*4},
	}
	if !slices.EqualFunc(got, want, func(a, b nn.Passage) bool {
		return a.Layer == b.Layer && slices.Equal(a.Shape, b.Shape) && a.MultiplyAdds == b.MultiplyAdds
	}) {
		t.Errorf("cuts %v, want %v", got, want)
	}
}

func TestCutsOfTwoInputs(t *testing.T) {
	b := nn.NewBuilder()
	a := b.Layer("a1", nn.Dense{Out: 3}, b.Input("a", 2))
	c := b.Input("b", 3)
	b.Layer("out", nn.Softmax{}, b.Layer("sum", nn.Add{}, a, c))
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	if got := net.Cuts(); len(got) != 1 || got[0].Layer != "sum" {
		t.Errorf("cuts %v, want the sum alone", got)
	}
}

func TestAbove(t *testing.T) {
	net := residualNetwork(t)
	top, err := net.Above("block")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range top.Layers() {
		names = append(names, l.Name)
	}
	if !slices.Equal(names, []string{"block.add", "pooled", "logits"}) || !slices.Equal(top.Shape("block.add"), nn.Shape{8, 6, 4}) {
		t.Errorf("above block: %v", names)
	}
	for name, want := range map[string]string{"block.conv": "not the only way", "side": "not the only way", "logits": "not the only way", "nothing": "no layer"} {
		if _, err := net.Above(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("above %s: %v", name, err)
		}
	}
}

// TestPartsMakeTheWhole runs random networks whole, and below and above each cut.
func TestPartsMakeTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := nntest.Draw(t)
		weights, seed := nntest.Weights(net, 1), rapid.Uint64().Draw(t, "seed")
		input := nntest.Input(net, 2, seed)
		whole := nntest.Evaluate(net, weights, nntest.Widen(input), 2)
		out := net.Output().Name
		for _, cut := range net.Cuts() {
			top, err := net.Above(cut.Layer)
			if err != nil {
				t.Fatal(err)
			}
			below, err := net.Cut(cut.Layer)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := below.MultiplyAdds(), cut.MultiplyAdds; a != b {
				t.Fatalf("%s: %d multiply-adds below, the part has %d", cut.Layer, b, a)
			}
			got := nntest.Evaluate(top, weights.Select(top), whole[cut.Layer], 2)[out]
			if !slices.Equal(got, whole[out]) {
				t.Fatalf("parted at %s, the network gives %v, whole %v", cut.Layer, got, whole[out])
			}
		}
	})
}

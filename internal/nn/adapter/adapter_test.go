package adapter_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"pgregory.net/rapid"
)

func outputs(net *nn.Network, w nn.Weights, input []float32) []float64 {
	return nntest.Evaluate(net, w, nntest.Widen(input), 2)[net.Output().Name]
}

func near(a, b []float64, tolerance float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) <= tolerance*(1+math.Abs(y)) })
}

// TestAdaptersChangeNothingAtFirst adapts random networks, then disturbs the adapters to see that
// they are in the way of the output, and merges those that can be.
func TestAdaptersChangeNothingAtFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := nntest.Draw(t)
		w := nntest.Weights(net, 1)
		input := nntest.Input(net, 2, 3)
		want := outputs(net, w, input)
		kept := map[string][]float32{}
		for name, tensor := range w {
			kept[name] = slices.Clone(tensor.Data)
		}
		var all []string
		for _, l := range net.Layers() {
			all = append(all, l.Name)
		}
		bottled, bw, err := adapter.Bottleneck{Reduction: rapid.IntRange(1, 4).Draw(t, "reduction")}.Apply(net, w, all, 5)
		if err != nil {
			t.Fatal(err)
		}
		if got := outputs(bottled, bw, input); !slices.Equal(got, want) {
			t.Fatalf("bottlenecks changed %v to %v", want, got)
		}
		beside := adapter.Projections(net)
		low, lw, err := adapter.LowRank{Rank: rapid.IntRange(1, 3).Draw(t, "rank"), Alpha: rapid.SampledFrom([]float64{0, 2}).Draw(t, "α")}.Apply(net, w, beside, 5)
		if err != nil {
			t.Fatal(err)
		}
		if got := outputs(low, lw, input); !slices.Equal(got, want) {
			t.Fatalf("adapters of low rank changed %v to %v", want, got)
		}
		for name, tensor := range lw {
			if strings.HasSuffix(name, ".adapter.up.weight") {
				for i := range tensor.Data {
					tensor.Data[i] = float32(i%5-2) / 8
				}
			}
		}
		changed := outputs(low, lw, input)
		plain, pw, err := adapter.Merge(low, lw)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := len(plain.Layers()), len(net.Layers()); a != b || plain.Output().Name != net.Output().Name {
			t.Fatalf("%d layers after merging, %d before adapting", a, b)
		}
		if got := outputs(plain, pw, input); !near(got, changed, 1e-4) {
			t.Fatalf("merged, the network gives %v, adapted %v", got, changed)
		}
		for name, data := range kept {
			if !slices.Equal(data, w[name].Data) {
				t.Fatalf("%s was written", name)
			}
		}
	})
}

func TestWhereAdaptersGo(t *testing.T) {
	for name, want := range map[string]struct {
		blocks, last string
		count        int
	}{
		"resnet18": {"layer1.0.act", "layer4.1.act", 8},
		"vgg16":    {"", "", 5},
		"vit_s16":  {"block0.attention.sum", "block11.feed_forward.sum", 24},
	} {
		b, err := backbone.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		net, err := b.Network(64, 64)
		if err != nil {
			t.Fatal(err)
		}
		blocks := adapter.Blocks(net)
		if len(blocks) != want.count || want.blocks != "" && (blocks[0] != want.blocks || blocks[len(blocks)-1] != want.last) {
			t.Errorf("%s: blocks %v", name, blocks)
		}
		w := b.Random(net, 1)
		adapted, aw, err := adapter.Bottleneck{}.Apply(net, w, blocks, 1)
		if err != nil {
			t.Fatal(err)
		}
		var added int64
		for _, p := range adapted.Parameters() {
			if adapter.Added(p.Layer) != adapter.Added(p.Name()) {
				t.Errorf("%s and %s differ", p.Layer, p.Name())
			}
			if adapter.Added(p.Layer) {
				added += int64(len(aw[p.Name()].Data))
			}
		}
		if all, _ := adapted.ParameterCount(); added == 0 || float64(added) > 0.1*float64(all) {
			t.Errorf("%s: %d of %d parameters are the adapters'", name, added, all)
		}
	}
}

func TestAdaptersThatCannotBe(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Layer("deep", nn.Conv{Out: 4, Kernel: nn.Square(3), Groups: 4}, b.Input("input", 6, 6, 4))
	b.Layer("flat", nn.Flatten{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	w := net.Initialise(1)
	apply := func(f func(*nn.Network, nn.Weights, []string, uint64) (*nn.Network, nn.Weights, error), w nn.Weights, name string) error {
		_, _, err := f(net, w, []string{name}, 1)
		return err
	}
	for want, err := range map[string]error{
		`no layer "nothing"`:         apply(adapter.Bottleneck{}.Apply, w, "nothing"),
		"reduction -1":               apply(adapter.Bottleneck{Reduction: -1}.Apply, w, "deep"),
		"conv has no adapter":        apply(adapter.LowRank{}.Apply, w, "deep"),
		"flatten has no adapter":     apply(adapter.LowRank{}.Apply, w, "flat"),
		"rank -1":                    apply(adapter.LowRank{Rank: -1}.Apply, w, "deep"),
		"missing: deep.weight":       apply(adapter.Bottleneck{}.Apply, nn.Weights{}, "deep"),
		"alpha -2: must be at least": apply(adapter.LowRank{Alpha: -2}.Apply, w, "deep"),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

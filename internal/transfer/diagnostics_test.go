package transfer

import (
	"maps"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// A trunk before and after a training, side by side, is what each is alone; what has not changed is there once.
func TestTrunksSideBySide(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Layer("in", nn.Input{Shape: nn.Shape{6}})
	x = b.Layer("low", nn.Dense{Out: 5, Bias: true}, x)
	y := b.Layer("act", nn.Activation{Function: kernel.GELU}, b.Layer("middle", nn.Dense{Out: 5, Bias: true}, x))
	b.Layer("top", nn.LayerNorm{Epsilon: 1e-5}, b.Layer("sum", nn.Add{}, x, y))
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	started := net.Initialise(1)
	for _, changed := range []string{"", "top.gamma", "middle.weight", "low.bias"} {
		trained := maps.Clone(started)
		if changed != "" {
			tensor := trained[changed]
			tensor.Data = slices.Clone(tensor.Data)
			tensor.Data[0]++
			trained[changed] = tensor
		}
		training := &training{started: started, subject: subject{weights: trained}}
		both, weights, ends, err := training.beside(net)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{"": 5, "top.gamma": 6, "middle.weight": 9, "low.bias": 10}[changed]; len(both.Layers())-1 != want {
			t.Errorf("%q: %d layers, want %d", changed, len(both.Layers())-1, want)
		}
		src := []float32{1, -2, 3, 0.5, -1, 2}
		run := func(net *nn.Network, weights nn.Weights, ends ...string) [][]float32 {
			program, err := frozen.Compile(net, weights, ends...)
			if err != nil {
				t.Fatal(err)
			}
			var out [][]float32
			for range ends {
				out = append(out, make([]float32, 5))
			}
			if err := program.NewSession(1).Run(nil, src, 1, out...); err != nil {
				t.Fatal(err)
			}
			return out
		}
		got, before, after := run(both, weights, ends...), run(net, started, "top")[0], run(net, trained, "top")[0]
		if !slices.Equal(got[0], before) || !slices.Equal(got[len(got)-1], after) || (changed == "") != slices.Equal(before, after) {
			t.Errorf("%q: %v, want %v and %v", changed, got, before, after)
		}
	}
}

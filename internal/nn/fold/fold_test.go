package fold_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/fold"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
)

// Folded networks compute what the others do.
func TestFoldedNetworksComputeTheSame(t *testing.T) {
	folded := 0
	rapid.Check(t, func(t *rapid.T) {
		net := nntest.Draw(t)
		weights := nntest.Weights(net, rapid.Uint64().Draw(t, "seed"))
		plain, w, err := fold.Fold(net, weights)
		if err != nil {
			t.Fatal(err)
		}
		if err := plain.Check(w); err != nil {
			t.Fatal(err)
		}
		if len(plain.Layers()) < len(net.Layers()) {
			folded++
		}
		x := nntest.Widen(nntest.Input(net, 2, 1))
		want := nntest.Evaluate(net, weights, x, 2)[net.Output().Name]
		got := nntest.Evaluate(plain, w, x, 2)[plain.Output().Name]
		for i := range want {
			if difference := math.Abs(got[i] - want[i]); difference > 1e-4*(1+math.Abs(want[i])) {
				t.Fatalf("number %d is %v, was %v", i, got[i], want[i])
			}
		}
	})
	if folded == 0 {
		t.Error("no network had anything to fold")
	}
}

// What is folded, and what is not because something else needs the values in between.
func TestWhatIsFolded(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("image", 4, 4, 3)
	x = b.Layer("a", nn.Conv{Out: 4, Kernel: nn.Square(1)}, x)
	x = b.Layer("drop", nn.Dropout{Rate: 0.5}, x)
	x = b.Layer("a.norm", nn.BatchNorm{Epsilon: 1e-3}, x)
	a := b.Layer("a.act", nn.Activation{Function: kernel.ReLU}, x)
	c := b.Layer("c", nn.Conv{Out: 4, Kernel: nn.Square(1), Bias: true}, a)
	n := b.Layer("c.norm", nn.BatchNorm{Epsilon: 1e-3, Unscaled: true}, c)
	x = b.Layer("sum", nn.Add{}, c, n)
	x = b.Layer("pool", nn.GlobalAveragePool{}, x)
	x = b.Layer("d", nn.Dense{Out: 2}, x)
	x = b.Layer("scale", nn.Scale{Factor: 0.5}, x)
	b.Layer("affine", nn.Affine{Scale: []float32{1, 2}, Shift: []float32{3, 4}}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	plain, w, err := fold.Fold(net, nntest.Weights(net, 1))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range plain.Layers() {
		names = append(names, l.Name)
	}
	if got := len(names); got != 8 || plain.Output().Name != "d" {
		t.Errorf("layers %v, output %s", names, plain.Output().Name)
	}
	if _, ok := w["c.norm.mean"]; !ok {
		t.Error("the batch-norm of a value that is used twice was folded")
	}
	if len(w["d.bias"].Data) != 2 {
		t.Error("the affine map was not folded into the dense layer")
	}
	delete(w, "d.bias")
	if _, _, err := fold.Fold(plain, w); err == nil {
		t.Error("weights that do not fit were folded")
	}
}

package frozen

import (
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
)

// A pointwise convolution of a large map and the depthwise one that alone reads it are one step, which gives the bits of two.
func TestSeparableConvolutionsAreJoined(t *testing.T) {
	b := nn.NewBuilder()
	silu := nn.Activation{Function: kernel.SiLU}
	x := b.Input("input", 64, 64, 8)
	x = b.Layer("expand", nn.Conv{Out: 64, Kernel: nn.Square(1), Bias: true}, x)
	x = b.Layer("act", silu, x)
	x = b.Layer("depthwise", nn.Conv{Out: 64, Kernel: nn.Square(3), Padding: nn.Pad(1), Groups: 64}, x)
	x = b.Layer("act2", silu, x)
	y := b.Layer("seen", nn.Conv{Out: 64, Kernel: nn.Square(1)}, x) // which two read
	z := b.Layer("depthwise2", nn.Conv{Out: 64, Kernel: nn.Square(3), Padding: nn.Pad(1), Groups: 64}, y)
	x = b.Layer("add", nn.Add{}, y, z)
	b.Layer("pooled", nn.GlobalAveragePool{}, x)
	net := built(t, b)
	w := nntest.Weights(net, 1)
	const n = 3
	in := nntest.Input(net, n, 1)
	var got [2][]float32
	for i, apart := range []bool{false, true} {
		p, err := Options{apart: apart}.Compile(net, w)
		if err != nil {
			t.Fatal(err)
		}
		joined := slices.ContainsFunc(p.Steps(), func(s Step) bool { return s.Class == "conv 1×1 with depthwise 3×3" })
		set, err := kernel.InstructionSet()
		if err != nil {
			t.Fatal(err)
		}
		if want := !apart && set == "avx2"; joined != want {
			t.Errorf("joined %v, want %v", joined, want)
		}
		pool := kernel.NewPool(2)
		got[i] = make([]float32, n*64)
		if err := p.NewSession(n).Run(pool, in, n, got[i]); err != nil {
			t.Fatal(err)
		}
		pool.Close()
	}
	if !slices.Equal(bits(got[0]), bits(got[1])) {
		t.Error("joined convolutions give other numbers")
	}
}

package emit_test

import (
	"math"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"github.com/tlpipe/tlpipe/internal/tflite/emit"
)

// What Vision Transformers are made of, and maps that lose lines, compute what the networks do.
func TestTokens(t *testing.T) {
	const width = 6
	for name, build := range map[string]func(b *nn.Builder){
		"transformer": func(b *nn.Builder) {
			x := b.Layer("registers", nn.Prepend{Count: 2}, b.Input("x", 5, width))
			x = b.Layer("norm", nn.LayerNorm{Epsilon: 1e-5}, b.Layer("positions", nn.Positions{Count: 9, First: 1}, x))
			y := b.Layer("heads", nn.Attention{Heads: 2}, b.Layer("query", nn.Dense{Out: width, Bias: true}, x), b.Layer("key", nn.Dense{Out: width}, x), x)
			x = b.Layer("sum", nn.Add{}, x, b.Layer("scaled", nn.ScaleShift{Scale: true, Shift: true}, y))
			x = b.Layer("act", nn.Activation{Function: kernel.QuickGELU}, x)
			b.Layer("unit", nn.L2Normalise{}, b.Layer("first", nn.TokenPool{Function: kernel.FirstToken, Skip: 1}, x))
		},
		"causal": func(b *nn.Builder) {
			x := b.Input("x", 5, width)
			x = b.Layer("act", nn.Activation{Function: kernel.GELUTanh}, b.Layer("heads", nn.Attention{Heads: 3, Causal: true}, x, x, x))
			b.Layer("last", nn.TokenPool{Function: kernel.LastToken}, x)
		},
		"mean": func(b *nn.Builder) {
			b.Layer("mean", nn.TokenPool{Function: kernel.MeanOfTokens, Skip: 2}, b.Input("x", 5, width))
		},
		"greatest": func(b *nn.Builder) {
			b.Layer("greatest", nn.TokenPool{Function: kernel.GreatestOfTokens}, b.Input("x", 5, width))
		},
		"products": func(b *nn.Builder) {
			x := b.Input("x", 5, width)
			scores := b.Layer("scores", nn.Softmax{}, b.Layer("products", nn.MatMul{TransposeB: true}, x, x))
			b.Layer("mixed", nn.MatMul{TransposeA: true}, scores, x)
		},
		"cut": func(b *nn.Builder) {
			b.Layer("cut", nn.ZeroPad{Margins: nn.Padding{-1, 2, 0, -2}}, b.Input("x", 4, 5, 3))
		},
	} {
		b := nn.NewBuilder()
		build(b)
		net, err := b.Network()
		if err != nil {
			t.Fatal(err)
		}
		w, x := nntest.Weights(net, 1), nntest.Input(net, 1, 1)
		for _, half := range []bool{false, true} {
			p, err := read(model(net, w), emit.Options{Float16: half})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := p.Run(nil, x)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			tolerance := 1e-5
			if half {
				tolerance = 1e-2
			}
			for i, want := range nntest.Evaluate(net, w, nntest.Widen(x), 1)[net.Output().Name] {
				if math.Abs(float64(got[i])-want) > tolerance {
					t.Errorf("%s: number %d is %v, want %v", name, i, got[i], want)
					break
				}
			}
		}
	}
}

package emit_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/fold"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"github.com/tlpipe/tlpipe/internal/onnx/emit"
	"github.com/tlpipe/tlpipe/internal/onnx/evaluate"
)

// textNetworks are networks on the ids of tokens, whatever their number, of all layers that such have.
func textNetworks(t *testing.T) map[string]*nn.Network {
	t.Helper()
	const width = 6
	pooled := func(f kernel.TokenPooling, skip int) func(b *nn.Builder, x nn.Value) {
		return func(b *nn.Builder, x nn.Value) { b.Layer("pooled", nn.TokenPool{Function: f, Skip: skip}, x) }
	}
	recurrent := func(op nn.Recurrent) func(b *nn.Builder, x nn.Value) {
		return func(b *nn.Builder, x nn.Value) {
			op.Units, op.Last = 5, false
			all := b.Layer("all", op, x)
			op.Last, op.Reverse = true, !op.Reverse
			b.Layer("last", op, all)
		}
	}
	out := map[string]*nn.Network{}
	for name, build := range map[string]func(b *nn.Builder, x nn.Value){
		"mean":                    pooled(kernel.MeanOfTokens, 0),
		"mean of those after one": pooled(kernel.MeanOfTokens, 1),
		"greatest":                pooled(kernel.GreatestOfTokens, 0),
		"first":                   pooled(kernel.FirstToken, 0),
		"last":                    pooled(kernel.LastToken, 0),
		"lstm":                    recurrent(nn.Recurrent{Cell: kernel.LSTM}),
		"old lstm":                recurrent(nn.Recurrent{Cell: kernel.LSTM, Reverse: true, HardSigmoid: true}),
		"gru":                     recurrent(nn.Recurrent{Cell: kernel.GRU}),
		"old gru":                 recurrent(nn.Recurrent{Cell: kernel.GRU, Reverse: true, HardSigmoid: true}),
		"convolution": func(b *nn.Builder, x nn.Value) {
			for i, size := range []int{3, 4} {
				x = b.Layer(fmt.Sprint("wide", i), nn.Dense{Out: 7, Bias: true}, b.Layer(fmt.Sprint("window", i), nn.Window{Size: size}, x))
				x = b.Layer(fmt.Sprint("act", i), nn.Activation{Function: kernel.ReLU}, x)
			}
			b.Layer("pooled", nn.TokenPool{Function: kernel.GreatestOfTokens}, x)
		},
		"attention": func(b *nn.Builder, x nn.Value) {
			x = b.Layer("norm", nn.LayerNorm{Epsilon: 1e-5}, b.Layer("positions", nn.Positions{Count: 12, First: 2}, b.Layer("types", nn.ScaleShift{Shift: true}, x)))
			y := b.Layer("heads", nn.Attention{Heads: 2}, b.Layer("query", nn.Dense{Out: width, Bias: true}, x), b.Layer("key", nn.Dense{Out: width}, x), x)
			x = b.Layer("scaled", nn.ScaleShift{Scale: true}, b.Layer("sum", nn.Add{}, x, y))
			b.Layer("unit", nn.L2Normalise{}, b.Layer("pooled", nn.TokenPool{Function: kernel.MeanOfTokens}, x))
		},
	} {
		b := nn.NewBuilder()
		ids := b.Layer("ids", nn.Input{Shape: nn.Shape{-1}, Element: nn.Int32})
		build(b, b.Layer("vectors", nn.Embedding{Count: 30, Width: width}, ids))
		net, err := b.Network()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = net
	}
	return out
}

// Texts of different lengths in one batch, filled up with padding of any ids, give what each gives alone.
func TestTexts(t *testing.T) {
	texts := [][]int64{{3, 1, 4, 1, 5, 9, 2}, {6, 5, 29}, {8, 9, 7, 9}}
	const longest = 7
	for name, net := range textNetworks(t) {
		for _, half := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, half), func(t *testing.T) {
				w := nntest.Weights(net, 1)
				folded, foldedWeights, err := fold.Fold(net, w)
				if err != nil {
					t.Fatal(err)
				}
				m := model(folded, foldedWeights)
				m.Description.Inputs[0].Shape = nil
				_, p := read(t, m, emit.Options{Float16: half})
				ids, mask := &evaluate.Tensor{Shape: []int{len(texts), longest}}, &evaluate.Tensor{Shape: []int{len(texts), longest}}
				for _, text := range texts {
					for i := range longest {
						id, there := int64(17), int64(0)
						if i < len(text) {
							id, there = text[i], 1
						}
						ids.Whole, mask.Whole = append(ids.Whole, id), append(mask.Whole, there)
					}
				}
				out, err := p.Run(ids, mask)
				if err != nil {
					t.Fatal(err)
				}
				got := out["numbers"].Float
				for i, text := range texts {
					bound, err := net.Bind(len(text))
					if err != nil {
						t.Fatal(err)
					}
					var x []float64
					for _, id := range text {
						x = append(x, float64(id))
					}
					want := nntest.EvaluateBatch(bound, w, map[string][]float64{"ids": x}, 1)[net.Output().Name]
					tolerance := 1e-5
					if half {
						tolerance = 1e-2
					}
					for j, v := range want {
						if g := float64(got[i*len(want)+j]); math.Abs(g-v) > tolerance {
							t.Fatalf("text %d: number %d is %v, want %v", i, j, g, v)
						}
					}
				}
			})
		}
	}
}

package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// feedForward and attend are the halves of a block of a transformer.
func attend(b *nn.Builder, x nn.Value) nn.Value {
	project := func(name string) nn.Value { return b.Layer("block."+name, nn.Dense{Out: 8, Bias: true}, x) }
	y := b.Layer("block.heads", nn.Attention{Heads: 2}, project("query"), project("key"), project("value"))
	return b.Layer("block.out", nn.Dense{Out: 8, Bias: true}, y)
}

func feedForward(b *nn.Builder, x nn.Value, act kernel.Activation) nn.Value {
	x = b.Layer("block.wide", nn.Dense{Out: 16, Bias: true}, x)
	return b.Layer("block.narrow", nn.Dense{Out: 8, Bias: true}, b.Layer("block.act", nn.Activation{Function: act}, x))
}

// smallTransformers are a text encoder with its norms behind the residuals, and a Vision Transformer with its norms before and
// learned factors, each with a classifier.
func smallTransformers(t *testing.T) map[string]*nn.Network {
	t.Helper()
	norm := nn.LayerNorm{Epsilon: 1e-6}
	nets := map[string]*nn.Network{}
	classify := func(name string, b *nn.Builder, x nn.Value) {
		b.Layer("probabilities", nn.Softmax{}, b.Layer("logits", nn.Dense{Out: 3, Bias: true}, x))
		net, err := b.Network()
		if err != nil {
			t.Fatal(err)
		}
		nets[name] = net
	}

	b := nn.NewBuilder()
	x := b.Layer("words", nn.Embedding{Count: 20, Width: 8}, b.Layer("tokens", nn.Input{Shape: nn.Shape{-1}, Element: nn.Int32}))
	x = b.Layer("positions", nn.Positions{Count: 12, First: 2}, b.Layer("types", nn.ScaleShift{Shift: true}, x))
	x = b.Layer("norm", norm, x)
	x = b.Layer("block.norm1", norm, b.Layer("block.sum1", nn.Add{}, x, attend(b, x)))
	x = b.Layer("block.norm2", norm, b.Layer("block.sum2", nn.Add{}, x, feedForward(b, x, kernel.GELU)))
	classify("text", b, b.Layer("pooled", nn.TokenPool{Function: kernel.MeanOfTokens}, x))

	b = nn.NewBuilder()
	x = b.Layer("conv", nn.Conv{Out: 8, Kernel: nn.Square(2), Stride: nn.Square(2), Bias: true}, b.Input("image", 6, 6, 3))
	x = b.Layer("class", nn.Prepend{Count: 1}, b.Layer("patches", nn.Reshape{Shape: nn.Shape{9, 8}}, x))
	x = b.Layer("positions", nn.Positions{Count: 10}, x)
	y := b.Layer("block.scale1", nn.ScaleShift{Scale: true}, attend(b, b.Layer("block.norm1", norm, x)))
	x = b.Layer("block.sum1", nn.Add{}, x, y)
	y = b.Layer("block.scale2", nn.ScaleShift{Scale: true}, feedForward(b, b.Layer("block.norm2", norm, x), kernel.GELUTanh))
	x = b.Layer("norm", norm, b.Layer("block.sum2", nn.Add{}, x, y))
	classify("picture", b, b.Layer("pooled", nn.TokenPool{Function: kernel.FirstToken}, x))
	return nets
}

// transformerExamples are eight texts of several lengths, padded to ten tokens, and eight pictures.
type transformerExamples struct{ text bool }

func (transformerExamples) Len() int { return 8 }

func (e transformerExamples) Lengths([]int, int) []int {
	if e.text {
		return []int{10}
	}
	return nil
}

func (e transformerExamples) Read(positions []int, into Batch) error {
	pictures := pattern(8*6*6*3, 17, 7, 101, 2)
	for at, i := range positions {
		into.Targets[objective.Class].Int32[at] = int32((i*i + 1) % 3)
		if !e.text {
			copy(into.Inputs["image"].Float32[at*108:], pictures[i*108:(i+1)*108])
			continue
		}
		into.Lengths[at] = 3 + i*5%7
		for j := range 10 {
			into.Inputs["tokens"].Int32[at*10+j] = int32((7*i + 3*j + i*j) % 20)
		}
	}
	return nil
}

// TestTransformersTrainAsPyTorchDoes follows trainings of all layers from the same weights; testdata/transformers.py made the
// losses.
func TestTransformersTrainAsPyTorchDoes(t *testing.T) {
	text, err := os.ReadFile("testdata/transformers.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]float64
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for name, net := range smallTransformers(t) {
		t.Run(name, func(t *testing.T) {
			weights := nn.Weights{}
			for i, p := range net.Parameters() {
				data := pattern(p.Shape.Size(), 29, 3+i, 67, 0.5)
				if p.Role == nn.Gamma {
					for j := range data {
						data[j] = 1 + 0.4*data[j]
					}
				}
				weights[p.Name()] = nn.Tensor{Shape: p.Shape, Data: data}
			}
			trainer := newTrainer(t, net, weights, Options{Epochs: 1, BatchSize: 8, Rule: optimizer.DefaultAdam(), Rate: 0.005, Threads: 2})
			examples := transformerExamples{name == "text"}
			if len(want[name]) != 30 {
				t.Fatalf("PyTorch took %d steps", len(want[name]))
			}
			for step, loss := range want[name] {
				s, err := trainer.step(context.Background(), examples, [][]int{{0, 1, 2, 3, 4, 5, 6, 7}}, 0.005, graph.Draw{Step: step}, schedule.Position{})
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(s.loss-loss) > 1e-4*loss {
					t.Errorf("step %d: loss %v, PyTorch has %v", step, s.loss, loss)
				}
			}
		})
	}
}

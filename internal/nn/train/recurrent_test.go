package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// TestRecurrentNetworksTrainAsPyTorchDoes follows trainings from the same weights; testdata/recurrent.py made the losses.
func TestRecurrentNetworksTrainAsPyTorchDoes(t *testing.T) {
	text, err := os.ReadFile("testdata/recurrent.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]float64
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, cell := range []kernel.RecurrentCell{kernel.LSTM, kernel.GRU} {
		for _, layers := range []int{1, 2} {
			for _, directions := range []string{"forward", "both"} {
				name := fmt.Sprintf("%v %d %s", cell, layers, directions)
				t.Run(name, func(t *testing.T) {
					losses := want[name]
					if len(losses) != 30 {
						t.Fatalf("PyTorch took %d steps", len(losses))
					}
					net := smallRecurrent(t, cell, layers, directions == "both")
					weights := nn.Weights{}
					for i, p := range net.Parameters() {
						weights[p.Name()] = nn.Tensor{Shape: p.Shape, Data: pattern(p.Shape.Size(), 29, 3+i, 67, 0.5)}
					}
					trainer := newTrainer(t, net, weights, Options{Epochs: 1, BatchSize: 8, Rule: optimizer.DefaultAdam(), Rate: 0.005, Threads: 2})
					for step, loss := range losses {
						s, err := trainer.step(context.Background(), transformerExamples{true}, [][]int{{0, 1, 2, 3, 4, 5, 6, 7}}, 0.005, graph.Draw{Step: step}, schedule.Position{})
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
	}
}

// smallRecurrent is layers of five units, the last of which gives its state after the last token, with a classifier.
func smallRecurrent(t *testing.T, cell kernel.RecurrentCell, layers int, both bool) *nn.Network {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Layer("words", nn.Embedding{Count: 20, Width: 6}, b.Layer("tokens", nn.Input{Shape: nn.Shape{-1}, Element: nn.Int32}))
	for i := range layers {
		op := nn.Recurrent{Cell: cell, Units: 5, Last: i == layers-1}
		name := fmt.Sprintf("layer%d", i)
		y := b.Layer(name, op, x)
		if both {
			op.Reverse = true
			y = b.Layer(name+".both", nn.Concat{}, y, b.Layer(name+".reverse", op, x))
		}
		x = y
	}
	b.Layer("probabilities", nn.Softmax{}, b.Layer("logits", nn.Dense{Out: 3, Bias: true}, x))
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

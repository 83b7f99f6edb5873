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

// pattern gives n numbers from −scale to scale, as the PyTorch script does.
func pattern(n, a, b, m int, scale float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(float64((a*i+b)%m-m/2) / float64(m) * 2 * scale)
	}
	return out
}

func plus(one float32, x []float32) []float32 {
	for i := range x {
		x[i] += one
	}
	return x
}

func referenceExamples(n, b int) *Table {
	t := &Table{Width: 6, Values: pattern(n*6, 17, b, 101, 2), Classes: make([]int, n)}
	for i := range t.Classes {
		t.Classes[i] = (i*i + b) % 3
	}
	return t
}

func referenceNetwork(t *testing.T) (*nn.Network, nn.Weights) {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("features", 6)
	x = b.Layer("hidden", nn.Dense{Out: 8}, x)
	x = b.Layer("norm", nn.BatchNorm{Epsilon: 1e-5, Momentum: 0.9}, x)
	x = b.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	x = b.Layer("logits", nn.Dense{Out: 3, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net, nn.Weights{
		"hidden.weight": {Shape: nn.Shape{8, 6}, Data: pattern(48, 29, 3, 67, 0.8)},
		"norm.gamma":    {Shape: nn.Shape{8}, Data: plus(1, pattern(8, 7, 2, 13, 0.4))},
		"norm.beta":     {Shape: nn.Shape{8}, Data: pattern(8, 3, 5, 17, 0.2)},
		"norm.mean":     {Shape: nn.Shape{8}, Data: pattern(8, 11, 4, 19, 0.5)},
		"norm.variance": {Shape: nn.Shape{8}, Data: plus(1, pattern(8, 9, 6, 23, 0.5))},
		"logits.weight": {Shape: nn.Shape{3, 8}, Data: pattern(24, 31, 8, 71, 0.7)},
		"logits.bias":   {Shape: nn.Shape{3}, Data: pattern(3, 2, 1, 5, 0.1)},
	}
}

var referenceOptions = map[string]Options{
	"momentum": {Epochs: 10, BatchSize: 8, Rule: optimizer.SGD{Momentum: 0.9}, Rate: 0.05, ClipNorm: 0.5},
	"adamw": {
		Epochs: 15, BatchSize: 11, Rule: optimizer.DefaultAdamW(), Rate: 0.01, Decay: 0.1,
		Objective: objective.CrossEntropy{Smoothing: 0.1, ClassWeights: []float64{0.5, 1, 2.5}},
	},
	"frozen": {
		Epochs: 10, BatchSize: 8, Rule: optimizer.DefaultAdam(), Rate: 0.02,
		Freeze: func(layer string) bool { return layer == "hidden" || layer == "norm" },
	},
}

// TestTrainsAsPyTorchDoes follows trainings of 30 steps from the same weights in the same order.
func TestTrainsAsPyTorchDoes(t *testing.T) {
	text, err := os.ReadFile("testdata/training.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Losses, Validation []float64
		Weights            map[string][]float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	close := func(got, want float64) bool { return math.Abs(got-want) <= 1e-4*math.Abs(want)+1e-6 }
	for name, o := range referenceOptions {
		t.Run(name, func(t *testing.T) {
			o.Seed, o.Threads = 42, 2
			reference := want[name]
			if len(reference.Losses) != 30 {
				t.Fatalf("PyTorch took %d steps", len(reference.Losses))
			}
			net, weights := referenceNetwork(t)
			trainer := newTrainer(t, net, weights, o)
			examples, validation := referenceExamples(23, 7), referenceExamples(10, 40)
			step := 0
			for epoch := range o.Epochs {
				for i, positions := range batches(order(positionsOf(nil, 23, epoch), o.Seed, epoch), o.BatchSize) {
					s, err := trainer.step(context.Background(), examples, [][]int{positions}, o.Rate, graph.Draw{Seed: o.Seed, Epoch: epoch, Step: i}, schedule.Position{})
					if err != nil {
						t.Fatal(err)
					}
					if !close(s.loss, reference.Losses[step]) {
						t.Errorf("step %d: loss %v, PyTorch has %v", step, s.loss, reference.Losses[step])
					}
					step++
				}
				loss, _, err := trainer.evaluate(context.Background(), validation)
				if err != nil {
					t.Fatal(err)
				}
				if !close(loss, reference.Validation[epoch]) {
					t.Errorf("epoch %d: validation loss %v, PyTorch has %v", epoch, loss, reference.Validation[epoch])
				}
			}
			for name, tensor := range trainer.Last() {
				for i, v := range tensor.Data {
					if !close(float64(v), reference.Weights[name][i]) {
						t.Fatalf("%s, element %d: %v, PyTorch has %v", name, i, v, reference.Weights[name][i])
					}
				}
			}
		})
	}
}

func newTrainer(t testing.TB, net *nn.Network, weights nn.Weights, o Options) *Trainer {
	t.Helper()
	trainer, err := New(net, weights, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := trainer.Close(); err != nil {
			t.Error(err)
		}
	})
	return trainer
}

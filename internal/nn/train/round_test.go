package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
)

// spreadPattern gives n numbers from −scale to scale, as rounding.py does.
func spreadPattern(n, a, b, m int, scale float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(scale) * float32(float64((i*a+b)%m)/float64(m)*2-1)
	}
	return out
}

// roundedNetwork is that of rounding.py, with a scheme that cuts off some values of the input and the map.
func roundedNetwork(t *testing.T) (*nn.Network, nn.Weights, *quantise.Scheme, *Table) {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("image", 4, 4, 2)
	x = b.Layer("conv", nn.Conv{Out: 3, Kernel: nn.Square(3), Stride: nn.Square(1), Padding: x.Same(nn.Square(3), nn.Square(1)), Bias: true}, x)
	x = b.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	x = b.Layer("flat", nn.Flatten{}, x)
	x = b.Layer("logits", nn.Dense{Out: 3, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := nn.Weights{
		"conv.weight":   {Shape: nn.Shape{3, 3, 3, 2}, Data: spreadPattern(54, 29, 3, 61, 0.4)},
		"conv.bias":     {Shape: nn.Shape{3}, Data: spreadPattern(3, 5, 2, 13, 0.1)},
		"logits.weight": {Shape: nn.Shape{3, 48}, Data: spreadPattern(144, 31, 7, 101, 0.2)},
		"logits.bias":   {Shape: nn.Shape{3}, Data: spreadPattern(3, 7, 1, 11, 0.1)},
	}
	scheme := &quantise.Scheme{Ranges: map[string]quantise.Range{
		"image": {Low: -0.8, High: 0.7}, "relu": {High: 0.9}, "flat": {High: 0.9}, "logits": {Low: -1.5, High: 1.5},
	}}
	examples := &Table{Width: 32, Values: spreadPattern(192, 37, 11, 149, 1), Classes: []int{0, 1, 2, 0, 1, 2}}
	return net, weights, scheme, examples
}

// TestTrainsWithRoundingAsPyTorchDoes follows 20 steps with PyTorch's fake quantisation.
func TestTrainsWithRoundingAsPyTorchDoes(t *testing.T) {
	text, err := os.ReadFile("testdata/rounding.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Losses    []float64
		Gradients [][]float64 // of the first step
		Weights   [][]float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	const rate = 0.05
	net, weights, scheme, examples := roundedNetwork(t)
	trained := func(epochs int, scheme *quantise.Scheme) (nn.Weights, []Epoch) {
		trainer, err := New(net, weights, Options{Epochs: epochs, BatchSize: 6, Rule: optimizer.SGD{}, Rate: rate, Rounding: scheme})
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if err := trainer.Run(context.Background(), examples, nil, nil); err != nil {
			t.Fatal(err)
		}
		return trainer.Last(), trainer.History()
	}
	names := []string{"conv.weight", "conv.bias", "logits.weight", "logits.bias"}
	after, _ := trained(1, scheme)
	for i, name := range names {
		for j, g := range want.Gradients[i] {
			got := float64(weights[name].Data[j]-after[name].Data[j]) / rate
			if math.Abs(got-g) > 2e-5 {
				t.Errorf("gradient %d of %s is %v, PyTorch has %v", j, name, got, g)
			}
		}
	}
	last, history := trained(20, scheme)
	for i, l := range want.Losses {
		if math.Abs(history[i].Loss-l) > 1e-4 {
			t.Errorf("loss of step %d is %v, PyTorch has %v", i+1, history[i].Loss, l)
		}
	}
	for i, name := range names {
		for j, w := range want.Weights[i] {
			if got := float64(last[name].Data[j]); math.Abs(got-w) > 2e-4 {
				t.Errorf("weight %d of %s is %v, PyTorch has %v", j, name, got, w)
			}
		}
	}
	if _, exact := trained(1, nil); math.Abs(exact[0].Loss-want.Losses[0]) < 1e-3 {
		t.Errorf("without rounding the loss is %v: the test does not see the rounding", exact[0].Loss)
	}
}

// What is validated is the network that computes with bytes.
func TestValidatesWithBytes(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("image", 16, 16, 32)
	x = b.Layer("conv", nn.Conv{Out: 64, Kernel: nn.Square(3), Stride: nn.Square(1), Bias: true}, x)
	x = b.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	x = b.Layer("pool", nn.GlobalAveragePool{}, x)
	x = b.Layer("logits", nn.Dense{Out: 3, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := net.Initialise(1)
	scheme := &quantise.Scheme{Ranges: map[string]quantise.Range{
		"image": {Low: -1, High: 1}, "relu": {High: 0.1}, "pool": {High: 0.1}, "logits": {Low: -5, High: 5}, // which cuts much off
	}}
	examples := &Table{Width: 16 * 16 * 32, Values: spreadPattern(6*16*16*32, 37, 11, 149, 1), Classes: []int{0, 1, 2, 0, 1, 2}}
	trainer, err := New(net, weights, Options{Epochs: 1, BatchSize: 6, Rule: optimizer.SGD{}, Rate: 1e-9, Rounding: scheme})
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	var got float64
	if err := trainer.Run(context.Background(), examples, examples, func(e Epoch) error { got = e.ValidationLoss; return nil }); err != nil {
		t.Fatal(err)
	}
	loss := func(o frozen.Options) (sum float64) {
		program, err := o.Compile(net, weights)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float32, 18)
		if err := program.NewSession(6).Run(nil, examples.Values, 6, out); err != nil {
			t.Fatal(err)
		}
		for i, c := range examples.Classes {
			sum -= math.Log(float64(out[3*i+c])) / 6
		}
		return sum
	}
	if bytes, exact := loss(frozen.By(scheme)), loss(frozen.Options{}); math.Abs(got-bytes) > 1e-5 || math.Abs(got-exact) < 1e-2 {
		t.Errorf("validation loss %v, of bytes %v, in float32 %v", got, bytes, exact)
	}
}

// Over whole steps a rounded value changes as the value itself does, which is what its gradient says; beyond its range it does not.
func TestGradientGoesStraightThroughWithinTheRange(t *testing.T) {
	steps := quantise.Range{Low: -1, High: 1.55}.Steps()
	data := []float32{-3, -0.985, -0.313, 0.004, 0.777, 1.538, 2}
	g := graph.New(nil, nil)
	x := g.Learned("x", []int{1, len(data)}, data)
	y := g.StraightThrough("rounding", x, g.EachNumber(steps.Round, steps.Within))
	loss := g.Function("sum", func(_ *kernel.Pool, v [][]float32, d [][]float64) (sum float64, err error) {
		for i, value := range v[0] {
			sum += float64(i+1) * float64(value)
			d[0][i] = float64(i + 1)
		}
		return sum, nil
	}, y)
	g.Differentiate(loss)
	if err := g.Compile(loss); err != nil {
		t.Fatal(err)
	}
	run := func() float64 {
		if err := g.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		return float64(g.Data(loss)[0])
	}
	run()
	gradient, err := g.Parameters()[0].Grad()
	if err != nil {
		t.Fatal(err)
	}
	got := append([]float32(nil), gradient.Data().([]float32)...)
	for i := range data {
		was := data[i]
		data[i] = was + steps.Size
		above := run()
		data[i] = was - steps.Size
		below := run()
		data[i] = was
		if want := (above - below) / float64(2*steps.Size); math.Abs(float64(got[i])-want) > 1e-3 {
			t.Errorf("gradient at %v is %v, differences give %v", was, got[i], want)
		}
	}
}

package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

const adaptationRows, reversed = 16, 0.7

// adaptations are the losses of two domains that the PyTorch script has.
func adaptations() map[string]objective.Objective {
	return map[string]objective.Objective{
		"deep_coral":      objective.DeepCORAL{Output: "features"},
		"mmd":             objective.MMD{Output: "features"},
		"mmd, linear":     objective.MMD{Output: "features", Estimator: discrepancy.Linear},
		"joint_mmd":       objective.JointMMD{Features: "features", Answers: "probabilities"},
		"class_confusion": objective.ClassConfusion{Output: "probabilities"},
		"information":     objective.Information{Output: "probabilities"},
		"entropy":         objective.Information{Output: "probabilities", Sure: 1},
		"consistency":     objective.Consistency{Output: "probabilities", Threshold: 0.4},
		"dann":            objective.Discrimination{Output: "domain"},
		"cdan":            objective.Discrimination{Output: "domain", Certainty: "probabilities"},
	}
}

// adaptationNetwork has a discriminator of the features, for cdan of their products with the probabilities.
func adaptationNetwork(t *testing.T, name string) (*nn.Network, nn.Weights) {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("input", 6)
	f := b.Layer("features", nn.Activation{Function: kernel.Tanh}, b.Layer("hidden", nn.Dense{Out: 5}, x))
	p := b.Layer("probabilities", nn.Softmax{}, b.Layer("logits", nn.Dense{Out: 4}, f))
	told, width := f, 5
	if name == "cdan" {
		constant := b.Layer("constant", nn.GradientReversal{}, p) // a reversal by nothing stops the gradient
		told = b.Layer("products", nn.MatMul{}, b.Layer("column", nn.Reshape{Shape: []int{5, 1}}, f), b.Layer("row", nn.Reshape{Shape: []int{1, 4}}, constant))
		told, width = b.Layer("flat", nn.Flatten{}, told), 20
	}
	d := b.Layer("domain", nn.Softmax{}, b.Layer("discriminator", nn.Dense{Out: 2}, b.Layer("reversal", nn.GradientReversal{Lambda: reversed}, told)))
	b.Outputs(p, d)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net, nn.Weights{
		"hidden.weight":        {Shape: nn.Shape{5, 6}, Data: pattern(30, 29, 3, 67, 0.8)},
		"logits.weight":        {Shape: nn.Shape{4, 5}, Data: pattern(20, 31, 8, 71, 0.7)},
		"discriminator.weight": {Shape: nn.Shape{2, width}, Data: pattern(2*width, 23, 5, 59, 0.6)},
	}
}

// adaptationExamples are of both domains in turn; the target's rows have no label.
func adaptationExamples() *Table {
	e := &Table{Width: 6, Values: pattern(adaptationRows*6, 17, 7, 101, 2), Targets: nn.Batch{objective.Domain: {Int32: make([]int32, adaptationRows)}}}
	for i := range adaptationRows {
		class := (i*i + 3) % 4
		if i%2 == objective.TargetDomain {
			class = objective.Unknown
		}
		e.Classes = append(e.Classes, class)
		e.Targets[objective.Domain].Int32[i] = int32(i % 2)
	}
	return e
}

// Twenty steps with each loss of two domains give what they give in PyTorch, whose numbers are of float64.
func TestAdaptsAsPyTorchDoes(t *testing.T) {
	text, err := os.ReadFile("testdata/adaptation.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Terms, H, Z []float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	// Rounding to float32 at each layer, through twenty steps.
	close := func(got, want float64) bool { return math.Abs(got-want) <= 2e-5*(math.Abs(want)+0.1) }
	for name, term := range adaptations() {
		reference := want[name]
		if len(reference.Terms) != 20 {
			t.Fatalf("%s: PyTorch took %d steps", name, len(reference.Terms))
		}
		net, weights := adaptationNetwork(t, name)
		trainer := newTrainer(t, net, weights, Options{
			Epochs: 20, BatchSize: adaptationRows, Rule: optimizer.SGD{}, Rate: 0.1, Threads: 1,
			Batches: func(int) [][]int { return [][]int{positionsOf(nil, adaptationRows, 0)} }, // in order: the linear estimate depends on it
			Objective: objective.Sum{
				{Objective: objective.CrossEntropy{Output: "probabilities", Unlabelled: true}},
				{Name: "term", Objective: term, Weight: objective.Constant(0.5), TrainingOnly: true},
			},
		})
		if err := trainer.Run(context.Background(), adaptationExamples(), nil, nil); err != nil {
			t.Fatal(err)
		}
		for step, e := range trainer.History() {
			if got := e.Measures.Of("term.loss"); !close(got, reference.Terms[step]) {
				t.Errorf("%s, step %d: loss %v, PyTorch has %v", name, step, got, reference.Terms[step])
			}
		}
		for layer, values := range map[string][]float64{"hidden.weight": reference.H, "logits.weight": reference.Z} {
			for i, v := range trainer.Last()[layer].Data {
				if !close(float64(v), values[i]) {
					t.Errorf("%s: %s, element %d: %v, PyTorch has %v", name, layer, i, v, values[i])
					break
				}
			}
		}
	}
}

// One pass over rows of the target makes the answers sure by scale and shift of a batch-norm alone, whose statistics are then
// the means of the batches', as in PyTorch. Without a loss the pass changes the statistics alone.
func TestAdaptsBatchNormsAsPyTorchDoes(t *testing.T) {
	text, err := os.ReadFile("testdata/adaptation.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Terms, Gamma, Beta, Mean, Variance []float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	reference := want["tent"]
	if len(reference.Terms) != 4 || len(reference.Mean) != 5 {
		t.Fatalf("the reference is %+v", reference)
	}
	b := nn.NewBuilder()
	x := b.Layer("hidden", nn.Dense{Out: 5}, b.Input("input", 6))
	x = b.Layer("features", nn.Activation{Function: kernel.Tanh}, b.Layer("norm", nn.BatchNorm{Epsilon: 1e-3, Momentum: 0.9}, x))
	b.Outputs(b.Layer("probabilities", nn.Softmax{}, b.Layer("logits", nn.Dense{Out: 4}, x)))
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	ones := []float32{1, 1, 1, 1, 1}
	weights := nn.Weights{
		"hidden.weight": {Shape: nn.Shape{5, 6}, Data: pattern(30, 29, 3, 67, 0.8)},
		"logits.weight": {Shape: nn.Shape{4, 5}, Data: pattern(20, 31, 8, 71, 0.7)},
		"norm.gamma":    {Shape: nn.Shape{5}, Data: ones}, "norm.beta": {Shape: nn.Shape{5}, Data: make([]float32, 5)},
		"norm.mean": {Shape: nn.Shape{5}, Data: []float32{9, 9, 9, 9, 9}}, "norm.variance": {Shape: nn.Shape{5}, Data: ones},
	}
	examples := adaptationExamples()
	for i := range examples.Targets[objective.Domain].Int32 {
		examples.Targets[objective.Domain].Int32[i] = objective.TargetDomain
	}
	for _, weight := range []float64{1, 0} {
		trainer := newTrainer(t, net, weights, Options{
			Epochs: 1, BatchSize: 4, Rule: optimizer.SGD{}, Rate: 0.5, Threads: 1, PoolStatistics: true,
			Batches:   func(int) [][]int { return slices.Collect(slices.Chunk(positionsOf(nil, adaptationRows, 0), 4)) },
			Freeze:    func(layer string) bool { return layer != "norm" },
			Objective: objective.Sum{{Name: "term", Objective: objective.Information{Output: "probabilities", Sure: 1}, Weight: objective.Constant(weight)}},
		})
		if err := trainer.Run(context.Background(), examples, nil, nil); err != nil {
			t.Fatal(err)
		}
		last := trainer.Last()
		for name, values := range map[string][]float64{"gamma": reference.Gamma, "beta": reference.Beta, "mean": reference.Mean, "variance": reference.Variance} {
			for i, got := range last["norm."+name].Data {
				value := values[i]
				if weight == 0 && (name == "gamma" || name == "beta") {
					value = float64(weights["norm."+name].Data[i])
				}
				if math.Abs(float64(got)-value) > 1e-5*(math.Abs(value)+0.1) {
					t.Errorf("weight %v: %s, element %d: %v, PyTorch has %v", weight, name, i, got, value)
				}
			}
		}
		for _, name := range []string{"hidden.weight", "logits.weight"} {
			if !slices.Equal(last[name].Data, weights[name].Data) {
				t.Errorf("weight %v: %s has changed", weight, name)
			}
		}
	}
}

// What comes back to the features through the reversal is exactly −λ times what the discriminator's own layer sends down.
func TestReversedGradientIsExact(t *testing.T) {
	gradientBelow := func(lambda float32, reverse bool) []float32 {
		g := graph.New(nil, nil)
		f := g.Learned("features", []int{adaptationRows, 5}, pattern(adaptationRows*5, 13, 4, 97, 1.5))
		below := f
		if reverse {
			factor := g.Fixed("factor", []int{1}, []float32{1})
			below = g.ReverseGradient(f, lambda, factor)
		}
		logits := g.Dense(below, g.Fixed("weight", []int{2, 5}, pattern(10, 23, 5, 59, 0.6)), nil)
		loss := (objective.Discrimination{Output: "domain"}).Loss(objective.Place{Graph: g, Batch: adaptationRows, Output: func(objective.Output) *graph.Node { return logits }})
		g.Differentiate(loss.Node())
		if err := g.Compile(loss.Kept()...); err != nil {
			t.Fatal(err)
		}
		mass, err := loss.Fill(nn.Batch{objective.Domain: adaptationExamples().Targets[objective.Domain]}, objective.Filling{At: schedule.Position{}})
		if err != nil {
			t.Fatal(err)
		}
		loss.DivideBy(mass)
		if err := g.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		grad, err := g.Parameters()[0].Grad()
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(grad.Data().([]float32))
	}
	plain := gradientBelow(0, false)
	for _, lambda := range []float32{0, 0.25, 0.7, 1, 3} {
		for i, got := range gradientBelow(lambda, true) {
			if want := -lambda * plain[i]; got != want {
				t.Fatalf("λ %v: gradient %d is %v, want exactly %v", lambda, i, got, want)
			}
		}
	}
}

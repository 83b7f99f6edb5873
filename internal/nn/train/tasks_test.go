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
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
)

// tasksReference is what PyTorch gave; see testdata/tasks.py.
type tasksReference struct {
	X       []float32
	Kind    []int32
	Age     []*float32
	Start   map[string][]float32
	Trained map[string]struct {
		Weights [][]float64 // by step and task
		Hidden  []float64
		Age     []float64
	}
}

func readTasks(t testing.TB) (r tasksReference) {
	t.Helper()
	text, err := os.ReadFile("testdata/tasks.json")
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// forked is a network of two heads, and the weights that it starts with.
func (r tasksReference) forked(t testing.TB) (*nn.Network, nn.Weights) {
	t.Helper()
	b := nn.NewBuilder()
	h := b.Layer("tanh", nn.Activation{Function: kernel.Tanh}, b.Layer("hidden", nn.Dense{Out: 5, Bias: true}, b.Input("x", 6)))
	b.Outputs(b.Layer("kind", nn.Softmax{}, b.Layer("kind_logits", nn.Dense{Out: 3, Bias: true}, h)), b.Layer("age", nn.Dense{Out: 1, Bias: true}, h))
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := nn.Weights{}
	for _, p := range net.Parameters() {
		weights[p.Name()] = nn.Tensor{Shape: p.Shape, Data: slices.Clone(r.Start[p.Name()])}
	}
	return net, weights
}

func (r tasksReference) rows() *Table {
	ages := make([]float32, len(r.Age))
	for i, age := range r.Age {
		if ages[i] = float32(math.NaN()); age != nil {
			ages[i] = *age
		}
	}
	return &Table{Width: 6, Values: r.X, Targets: nn.Batch{"kind": {Int32: r.Kind}, "age": {Float32: ages}}}
}

func balanced(balance string) objective.Tasks {
	out := objective.Tasks{Terms: objective.Sum{
		{Name: "kind", Objective: objective.CrossEntropy{Output: "kind", Target: "kind", Unlabelled: true}},
		{Name: "age", Objective: objective.SquaredError{Output: "age", Target: "age"}},
	}}
	switch balance {
	case "fixed":
		out.Terms[0].Weight, out.Terms[1].Weight = objective.Constant(2), objective.Constant(0.25)
	case "uncertainty":
		out.Balance = objective.Uncertainty{Numbers: []bool{false, true}}
	case "gradient_norm":
		out.Balance = objective.GradientNorm{Alpha: 1.5}
	}
	return out
}

func tasksOptions(balance string, epochs int) Options {
	return Options{
		Epochs: epochs, BatchSize: 8, Rule: optimizer.SGD{}, Rate: 0.1, Threads: 1,
		Objective: balanced(balance), Probes: []string{"kind_logits", "age"},
	}
}

// Some rows lack the class, some the number, one both. Weights of tasks and of layers go the way that they go in PyTorch.
func TestTasksAreBalancedAsByPyTorch(t *testing.T) {
	r := readTasks(t)
	for balance, want := range r.Trained {
		net, weights := r.forked(t)
		trainer, err := New(net, weights, tasksOptions(balance, len(want.Weights)))
		if err != nil {
			t.Fatal(err)
		}
		if err := trainer.Run(context.Background(), r.rows(), r.rows(), nil); err != nil {
			t.Fatal(err)
		}
		for step, e := range trainer.History() {
			for i, task := range []string{"kind", "age"} {
				if got := e.Measures.Of(task + ".weight"); math.Abs(got-want.Weights[step][i]) > 1e-5 {
					t.Errorf("%s: step %d: weight of %s is %v, PyTorch has %v", balance, step, task, got, want.Weights[step][i])
				}
			}
		}
		last := trainer.Last()
		for name, values := range map[string][]float64{"hidden.weight": want.Hidden, "age.weight": want.Age} {
			for i, x := range last[name].Data {
				if math.Abs(float64(x)-values[i]) > 2e-5 {
					t.Errorf("%s: %s[%d] is %v, PyTorch has %v", balance, name, i, x, values[i])
				}
			}
		}
		if err := trainer.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What balances the tasks is in checkpoints.
func TestBalanceResumes(t *testing.T) {
	r := readTasks(t)
	for _, balance := range []string{"uncertainty", "gradient_norm"} {
		train := func(stop bool) nn.Weights {
			net, weights := r.forked(t)
			trainer, err := New(net, weights, tasksOptions(balance, 6))
			if err != nil {
				t.Fatal(err)
			}
			var saved []byte
			if err := trainer.Run(context.Background(), r.rows(), nil, func(e Epoch) error {
				if e.Number == 3 {
					saved, err = trainer.Save()
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if stop {
				net, weights = r.forked(t)
				if trainer, err = New(net, weights, tasksOptions(balance, 6)); err != nil {
					t.Fatal(err)
				}
				if err := trainer.Restore(saved); err != nil {
					t.Fatal(err)
				}
				if err := trainer.Run(context.Background(), r.rows(), nil, nil); err != nil {
					t.Fatal(err)
				}
			}
			return trainer.Last()
		}
		whole, resumed := train(false), train(true)
		for name, want := range whole {
			if !slices.Equal(resumed[name].Data, want.Data) {
				t.Errorf("%s: %s differs after a restart", balance, name)
			}
		}
	}
}

// With nothing to learn below the heads, gradients balance nothing.
func TestNothingSharedIsNotBalanced(t *testing.T) {
	r := readTasks(t)
	net, weights := r.forked(t)
	o := tasksOptions("gradient_norm", 3)
	o.Freeze = func(layer string) bool { return layer == "hidden" }
	trainer, err := New(net, weights, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = trainer.Close() }()
	if err := trainer.Run(context.Background(), r.rows(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := trainer.History()[2].Measures.Of("kind.weight"); got != 1 {
		t.Errorf("the weight is %v", got)
	}
}

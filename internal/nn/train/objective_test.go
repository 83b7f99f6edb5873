package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// twoSided is a network of two inputs, vectors and ids, whose outputs are classes, numbers, and a guess of
// the id from features that are reversed.
func twoSided(t testing.TB) *nn.Network {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("vectors", 6)
	ids := b.Layer("ids", nn.Input{Shape: nn.Shape{1}, Element: nn.Int32})
	looked := b.Layer("flat", nn.Flatten{}, b.Layer("table", nn.Embedding{Count: 2, Width: 4}, ids))
	h := b.Layer("hidden", nn.Dense{Out: 8, Bias: true}, b.Layer("both", nn.Concat{}, x, looked))
	h = b.Layer("tanh", nn.Activation{Function: kernel.Tanh}, h)
	class := b.Layer("classes", nn.Softmax{}, b.Layer("class_logits", nn.Dense{Out: 3, Bias: true}, h))
	number := b.Layer("years", nn.Affine{Scale: []float32{10}, Shift: []float32{40}}, b.Layer("number", nn.Dense{Out: 1, Bias: true}, h))
	reversed := b.Layer("reversed", nn.GradientReversal{Lambda: 0.5}, h)
	domain := b.Layer("domain", nn.Activation{Function: kernel.Sigmoid}, b.Layer("domain_logit", nn.Dense{Out: 1, Bias: true}, reversed))
	b.Outputs(class, number, domain)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// records are examples of several inputs and targets.
type records struct {
	count int
	batch Batch
}

func (r *records) Len() int { return r.count }

func (r *records) Read(positions []int, into Batch) error {
	for name, to := range into.Inputs {
		CopyRows(to, r.batch.Inputs[name], positions, r.count)
	}
	for name, to := range into.Targets {
		CopyRows(to, r.batch.Targets[name], positions, r.count)
	}
	return nil
}

func someRecords(n int, seed uint64) *records {
	random := rand.New(rand.NewPCG(seed, 5))
	in, out := nn.Batch{"vectors": {Float32: make([]float32, 6*n)}, "ids": {Int32: make([]int32, n)}},
		nn.Batch{"class": {Int32: make([]int32, n)}, "age": {Float32: make([]float32, n)}, "id": {Float32: make([]float32, n)}}
	for i := range n {
		x := in["vectors"].Float32[6*i : 6*i+6]
		for j := range x {
			x[j] = float32(random.NormFloat64())
		}
		id := int32(random.IntN(2))
		in["ids"].Int32[i], out["id"].Float32[i] = id, float32(id)
		out["age"].Float32[i] = 40 + 8*x[0] - 4*x[1]
		switch {
		case x[2]+float32(id) > 0.8:
			out["class"].Int32[i] = 1
		case x[3] > 0.5:
			out["class"].Int32[i] = 2
		}
	}
	return &records{n, Batch{Inputs: in, Targets: out}}
}

func twoSidedOptions() Options {
	o := adamOptions()
	o.Rate, o.Epochs = 1e-2, 15
	o.Objective = objective.Sum{
		{Objective: objective.CrossEntropy{Output: "classes"}},
		{Name: "age", Objective: objective.SquaredError{Output: "years", Target: "age", Scales: []float64{10}}},
		{Name: "domain", Objective: objective.BinaryCrossEntropy{Output: "domain", Target: "id"}, Weight: schedule.Cosine(0.1).Factor, TrainingOnly: true},
	}
	o.Reversal = func(at schedule.Position) float64 { return 1.5 * at.Fraction() }
	o.Points = 40
	return o
}

// TestSeveralInputsOutputsAndObjectives trains on named tensors, and goes on from any epoch as if nothing
// had happened.
func TestSeveralInputsOutputsAndObjectives(t *testing.T) {
	net := twoSided(t)
	training, validation := someRecords(120, 1), someRecords(60, 2)
	whole := newTrainer(t, net, net.Initialise(1), twoSidedOptions())
	var checkpoint []byte
	err := whole.Run(context.Background(), training, validation, func(e Epoch) (err error) {
		if e.Number == 4 {
			checkpoint, err = whole.Save()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	testCourse(t, whole)
	first, last := whole.History()[0], whole.History()[14]
	if got := last.ValidationMeasures; !(got.Of("accuracy") > 0.8 && got.Of("age.loss") < 0.1 && got.Of("age.mean_absolute_error") < 3) {
		t.Errorf("validation gave %v", got)
	}
	if !math.IsNaN(last.ValidationMeasures.Of("domain.loss")) || !math.IsNaN(last.Measures.Of("anything")) || !(last.Measures.Of("domain.loss") > 0) {
		t.Errorf("domain: %v in validation, %v in training", last.ValidationMeasures, last.Measures)
	}
	if !(last.Loss < first.Loss/2) {
		t.Errorf("the loss went from %v to %v", first.Loss, last.Loss)
	}
	resumed := newTrainer(t, net, net.Initialise(9), twoSidedOptions())
	if err := errors.Join(resumed.Restore(checkpoint), resumed.Run(context.Background(), training, validation, nil)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(digest(resumed.Last()), resumed.History(), resumed.Course()) != fmt.Sprint(digest(whole.Last()), whole.History(), whole.Course()) {
		t.Error("resumed, the training went another way")
	}
	// Reversal is what makes the ids hard to tell from the features.
	o := twoSidedOptions()
	o.Reversal = func(schedule.Position) float64 { return 0 }
	if plain := run(t, net, o, training, validation).History()[14]; plain.Measures.Of("domain.loss") >= last.Measures.Of("domain.loss") {
		t.Errorf("domain loss %v without reversal, %v with", plain.Measures.Of("domain.loss"), last.Measures.Of("domain.loss"))
	}
}

// testCourse holds the points of a training's course against its epochs: steps follow each other, none is left out, and the means over an
// epoch's points are those of the epoch.
func testCourse(t *testing.T, trainer *Trainer) {
	t.Helper()
	course, o := trainer.Course(), trainer.options
	if most := o.Points + o.Epochs; len(course) < o.Epochs || len(course) > most {
		t.Errorf("the course has %d points, want %d to %d", len(course), o.Epochs, most)
	}
	const examples = 120
	perEpoch := (examples + o.BatchSize - 1) / o.BatchSize
	before := 0
	loss, age := make([]float64, o.Epochs), make([]float64, o.Epochs)
	for _, p := range course {
		e, end := p.Epoch-1, p.Step-(p.Epoch-1)*perEpoch
		if begin := before - e*perEpoch; begin < 0 || end <= begin || end > perEpoch {
			t.Fatalf("a point at epoch %d, step %d comes after one at step %d", p.Epoch, p.Step, before)
		}
		rows := min(end*o.BatchSize, examples) - (before-e*perEpoch)*o.BatchSize
		before = p.Step
		loss[e] += float64(rows) * p.Loss / examples
		age[e] += float64(rows) * p.Measures.Of("age.loss") / examples
		at := schedule.Position{Epoch: e, Epochs: o.Epochs, Step: end - 1, Steps: perEpoch}
		if want := schedule.Cosine(0.1).Factor(at); p.Weights["age"] != 1 || p.Weights["domain"] != want {
			t.Errorf("step %d: the weights are %v, want 1 and %v", p.Step, p.Weights, want)
		}
		if p.Reversal != o.Reversal(at) {
			t.Errorf("step %d: reversal %v, want %v", p.Step, p.Reversal, o.Reversal(at))
		}
	}
	if before != o.Epochs*perEpoch {
		t.Errorf("the course ends at step %d of %d", before, o.Epochs*perEpoch)
	}
	for i, e := range trainer.History() {
		if math.Abs(loss[i]-e.Loss) > 1e-5 || math.Abs(age[i]-e.Measures.Of("age.loss")) > 1e-5 {
			t.Errorf("epoch %d: the points have mean loss %v and %v of age, the epoch has %v and %v", i+1, loss[i], age[i], e.Loss, e.Measures.Of("age.loss"))
		}
	}
}

// A step with an accumulated sum is that of the whole batch, where all terms have the same mass.
func TestAccumulatedSumsAreOne(t *testing.T) {
	net, examples := twoSided(t), someRecords(16, 3)
	o := twoSidedOptions()
	o.Rule = optimizer.SGD{}
	weights := func(size, accumulate int) nn.Weights {
		o.BatchSize, o.Accumulate = size, accumulate
		trainer := newTrainer(t, net, net.Initialise(1), o)
		var runs [][]int
		for i := 0; i < 16; i += size {
			var run []int
			for j := range size {
				run = append(run, i+j)
			}
			runs = append(runs, run)
		}
		if _, err := trainer.step(context.Background(), examples, runs, 0.1, graph.Draw{}, schedule.Position{Epochs: 1}); err != nil {
			t.Fatal(err)
		}
		return trainer.Last()
	}
	if d := furthest(weights(16, 1), weights(4, 4)); d > 1e-4 {
		t.Errorf("weights differ by %v", d)
	}
}

func TestObjectivesThatDoNotFit(t *testing.T) {
	net := twoSided(t)
	for want, spoil := range map[string]func(o *Options){
		"must be a vector":                     func(o *Options) { o.Objective = objective.CrossEntropy{Output: "nowhere"} },
		"mixing needs a network of one input":  func(o *Options) { o.Mix = Mixing{MixUp: 0.2, Probability: 1} },
		"nothing learns in or below the outpu": func(o *Options) { o.Freeze = func(l string) bool { return l != "number" } },
		"val_accuracy is not among what the objective squared_error reports": func(o *Options) {
			o.Objective, o.Monitor = objective.SquaredError{Output: "years", Target: "age"}, ValidationAccuracy
		},
	} {
		o := twoSidedOptions()
		spoil(&o)
		trainer, err := New(net, net.Initialise(1), o)
		if err == nil {
			err = errors.Join(trainer.Run(context.Background(), someRecords(32, 1), nil, nil), trainer.Close())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

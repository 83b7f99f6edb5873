package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// plainHead has no batch-norm and no dropout: batches may be cut as one likes.
func plainHead(t testing.TB, width, classes int) *nn.Network {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Layer("hidden", nn.Dense{Out: 12, Bias: true}, b.Input("features", width))
	x = b.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	b.Layer("logits", nn.Dense{Out: classes, Bias: true}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// run trains a network with the options and returns the trainer.
func run(t testing.TB, net *nn.Network, o Options, training, validation Examples) *Trainer {
	t.Helper()
	trainer := newTrainer(t, net, net.Initialise(1), o)
	if err := trainer.Run(context.Background(), training, validation, nil); err != nil {
		t.Fatal(err)
	}
	return trainer
}

// furthest returns the greatest difference between two sets of weights.
func furthest(a, b nn.Weights) float64 {
	var most float64
	for name, x := range a {
		for i, v := range x.Data {
			most = max(most, math.Abs(float64(v)-float64(b[name].Data[i])))
		}
	}
	return most
}

func TestAccumulatedBatchesAreOne(t *testing.T) {
	net := plainHead(t, 10, 4)
	o := Options{
		Epochs: 4, BatchSize: 16, Seed: 3, Threads: 2, Rule: optimizer.SGD{Momentum: 0.9}, Rate: 0.05, Decay: 0.01,
		ClipNorm: 0.5, Objective: objective.CrossEntropy{ClassWeights: []float64{0.3, 1, 2, 5}, Smoothing: 0.1},
	}
	examples, validation := blobs(100, 10, 4, 2, 1), blobs(30, 10, 4, 2, 2)
	whole := run(t, net, o, examples, validation)
	o.BatchSize, o.Accumulate = 4, 4
	parts := run(t, net, o, examples, validation)
	if d := furthest(whole.Last(), parts.Last()); d > 1e-5 {
		t.Errorf("weights differ by %v", d)
	}
	for i, e := range parts.History() {
		if w := whole.History()[i]; math.Abs(e.Loss-w.Loss) > 1e-5 || !maps.Equal(e.Measures, w.Measures) || e.Rate != w.Rate {
			t.Errorf("accumulated %+v, whole %+v", e, w)
		}
	}
	o.Accumulate = 1
	if d := furthest(whole.Last(), run(t, net, o, examples, validation).Last()); d < 1e-3 {
		t.Errorf("small batches alone give the same weights: the test tells nothing")
	}
}

func TestMeanOfTheWeights(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	o := adamOptions()
	o.Epochs, o.Average = 3, 0.8
	o.Freeze = func(layer string) bool { return layer == "hidden1.dense" }
	var trainer *Trainer
	var want nn.Weights
	updates := 0
	o.AfterStep = func(schedule.Position) error {
		updates++
		d := min(0.8, float64(1+updates)/float64(10+updates))
		for name, x := range trainer.weights {
			for i, v := range x.Data {
				want[name].Data[i] += float32(1-d) * (v - want[name].Data[i])
			}
		}
		return nil
	}
	want = net.Initialise(1)
	trainer = newTrainer(t, net, net.Initialise(1), o)
	validation := blobs(40, 10, 4, 1, 2)
	if err := trainer.Run(context.Background(), blobs(64, 10, 4, 1, 1), validation, nil); err != nil {
		t.Fatal(err)
	}
	if digest(trainer.Last()) != digest(want) {
		t.Errorf("the mean is off by up to %v", furthest(trainer.Last(), want))
	}
	if name := "hidden1.dense.weight"; !slices.Equal(want[name].Data, net.Initialise(1)[name].Data) {
		t.Error("a frozen layer has changed")
	}
	// What is validated is what is handed out.
	other := newTrainer(t, net, trainer.Last(), adamOptions())
	loss, _, err := other.evaluate(context.Background(), validation)
	if err != nil {
		t.Fatal(err)
	}
	if got := trainer.History()[2].ValidationLoss; got != loss || updates != 12 {
		t.Errorf("validation loss %v after %d steps, of the mean %v", got, updates, loss)
	}
}

// everything switches on all that a checkpoint in the middle of an epoch must carry.
func everything() (o Options, training, validation *Table) {
	o, training, validation = noisy()
	o.Epochs, o.BatchSize, o.Accumulate, o.Average, o.Points = 3, 8, 2, 0.9, 5
	o.Mix = Mixing{MixUp: 0.4, Probability: 0.7}
	o.Sample = Balanced(nil, training.Classes, 5)
	o.LayerRate = func(layer string) float64 {
		if strings.HasPrefix(layer, "hidden1") {
			return 0.1
		}
		return 1
	}
	o.BatchNorm = func(layer string) BatchNormMode {
		if layer == "hidden1.norm" {
			return FixedStatistics
		}
		return BatchStatistics
	}
	return o, training, validation
}

func TestResumedWithinAnEpochEqualsUndisturbed(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	result := func(trainer *Trainer) string {
		best, epoch := trainer.Best()
		return fmt.Sprint(epoch, digest(trainer.Last()), digest(trainer.weights), digest(best), fmt.Sprintf("%+v %+v", trainer.History(), trainer.Course()))
	}
	var checkpoints [][]byte
	o, training, validation := everything()
	var undisturbed *Trainer
	o.AfterStep = func(at schedule.Position) error {
		data, err := undisturbed.Save()
		if len(checkpoints) != at.Epoch*at.Steps+at.Step || at.Steps != 6 {
			t.Errorf("step %+v came as number %d", at, len(checkpoints))
		}
		checkpoints = append(checkpoints, data)
		return err
	}
	undisturbed = newTrainer(t, net, net.Initialise(1), o)
	if err := undisturbed.Run(context.Background(), training, validation, nil); err != nil {
		t.Fatal(err)
	}
	want := result(undisturbed)
	for step, checkpoint := range checkpoints {
		o, training, validation := everything()
		second := newTrainer(t, net, net.Initialise(99), o)
		if err := second.Restore(checkpoint); err != nil {
			t.Fatal(err)
		}
		if again, err := second.Save(); err != nil || !bytes.Equal(again, checkpoint) {
			t.Fatalf("what was restored differs from what was saved: %v", err)
		}
		if err := second.Run(context.Background(), training, validation, nil); err != nil {
			t.Fatal(err)
		}
		if result(second) != want {
			t.Fatalf("resumed after step %d, the training went another way", step+1)
		}
	}
}

func TestAfterStepEndsTheTraining(t *testing.T) {
	enough := errors.New("enough")
	o := adamOptions()
	steps := 0
	o.AfterStep = func(schedule.Position) error {
		if steps++; steps == 3 {
			return enough
		}
		return nil
	}
	net := tutorialHead(t, 10, 4)
	trainer := newTrainer(t, net, net.Initialise(1), o)
	if err := trainer.Run(context.Background(), blobs(100, 10, 4, 1, 1), nil, nil); !errors.Is(err, enough) || steps != 3 {
		t.Errorf("error %v after %d steps", err, steps)
	}
}

// change is how far one step of plain descent moves each parameter.
func change(t *testing.T, o Options) map[string][]float64 {
	net := tutorialHead(t, 10, 4)
	before := net.Initialise(1)
	trainer := newTrainer(t, net, before, o)
	if _, err := trainer.step(context.Background(), blobs(16, 10, 4, 1, 1), [][]int{positionsOf(nil, 16, 0)}, o.Rate, graph.Draw{}, schedule.Position{}); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for name, x := range trainer.weights {
		for i, v := range x.Data {
			out[name] = append(out[name], float64(v)-float64(before[name].Data[i]))
		}
	}
	return out
}

func TestRatesByLayer(t *testing.T) {
	o := Options{Epochs: 1, BatchSize: 16, Rule: optimizer.SGD{}, Rate: 0.1}
	whole := change(t, o)
	o.LayerRate = func(layer string) float64 {
		if layer == "hidden1.dense" {
			return 0.25
		}
		return 1
	}
	for name, moved := range change(t, o) {
		factor := 1.0
		if name == "hidden1.dense.weight" {
			factor = 0.25
		}
		for i, d := range moved {
			if math.Abs(d-factor*whole[name][i]) > 1e-6 {
				t.Fatalf("%s moved by %v, at the whole rate by %v", name, d, whole[name][i])
			}
		}
	}
}

func TestOnlyWeightsDecay(t *testing.T) {
	o := Options{Epochs: 1, BatchSize: 16, Rule: optimizer.SGD{}, Rate: 0.1}
	without := change(t, o)
	o.Decay, o.LayerRate = 0.5, func(string) float64 { return 0.5 }
	before := tutorialHead(t, 10, 4).Initialise(1)
	for name, moved := range change(t, o) {
		if strings.HasSuffix(name, ".mean") || strings.HasSuffix(name, ".variance") {
			continue
		}
		decay := 0.0
		if strings.HasSuffix(name, ".weight") {
			decay = 0.1 * 0.5 * 0.5
		}
		for i, d := range moved {
			if want := 0.5*without[name][i] - decay*float64(before[name].Data[i]); math.Abs(d-want) > 1e-6 {
				t.Fatalf("%s, element %d moved by %v, want %v", name, i, d, want)
			}
		}
	}
}

func TestFixedStatistics(t *testing.T) {
	net := tutorialHead(t, 10, 4)
	before := net.Initialise(1)
	o := adamOptions()
	o.Epochs = 2
	o.BatchNorm = func(layer string) BatchNormMode {
		if layer == "hidden2.norm" {
			return FixedStatistics
		}
		return BatchStatistics
	}
	after := run(t, net, o, blobs(64, 10, 4, 1, 1), nil).Last()
	for name, changes := range map[string]bool{
		"hidden1.norm.mean": true, "hidden1.norm.gamma": true,
		"hidden2.norm.mean": false, "hidden2.norm.variance": false, "hidden2.norm.gamma": true, "hidden2.norm.beta": true,
	} {
		if changed := !slices.Equal(before[name].Data, after[name].Data); changed != changes {
			t.Errorf("%s changed: %v", name, changed)
		}
	}
}

// TestFrozenLayersNeverChange trains with all that could touch them.
func TestFrozenLayersNeverChange(t *testing.T) {
	net := inverted(t)
	before := referenceWeights(net)
	frozenLayer := func(layer string) bool {
		return slices.Contains([]string{"stem", "stemnorm", "a2", "b1norm", "b3"}, layer)
	}
	o := mapOptions(frozenLayer, 2)
	o.Epochs, o.Average, o.Accumulate, o.Decay = 2, 0.5, 2, 0.1
	trainer := newTrainer(t, net, before, o)
	if err := trainer.Run(context.Background(), pictures(20), pictures(4), nil); err != nil {
		t.Fatal(err)
	}
	best, _ := trainer.Best()
	for _, p := range net.Parameters() {
		same := slices.Equal(best[p.Name()].Data, before[p.Name()].Data) && slices.Equal(trainer.Last()[p.Name()].Data, before[p.Name()].Data)
		if same != frozenLayer(p.Layer) {
			t.Errorf("%s stayed the same: %v", p.Name(), same)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	net := plainHead(t, 10, 4)
	for want, spoil := range map[string]func(o *Options){
		"batches a step":     func(o *Options) { o.Accumulate = -1 },
		"weights' mean":      func(o *Options) { o.Average = 1 },
		"factor 0 on":        func(o *Options) { o.LayerRate = func(string) float64 { return 0 } },
		"with probability 0": func(o *Options) { o.Mix.MixUp = 1 },
		"with probability 2": func(o *Options) { o.Mix = Mixing{CutMix: 1, Probability: 2} },
		"with α -1":          func(o *Options) { o.Mix = Mixing{MixUp: -1, Probability: 1} },
		"needs maps":         func(o *Options) { o.Mix = Mixing{CutMix: 1, Probability: 1} },
		"fp32 or bf16":       func(o *Options) { o.Precision = frozen.Int8 },
	} {
		o := adamOptions()
		spoil(&o)
		if _, err := New(net, net.Initialise(1), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	for want, sample := range map[string]Sample{
		"no example":            func(int) []int { return nil },
		"example 20 was chosen": func(int) []int { return []int{3, 20} },
	} {
		o := adamOptions()
		o.Sample = sample
		err := newTrainer(t, net, net.Initialise(1), o).Run(context.Background(), blobs(20, 10, 4, 1, 1), nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

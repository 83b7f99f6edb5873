package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// PrecisionNote tells what training in the precision computes where the instructions in use have none
// for it; "" where they have.
func PrecisionNote(p frozen.Precision) string {
	if p != frozen.BFloat16 || kernel.HasBFloat16() {
		return ""
	}
	instructions, _ := kernel.InstructionSet()
	return fmt.Sprintf("precision bf16: the instructions in use (%s) have no product of bfloat16: "+
		"training multiplies in float32 and is no faster than with fp32", instructions)
}

// Options say how to train. The zero value of what is not required leaves it out.
type Options struct {
	Epochs    int // at most, at least 1; required
	BatchSize int // examples computed at once, at least 1; required
	// Accumulate is the number of batches that make one step of the optimizer, at least 1; 0 means 1.
	// Their gradient is the mean over all their examples, with the weights of classes, as if they
	// were one batch; batch-norms in training normalise each batch by itself.
	Accumulate int
	// Sample chooses the examples of each epoch; nil: all of them, once.
	Sample  Sample
	Seed    uint64
	Threads int
	// Precision is that of the products of the convolutions and dense layers, forward and backward:
	// with BFloat16 what is multiplied is rounded, where that is faster and the processor can; see
	// [graph.Graph.RoundProducts]. The weights, the optimizer, batch-norms and the loss are in float32 in
	// each, and so is validation. What is frozen below all that learns runs in this precision too.
	Precision frozen.Precision

	Rule     optimizer.Rule // required
	Rate     float64        // learning rate, above 0; required
	Decay    float64        // of weights; biases and norms do not decay. See [optimizer.Group]
	ClipNorm float64        // see [optimizer.Options]
	// LayerRate is a factor on Rate for the parameters of a layer, above 0 and finite: smaller ones
	// for lower layers, as in Howard and Ruder, arXiv:1801.06146. nil: 1 for all.
	LayerRate func(layer string) float64

	Schedule schedule.Schedule  // nil: a constant rate
	Stopping *schedule.Stopping // nil: all epochs
	Monitor  Monitor            // what Schedule, Stopping and the best weights look at

	// KeepStart lets the weights that the training begins with be the best if no epoch is better.
	KeepStart bool

	// ClassWeights multiply the loss of each class's examples; nil: all 1. The mean loss of a
	// batch is divided by the sum of its examples' weights, as PyTorch does.
	ClassWeights []float64
	// LabelSmoothing is the mass that is taken from an example's class and spread evenly over all
	// (Szegedy et al., arXiv:1512.00567), 0 ≤ mass < 1.
	LabelSmoothing float64
	Mix            Mixing

	// Average is the decay of a running mean of the weights and of the running statistics of
	// batch-norms (Polyak and Juditsky 1992), 0 ≤ decay < 1; 0: none. After each step
	// mean ← d·mean + (1−d)·weights, with d = min(decay, (1+steps)/(10+steps)) so that the first
	// weights are soon forgotten, as TensorFlow's ExponentialMovingAverage has it. What is validated
	// and handed out is the mean.
	Average float64

	// Freeze tells which layers keep their weights and statistics; nil: none. Their batch-norms run
	// with the statistics they have.
	Freeze func(layer string) bool
	// BatchNorm tells what the batch-norm layers that are not frozen normalise with; nil:
	// BatchStatistics for all.
	BatchNorm func(layer string) BatchNormMode

	// AfterStep, if not nil, is called after each step of the optimizer with the position of the step
	// that has just been taken. It may call [Trainer.Save]; an error ends the training.
	AfterStep func(schedule.Position) error
}

// BatchNormMode is what a batch-norm layer in training normalises with. gamma and beta learn in
// each.
type BatchNormMode int

// The modes of batch-norm.
const (
	// BatchStatistics are the mean and variance of the batch, which move the running ones.
	BatchStatistics BatchNormMode = iota
	// FixedStatistics are the running ones, which stay as they are: Keras' training=False, PyTorch's
	// eval() of the layer.
	FixedStatistics
)

// Monitor names the validation metric that decides.
type Monitor string

// The metrics to monitor.
const (
	ValidationLoss     Monitor = "val_loss"
	ValidationAccuracy Monitor = "val_accuracy"
)

// Direction tells which way the metric is better.
func (m Monitor) Direction() schedule.Direction {
	if m == ValidationAccuracy {
		return schedule.Rising
	}
	return schedule.Falling
}

func (m Monitor) of(e Epoch) float64 {
	if m == ValidationAccuracy {
		return e.ValidationAccuracy
	}
	return e.ValidationLoss
}

// complete fills in what was left out.
func (o Options) complete() Options {
	if o.Accumulate == 0 {
		o.Accumulate = 1
	}
	if o.Schedule == nil {
		o.Schedule = schedule.Constant()
	}
	if o.Monitor == "" {
		o.Monitor = ValidationLoss
	}
	if o.Freeze == nil {
		o.Freeze = func(string) bool { return false }
	}
	if o.LayerRate == nil {
		o.LayerRate = func(string) float64 { return 1 }
	}
	if o.BatchNorm == nil {
		o.BatchNorm = func(string) BatchNormMode { return BatchStatistics }
	}
	return o
}

// check returns an error if the options make no sense for a network of so many classes.
func (o Options) check(classes int) error {
	switch {
	case o.Epochs < 1 || o.BatchSize < 1:
		return fmt.Errorf("%d epochs of batches of %d: must be at least 1", o.Epochs, o.BatchSize)
	case o.Accumulate < 1:
		return fmt.Errorf("%d batches a step: must be at least 1", o.Accumulate)
	case !(o.Rate > 0) || math.IsInf(o.Rate, 1):
		return fmt.Errorf("learning rate %v: must be above 0 and finite", o.Rate)
	case !(o.Decay >= 0):
		return fmt.Errorf("decay %v: must not be negative", o.Decay)
	case !(o.LabelSmoothing >= 0 && o.LabelSmoothing < 1):
		return fmt.Errorf("label smoothing %v: must be at least 0 and below 1", o.LabelSmoothing)
	case !(o.Average >= 0 && o.Average < 1):
		return fmt.Errorf("decay %v of the weights' mean: must be at least 0 and below 1", o.Average)
	case o.Precision != frozen.Float32 && o.Precision != frozen.BFloat16:
		return fmt.Errorf("training is in precision fp32 or bf16 alone")
	case o.ClassWeights != nil && len(o.ClassWeights) != classes:
		return fmt.Errorf("%d class weights for %d classes", len(o.ClassWeights), classes)
	case slices.ContainsFunc(o.ClassWeights, func(w float64) bool { return !(w > 0) || math.IsInf(w, 1) }):
		return fmt.Errorf("class weights %v: must be above 0 and finite", o.ClassWeights)
	}
	return o.Mix.check()
}

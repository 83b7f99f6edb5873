package train

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
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
	Sample Sample
	// Batches gives the batches of each epoch, counted from 0, in order and each as it is, in the place of Sample,
	// BatchSize and a shuffle: for batches that must be made up in some way, such as of two domains side by side. It
	// must give the same for the same epoch, whenever it is asked. nil: batches of BatchSize of a shuffle.
	Batches func(epoch int) [][]int
	// Bucket makes up batches of examples that are about as long as each other, of [Measured] examples: those of so many batches of the
	// shuffle are put in the order of their lengths before they are cut into batches, and the batches are shuffled. 0: batches are runs of
	// the shuffle.
	Bucket  int
	Seed    uint64
	Threads int
	// Memory bounds what the values of a step take between the layers, in bytes; 0: not bounded. Where they would take more, parts
	// of the layers are computed once more for their gradients, with the same bits: see [graph.Graph.Limit].
	Memory int64
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

	// Objective is what is made smaller; nil: [objective.CrossEntropy] of the network's output.
	Objective objective.Objective
	Mix       Mixing
	// Points is in how many points, at most, the course of the training is kept, beside its epochs; 0: none. See [Trainer.Course].
	Points int
	// Reversal is a factor on the lambda of all gradient reversals, step by step; nil: 1.
	Reversal func(schedule.Position) float64

	// Average is the decay of a running mean of the weights and of the running statistics of
	// batch-norms (Polyak and Juditsky 1992), 0 ≤ decay < 1; 0: none. After each step
	// mean ← d·mean + (1−d)·weights, with d = min(decay, (1+steps)/(10+steps)) so that the first
	// weights are soon forgotten, as TensorFlow's ExponentialMovingAverage has it. What is validated
	// and handed out is the mean.
	Average float64

	// Freeze tells which layers keep their weights and statistics; nil: none. Their batch-norms run
	// with the statistics they have.
	Freeze func(layer string) bool
	// Keeps tells which parameters of layers that are not frozen stay as they are all the same; nil: none.
	Keeps func(p nn.Parameter) bool
	// BatchNorm tells what the batch-norm layers that are not frozen normalise with; nil:
	// BatchStatistics for all.
	BatchNorm func(layer string) BatchNormMode
	// PoolStatistics makes the running statistics of batch-norms the mean of those of all batches of this training, and
	// nothing of what they were before, as PyTorch's momentum=None has it.
	PoolStatistics bool

	// Probes are layers by whose first input a gradient is to be measured: the norm of what comes back through it is told to an
	// [objective.Adaptive] objective after each batch, in this order; 0 where nothing below learns.
	Probes []string

	// KeepZeros lets weights that are 0 in what the training begins with stay 0: those of a network that was pruned. Biases
	// and norms are free.
	KeepZeros bool

	// Rounding, if not nil, is the scheme by which the network, which must be folded, is to compute with bytes. What it rounds is
	// rounded in training too, weights to steps that follow their largest magnitudes, and gradients go straight through: quantisation-aware
	// training (Jacob et al. 2018, arXiv:1712.05877). Validation computes with bytes.
	Rounding *quantise.Scheme

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

// Monitor names the validation metric that decides: the loss, or "val_" and a measure of the objective.
type Monitor string

// Metrics to monitor.
const (
	ValidationLoss     Monitor = "val_loss"
	ValidationAccuracy Monitor = validationPrefix + objective.Accuracy
)

const validationPrefix = "val_"

// Direction tells which way the metric is better, if the objective, nil for cross-entropy, reports it.
func (m Monitor) Direction(o objective.Objective) (d schedule.Direction, ok bool) {
	if m == ValidationLoss {
		return schedule.Falling, true
	}
	if o == nil {
		o = objective.CrossEntropy{}
	}
	for _, measure := range o.Measures() {
		if m == Monitor(validationPrefix+measure.Name) {
			return measure.Direction, true
		}
	}
	return 0, false
}

func (m Monitor) of(e Epoch) float64 {
	if m == ValidationLoss {
		return e.ValidationLoss
	}
	return e.ValidationMeasures.Of(strings.TrimPrefix(string(m), validationPrefix))
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
	if o.Objective == nil {
		o.Objective = objective.CrossEntropy{}
	}
	if o.Reversal == nil {
		o.Reversal = func(schedule.Position) float64 { return 1 }
	}
	if o.Freeze == nil {
		o.Freeze = func(string) bool { return false }
	}
	if o.Keeps == nil {
		o.Keeps = func(nn.Parameter) bool { return false }
	}
	if o.LayerRate == nil {
		o.LayerRate = func(string) float64 { return 1 }
	}
	if o.BatchNorm == nil {
		o.BatchNorm = func(string) BatchNormMode { return BatchStatistics }
	}
	return o
}

// check returns an error if the options make no sense.
func (o Options) check() error {
	_, monitored := o.Monitor.Direction(o.Objective)
	switch {
	case o.Epochs < 1 || o.BatchSize < 1:
		return fmt.Errorf("%d epochs of batches of %d: must be at least 1", o.Epochs, o.BatchSize)
	case o.Accumulate < 1:
		return fmt.Errorf("%d batches a step: must be at least 1", o.Accumulate)
	case !(o.Rate > 0) || math.IsInf(o.Rate, 1):
		return fmt.Errorf("learning rate %v: must be above 0 and finite", o.Rate)
	case !(o.Decay >= 0):
		return fmt.Errorf("decay %v: must not be negative", o.Decay)
	case !monitored:
		return fmt.Errorf("%s is not among what the objective %s reports", o.Monitor, o.Objective.Kind())
	case !(o.Average >= 0 && o.Average < 1):
		return fmt.Errorf("decay %v of the weights' mean: must be at least 0 and below 1", o.Average)
	case o.Points < 0:
		return fmt.Errorf("%d points of the course: must not be negative", o.Points)
	case o.Precision != frozen.Float32 && o.Precision != frozen.BFloat16:
		return fmt.Errorf("training is in precision fp32 or bf16 alone")
	}
	return o.Mix.check()
}

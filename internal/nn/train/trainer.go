package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// Epoch is what an epoch of training gave. Loss and Measures are means over its batches as they
// were trained on, with dropout and before each step; those of validation are of the weights at its
// end, and not numbers if there is no validation set.
type Epoch struct {
	Number             int // from 1
	Loss               float64
	Measures           Measures
	ValidationLoss     float64
	ValidationMeasures Measures
	Rate               float64 // learning rate of its first step
}

// Measures are what an objective reports beside the loss, by name.
type Measures map[string]float64

// Of is a measure; not a number if the objective does not report it.
func (m Measures) Of(name string) float64 {
	if value, ok := m[name]; ok {
		return value
	}
	return math.NaN()
}

// measures names the numbers of the objective's measures.
func (t *Trainer) measures(numbers []float64) Measures {
	out := Measures{}
	for i, m := range t.objective.Measures() {
		out[m.Name] = numbers[i]
	}
	return out
}

// numbers are measures in the order in which the objective lists them.
func (t *Trainer) numbers(m Measures) (out []float64) {
	for _, measure := range t.objective.Measures() {
		out = append(out, m.Of(measure.Name))
	}
	return out
}

// Trainer is a network in training. It is used by one goroutine.
type Trainer struct {
	net       *nn.Network
	objective objective.Objective
	own       []float64 // numbers of the objective that training changes
	options   Options

	weights   nn.Weights
	average   *average         // nil unless the options ask for it
	zeros     map[string][]int // places of weights that stay 0, by parameter
	optimizer *optimizer.Optimizer
	history   []Epoch
	under     underway
	course    course
	best      best
	stopped   bool

	pool     *kernel.Pool
	scratch  graph.Scratch
	programs []*program // by batch size and lengths of axes
	sums     []*sum     // of the gradients of several batches; nil unless steps take several
}

// underway is what is known of the epoch under way, or of some steps of it.
type underway struct {
	steps    int // taken
	loss     float64
	mass     float64 // that the loss is the sum over
	measured []float64
	seen     int
	rate     float64 // of the first step
}

// best are the weights of the epoch with the best metric.
type best struct {
	metric  float64
	epoch   int        // from 1; 0 for what the training began with
	weights nn.Weights // nil if there are none yet
}

// New makes a trainer of a network and the weights to begin with, which are copied. Close the trainer when
// done.
func New(net *nn.Network, weights nn.Weights, o Options) (*Trainer, error) {
	if err := net.Check(weights); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	o = o.complete()
	t := &Trainer{net: net, objective: o.Objective, options: o, weights: clone(weights)}
	if err := errors.Join(o.check(), o.Objective.Check(t.shape), o.Mix.fits(net), checkRates(net, o)); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	t.best.metric = t.better().Worst()
	if adaptive, ok := o.Objective.(objective.Adaptive); ok {
		t.own = adaptive.Own()
	}
	pool := kernel.NewPool(o.Threads)
	var err error
	t.optimizer, err = optimizer.New(optimizer.Options{Rule: o.Rule, Group: t.group(), ClipNorm: o.ClipNorm, Pool: pool})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("train: %w", err)
	}
	if o.KeepZeros {
		t.zeros = zerosOf(net, weights)
	}
	if o.Average > 0 {
		t.average = newAverage(net, t.weights, o)
	}
	t.pool = pool
	return t, nil
}

// better tells which way the monitored metric is better.
func (t *Trainer) better() schedule.Direction {
	d, _ := t.options.Monitor.Direction(t.objective)
	return d
}

// checkRates returns an error if a layer that learns has a rate that makes no sense.
func checkRates(net *nn.Network, o Options) error {
	for _, l := range net.Layers() {
		if o.Freeze(l.Name) || len(net.LayerParameters(l)) == 0 {
			continue
		}
		if f := o.LayerRate(l.Name); !(f > 0) || math.IsInf(f, 1) {
			return fmt.Errorf("layer %q: factor %v on the learning rate: must be above 0 and finite", l.Name, f)
		}
	}
	return nil
}

// group gives each layer its rate and lets weights decay, and nothing else.
func (t *Trainer) group() func(parameter string) optimizer.Group {
	groups := map[string]optimizer.Group{}
	for _, p := range t.net.Parameters() {
		g := optimizer.Group{Rate: t.options.LayerRate(p.Layer)}
		if p.Role == nn.Weight {
			g.Decay = t.options.Decay
		}
		groups[p.Name()] = g
	}
	return func(parameter string) optimizer.Group { return groups[parameter] }
}

// Close ends the trainer's threads.
func (t *Trainer) Close() error {
	t.drop()
	t.pool.Close()
	return nil
}

// drop lets go of the programs, which hold what they made of frozen weights.
func (t *Trainer) drop() {
	t.programs = nil
}

// Run trains until the epochs are over or early stopping ends it, calling after, which may be nil,
// at the end of each epoch. validation may be nil. When ctx ends, Run returns its error within one
// operation of a step. After an error the trainer is good for nothing but to be closed or restored
// from a checkpoint made before. A restored trainer goes on where the checkpoint was made, in the
// middle of an epoch too.
func (t *Trainer) Run(ctx context.Context, training, validation Examples, after func(Epoch) error) error {
	if validation != nil && validation.Len() == 0 {
		validation = nil
	}
	if validation == nil && t.options.Stopping != nil {
		return errors.New("train: early stopping needs examples for validation")
	}
	if err := t.observeStart(ctx, validation); err != nil {
		return fmt.Errorf("before the first epoch: validation: %w", err)
	}
	for !t.Done() {
		e, err := t.epoch(ctx, training, validation)
		if err != nil {
			return fmt.Errorf("epoch %d: %w", len(t.history)+1, err)
		}
		if after != nil {
			if err := after(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// observeStart lets what the training begins with be the best so far, if the options ask for it.
func (t *Trainer) observeStart(ctx context.Context, validation Examples) error {
	if !t.options.KeepStart || validation == nil || t.best.weights != nil || len(t.history) > 0 || t.under.steps > 0 {
		return nil
	}
	var start Epoch
	var err error
	if start.ValidationLoss, start.ValidationMeasures, err = t.evaluate(ctx, validation); err == nil {
		t.best = best{metric: t.options.Monitor.of(start), weights: clone(t.shown())}
	}
	return err
}

// Done tells whether the training is over.
func (t *Trainer) Done() bool { return t.stopped || len(t.history) >= t.options.Epochs }

// History is what the epochs so far gave. The slice must not be written.
func (t *Trainer) History() []Epoch { return t.history }

// Last returns a copy of the weights as they are: their mean if the options ask for one.
func (t *Trainer) Last() nn.Weights { return clone(t.shown()) }

// shown are the weights that are validated and handed out.
func (t *Trainer) shown() nn.Weights {
	if t.average != nil {
		return t.average.weights
	}
	return t.weights
}

// Best returns a copy of the weights of the epoch with the best metric, and its number from 1; 0 if
// what the training began with is best. Without validation that is the last.
func (t *Trainer) Best() (nn.Weights, int) {
	if t.best.weights == nil {
		return t.Last(), len(t.history)
	}
	return clone(t.best.weights), t.best.epoch
}

// epoch trains what is left of an epoch, validates, and takes note.
func (t *Trainer) epoch(ctx context.Context, training, validation Examples) (Epoch, error) {
	number := len(t.history)
	e := Epoch{Number: number + 1, ValidationLoss: math.NaN(), ValidationMeasures: Measures{}}
	for _, m := range t.objective.Measures() {
		e.ValidationMeasures[m.Name] = math.NaN()
	}
	steps, err := t.steps(training, number)
	if err != nil {
		return e, err
	}
	at := schedule.Position{Epoch: number, Epochs: t.options.Epochs, Steps: len(steps)}
	for at.Step = t.under.steps; at.Step < at.Steps; at.Step++ {
		rate := t.options.Rate * t.options.Schedule.Factor(at)
		draw := graph.Draw{Seed: t.options.Seed, Epoch: number, Step: at.Step * t.options.Accumulate}
		s, err := t.step(ctx, training, steps[at.Step], rate, draw, at)
		if err != nil {
			return e, fmt.Errorf("step %d: %w", at.Step+1, err)
		}
		t.under.add(s, rate)
		t.note(s, rate, at)
		if t.options.AfterStep != nil {
			if err := t.options.AfterStep(at); err != nil {
				return e, err
			}
		}
	}
	e.Loss, e.Rate = t.under.meanLoss(), t.under.rate
	e.Measures = t.measures(t.under.means())
	if err := t.net.Check(t.weights); err != nil {
		return e, diverged(err.Error(), e.Rate)
	}
	if validation != nil {
		if e.ValidationLoss, e.ValidationMeasures, err = t.evaluate(ctx, validation); err != nil {
			return e, fmt.Errorf("validation: %w", err)
		}
		t.observe(e)
	}
	t.history, t.under = append(t.history, e), underway{}
	return e, nil
}

func (u *underway) add(s stepped, rate float64) {
	if u.steps == 0 {
		u.rate, u.measured = rate, make([]float64, len(s.measured))
	}
	u.steps++
	u.loss += s.loss * s.mass
	u.mass += s.mass
	for i, sum := range s.measured {
		u.measured[i] += sum
	}
	u.seen += s.seen
}

func (u *underway) meanLoss() float64 { return u.loss / u.mass }

// means are the mean measures.
func (u *underway) means() []float64 {
	out := make([]float64, len(u.measured))
	for i, sum := range u.measured {
		out[i] = sum / float64(u.seen)
	}
	return out
}

// steps are the batches of an epoch, those of one step of the optimizer together.
func (t *Trainer) steps(examples Examples, epoch int) ([][][]int, error) {
	n := examples.Len()
	var runs [][]int
	if t.options.Batches != nil {
		runs = t.options.Batches(epoch)
	} else {
		positions := order(positionsOf(t.options.Sample, n, epoch), t.options.Seed, epoch)
		if measured, ok := examples.(Measured); ok && t.options.Bucket > 0 {
			runs = bucketed(positions, measured, t.options, epoch)
		} else {
			runs = batches(positions, t.options.BatchSize)
		}
	}
	if len(runs) == 0 {
		return nil, errors.New("there is no example")
	}
	for _, run := range runs {
		for _, p := range run {
			if p < 0 || p >= n {
				return nil, fmt.Errorf("example %d was chosen, of %d", p, n)
			}
		}
	}
	return slices.Collect(slices.Chunk(runs, t.options.Accumulate)), nil
}

// observe lets all that looks at the metric see it.
func (t *Trainer) observe(e Epoch) {
	metric := t.options.Monitor.of(e)
	if t.better().Better(metric, t.best.metric, 0) {
		t.best = best{metric: metric, epoch: e.Number, weights: clone(t.shown())}
	}
	t.options.Schedule.Observe(metric)
	if t.options.Stopping != nil {
		t.stopped = t.options.Stopping.Observe(metric)
	}
}

// zerosOf finds the weights that are 0.
func zerosOf(net *nn.Network, weights nn.Weights) map[string][]int {
	out := map[string][]int{}
	for _, p := range net.Parameters() {
		if p.Role != nn.Weight {
			continue
		}
		for i, x := range weights[p.Name()].Data {
			if x == 0 {
				out[p.Name()] = append(out[p.Name()], i)
			}
		}
	}
	return out
}

// clear sets to 0 what is to stay 0.
func (t *Trainer) clear() {
	for name, places := range t.zeros {
		data := t.weights[name].Data
		for _, i := range places {
			data[i] = 0
		}
	}
}

func clone(w nn.Weights) nn.Weights {
	out := make(nn.Weights, len(w))
	for name, t := range w {
		out[name] = nn.Tensor{Shape: slices.Clone(t.Shape), Data: slices.Clone(t.Data)}
	}
	return out
}

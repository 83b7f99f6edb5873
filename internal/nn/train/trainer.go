package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/internal/nn/train/solver"
)

// Epoch is what an epoch of training gave. Loss and Accuracy are means over its batches as they
// were trained on, with dropout and before each step; those of validation are of the weights at its
// end, and NaN if there is no validation set.
type Epoch struct {
	Number             int // from 1
	Loss               float64
	Accuracy           float64
	ValidationLoss     float64
	ValidationAccuracy float64
	Rate               float64 // learning rate of its first step
}

// Trainer is a network in training. It is used by one goroutine.
type Trainer struct {
	net     *nn.Network
	logits  string
	classes int
	example nn.Shape // of an input
	options Options

	weights nn.Weights
	solver  *solver.Solver
	history []Epoch
	best    best
	stopped bool

	pool      *kernel.Pool
	workspace kernel.Workspace
	trunk     *trunk           // nil before the first step
	programs  map[int]*program // by batch size: at most two
	read      []int            // scratch: the classes of a batch
}

// best are the weights of the epoch with the best metric.
type best struct {
	metric  float64
	epoch   int // from 1; 0 if there is none yet
	weights nn.Weights
}

// New makes a trainer of a network and the weights to begin with, which are copied. The network
// ends in logits or in a softmax of them. Close the trainer when done.
func New(net *nn.Network, weights nn.Weights, o Options) (*Trainer, error) {
	if err := net.Check(weights); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if n := len(net.Inputs()); n != 1 {
		return nil, fmt.Errorf("train: the network has %d inputs, want one", n)
	}
	o, logits, example := o.complete(), logitsLayer(net), net.Shape(net.Inputs()[0].Name)
	if err := errors.Join(o.check(net.Shape(logits).Size()), o.Mix.fits(example), checkRates(net, o)); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	t := &Trainer{
		net: net, logits: logits, classes: net.Shape(logits).Size(), example: example, options: o,
		weights:  clone(weights),
		best:     best{metric: o.Monitor.Direction().Worst()},
		programs: map[int]*program{},
	}
	var err error
	t.solver, err = solver.New(solver.Options{Rule: o.Rule, Group: t.group(), ClipNorm: o.ClipNorm, Threads: o.Threads})
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	t.pool = kernel.NewPool(o.Threads)
	return t, nil
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
func (t *Trainer) group() func(parameter string) solver.Group {
	groups := map[string]solver.Group{}
	for _, p := range t.net.Parameters() {
		g := solver.Group{Rate: t.options.LayerRate(p.Layer)}
		if p.Role == nn.Weight {
			g.Decay = t.options.Decay
		}
		groups[p.Name()] = g
	}
	return func(parameter string) solver.Group { return groups[parameter] }
}

// Close ends the trainer's threads.
func (t *Trainer) Close() error {
	err := t.drop()
	t.pool.Close()
	return err
}

// drop closes the programs, which hold what they made of frozen weights.
func (t *Trainer) drop() error {
	var errs []error
	for _, p := range t.programs {
		errs = append(errs, p.Close())
	}
	clear(t.programs)
	t.trunk = nil
	return errors.Join(errs...)
}

// Run trains until the epochs are over or early stopping ends it, calling after, which may be nil,
// at the end of each epoch. validation may be nil. When ctx ends, Run returns its error within one
// operation of a step; a checkpoint made before is good to go on from.
func (t *Trainer) Run(ctx context.Context, training, validation Examples, after func(Epoch) error) error {
	if training.Len() == 0 {
		return errors.New("train: there is no example")
	}
	if validation != nil && validation.Len() == 0 {
		validation = nil
	}
	if validation == nil && t.options.Stopping != nil {
		return errors.New("train: early stopping needs examples for validation")
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

// Done tells whether the training is over.
func (t *Trainer) Done() bool { return t.stopped || len(t.history) >= t.options.Epochs }

// History is what the epochs so far gave. The slice must not be written.
func (t *Trainer) History() []Epoch { return t.history }

// Last returns a copy of the weights as they are.
func (t *Trainer) Last() nn.Weights { return clone(t.weights) }

// Best returns a copy of the weights of the epoch with the best metric, and its number from 1.
// Without validation that is the last.
func (t *Trainer) Best() (nn.Weights, int) {
	if t.best.epoch == 0 {
		return t.Last(), len(t.history)
	}
	return clone(t.best.weights), t.best.epoch
}

// epoch trains one epoch, validates, and takes note.
func (t *Trainer) epoch(ctx context.Context, training, validation Examples) (Epoch, error) {
	number := len(t.history)
	e := Epoch{Number: number + 1, ValidationLoss: math.NaN(), ValidationAccuracy: math.NaN()}
	var loss, mass, correct float64
	positions, err := t.positions(training, number)
	if err != nil {
		return e, err
	}
	runs := batches(order(positions, t.options.Seed, number), t.options.BatchSize)
	for i, positions := range runs {
		rate := t.options.Rate * t.options.Schedule.Factor(schedule.Position{
			Epoch: number, Epochs: t.options.Epochs, Step: i, Steps: len(runs),
		})
		if i == 0 {
			e.Rate = rate
		}
		s, err := t.step(ctx, training, positions, rate, graph.Draw{Seed: t.options.Seed, Epoch: number, Step: i})
		if err != nil {
			return e, fmt.Errorf("step %d: %w", i+1, err)
		}
		loss += s.loss * s.mass
		mass += s.mass
		correct += float64(s.correct)
	}
	e.Loss, e.Accuracy = loss/mass, correct/float64(len(positions))
	if err := t.net.Check(t.weights); err != nil {
		return e, diverged(err.Error(), e.Rate)
	}
	if validation != nil {
		if e.ValidationLoss, e.ValidationAccuracy, err = t.evaluate(ctx, validation); err != nil {
			return e, fmt.Errorf("validation: %w", err)
		}
		t.observe(e)
	}
	t.history = append(t.history, e)
	return e, nil
}

// positions are those of the examples of an epoch.
func (t *Trainer) positions(examples Examples, epoch int) ([]int, error) {
	n := examples.Len()
	positions := positionsOf(t.options.Sample, n, epoch)
	if len(positions) == 0 {
		return nil, errors.New("no example is chosen")
	}
	for _, p := range positions {
		if p < 0 || p >= n {
			return nil, fmt.Errorf("example %d is chosen, of %d", p, n)
		}
	}
	return positions, nil
}

// observe lets all that looks at the metric see it.
func (t *Trainer) observe(e Epoch) {
	metric := t.options.Monitor.of(e)
	if t.options.Monitor.Direction().Better(metric, t.best.metric, 0) {
		t.best = best{metric: metric, epoch: e.Number, weights: clone(t.weights)}
	}
	t.options.Schedule.Observe(metric)
	if t.options.Stopping != nil {
		t.stopped = t.options.Stopping.Observe(metric)
	}
}

// stepped is what a step gave: the mean loss, the mass it is the mean over, and how many examples
// were classified correctly.
type stepped struct {
	loss, mass float64
	correct    int
}

// step trains on one batch.
func (t *Trainer) step(ctx context.Context, examples Examples, positions []int, rate float64, draw graph.Draw) (stepped, error) {
	p, err := t.program(len(positions))
	if err != nil {
		return stepped{}, err
	}
	classes := t.classesOf(len(positions))
	if err := examples.Read(positions, p.input, classes); err != nil {
		return stepped{}, err
	}
	if err := checkClasses(classes, t.classes); err != nil {
		return stepped{}, err
	}
	mass := t.fillTarget(graph.Data(p.target), classes)
	mixed := t.options.Mix.draw(len(positions), t.example, draw)
	mixed.inputs(p.input, t.example)
	mixed.targets(graph.Data(p.target), t.classes)
	graph.Data(p.total)[0] = float32(mass)
	p.SetDraw(draw)
	if err := p.compute(ctx, t.pool); err != nil {
		return stepped{}, err
	}
	loss := float64(graph.Data(p.loss)[0])
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return stepped{}, diverged(fmt.Sprintf("the loss is %v", loss), rate)
	}
	t.solver.SetRate(rate)
	if err := t.solver.Step(p.parameters); err != nil {
		return stepped{}, err
	}
	for _, m := range p.Moments() {
		m.Update()
	}
	return stepped{loss: loss, mass: mass, correct: countCorrect(graph.Data(p.logits), classes)}, nil
}

// diverged is the error of a training that numbers have run away from.
func diverged(sign string, rate float64) error {
	return fmt.Errorf("the training diverged at learning rate %v, try a lower one: %s", rate, sign)
}

// program returns the graph for batches of so many examples.
func (t *Trainer) program(batch int) (*program, error) {
	if p, ok := t.programs[batch]; ok {
		return p, nil
	}
	if t.trunk == nil {
		var err error
		if t.trunk, err = newTrunk(t.net, t.weights, t.options.Freeze); err != nil {
			return nil, err
		}
	}
	p, err := newProgram(t.net, t.weights, batch, t.trunk, t.options, t.pool, &t.workspace)
	if err != nil {
		return nil, err
	}
	t.programs[batch] = p
	return p, nil
}

func (t *Trainer) classesOf(n int) []int {
	t.read = slices.Grow(t.read[:0], n)
	return t.read[:n]
}

// fillTarget writes the mass that each class has for each example, [examples][classes], and returns
// what the loss is divided by: the sum of the examples' weights.
func (t *Trainer) fillTarget(target []float32, classes []int) (total float64) {
	weight := func(class int) float64 {
		if t.options.ClassWeights == nil {
			return 1
		}
		return t.options.ClassWeights[class]
	}
	smoothing := t.options.LabelSmoothing
	for i, class := range classes {
		row := target[i*t.classes : (i+1)*t.classes]
		for c := range row {
			mass := smoothing / float64(t.classes)
			if c == class {
				mass += 1 - smoothing
			}
			row[c] = float32(mass * weight(c))
		}
		total += weight(class)
	}
	return total
}

// evaluate returns the mean cross-entropy and the accuracy of the weights as they are.
func (t *Trainer) evaluate(ctx context.Context, examples Examples) (loss, accuracy float64, err error) {
	compiled, err := frozen.Compile(t.net, t.weights, t.logits)
	if err != nil {
		return 0, 0, err
	}
	n := examples.Len()
	size := min(atOnce(compiled), n)
	session := compiled.NewSession(size)
	inputs, logits := make([]float32, size*compiled.InputShape().Size()), make([]float32, size*t.classes)
	correct := 0
	positions := make([]int, n)
	for i := range positions {
		positions[i] = i
	}
	for run := range slices.Chunk(positions, size) {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		classes := t.classesOf(len(run))
		x, y := inputs[:len(run)*compiled.InputShape().Size()], logits[:len(run)*t.classes]
		if err := examples.Read(run, x, classes); err != nil {
			return 0, 0, err
		}
		if err := checkClasses(classes, t.classes); err != nil {
			return 0, 0, err
		}
		if err := session.Run(t.pool, x, len(run), y); err != nil {
			return 0, 0, err
		}
		correct += countCorrect(y, classes)
		for i, class := range classes {
			loss += crossEntropy(y[i*t.classes:(i+1)*t.classes], class)
		}
	}
	return loss / float64(n), float64(correct) / float64(n), nil
}

// crossEntropy is −log softmax(logits)[class].
func crossEntropy(logits []float32, class int) float64 {
	top := float64(slices.Max(logits))
	var sum float64
	for _, z := range logits {
		sum += math.Exp(float64(z) - top)
	}
	return math.Log(sum) + top - float64(logits[class])
}

// countCorrect counts the examples whose greatest logit is that of their class; the first of equal
// ones counts as the greatest.
func countCorrect(logits []float32, classes []int) int {
	correct, width := 0, len(logits)/len(classes)
	for i, class := range classes {
		row := logits[i*width : (i+1)*width]
		greatest := 0
		for c, z := range row {
			if z > row[greatest] {
				greatest = c
			}
		}
		if greatest == class {
			correct++
		}
	}
	return correct
}

func clone(w nn.Weights) nn.Weights {
	out := make(nn.Weights, len(w))
	for name, t := range w {
		out[name] = nn.Tensor{Shape: slices.Clone(t.Shape), Data: slices.Clone(t.Data)}
	}
	return out
}

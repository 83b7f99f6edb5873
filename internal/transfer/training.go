package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
)

// training is a run of the stage in progress.
type training struct {
	*Setup
	task *pipeline.Task
	data *rows.Data
	subject
	guide        *guide // teachers that are learned of; nil without any
	phases       []strategy.Phase
	selections   []strategy.Selection
	prefixes     []prefix.Prefix
	classWeights []float64

	started nn.Weights        // what the training started with
	touched map[string]bool   // tensors that some phase so far may have changed
	last    nn.Weights        // of the last epoch of the phase before; subject.weights are those kept
	digests map[string]string // of the blocks' weights, as far as they are known
	history []record.TrainingEpoch
	layers  []record.PhaseLayers
	chosen  []record.Diagnostic // rates that range tests chose
	epochs  int                 // of the phases that are over, as asked for
	atHand  bool                // the phase that ended last came from the cache

	turns          []Turn                // of an adaptation, one for each phase
	relabelled     []int                 // classes of the training rows in the turn under way; nil: as they are
	measuredEpochs []record.EpochMeasure // of the turns that are over
	measuredSteps  []record.StepMeasure  // likewise
}

// newTraining makes the network and decides what each phase does.
func (s *Setup) newTraining(ctx context.Context, task *pipeline.Task, d *rows.Data) (*training, error) {
	t := &training{Setup: s, task: task, data: d, phases: s.plan(d), touched: map[string]bool{}, digests: map[string]string{}}
	teachers, err := s.teachersOf(ctx, task, d)
	if err != nil {
		return nil, err
	}
	if t.subject, err = s.begin(ctx, task, d); err != nil {
		return nil, err
	}
	if s.guided() {
		t.guide = teachers
		if t.subject, err = teachers.attach(t.subject, d, task.Seed); err != nil {
			return nil, err
		}
		for _, line := range teachers.told {
			task.Log("%s", line)
		}
		for _, of := range teachers.teachers {
			t.origins = record.TaughtBy(t.origins, of.Origins)
		}
	}
	t.started = t.weights
	switch d.Task() {
	case record.MultiLabel:
		t.classWeights, err = s.ClassWeights.Positive(d.Target.Classes, d.Counts(), d.Training.Rows())
	case record.SingleLabel:
		t.classWeights, err = s.ClassWeights.Of(d.Classes, d.Counts())
	}
	if err != nil {
		return nil, err
	}
	if s.adaptation != nil {
		t.turns = s.adaptation.Turns(t.phases)
		t.phases = nil
		for _, turn := range t.turns {
			t.phases = append(t.phases, turn.Phase)
		}
	}
	for i, p := range t.phases {
		selected, err := t.selects(p, s.at(i))
		if err != nil {
			return nil, err
		}
		if turn := t.turn(i); turn != nil {
			if selected = turn.narrow(t.net, selected); len(selected.Rates) == 0 {
				return nil, fmt.Errorf("phase %s: no layer learns: the network has no batch-norm that learned the statistics of the source", p.Name)
			}
		}
		t.selections = append(t.selections, selected)
	}
	if err := t.moving(); err != nil {
		return nil, err
	}
	t.prefixes = make([]prefix.Prefix, len(t.phases))
	switch {
	case s.scheme != nil:
		for i := range t.prefixes {
			t.prefixes[i].Why = "values are rounded in training: no activations are cached"
		}
	case d.Pictures:
		t.prefixes = s.budget().Choose(t.net, t.selections, t.cachedRows())
	case d.Encoded():
		if t.prefixes, err = s.prefixesOfTexts(t.net, d.Metadata[record.TokensKey], t.selections, t.cachedRows()); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// selects tells what learns in a phase: of a head alone, everything but what standardises.
func (t *training) selects(p strategy.Phase, at string) (strategy.Selection, error) {
	if t.trunk != "" {
		selected, err := p.Selects(t.net, at)
		maps.DeleteFunc(selected.Rates, func(layer string, _ float64) bool { return !t.thaws(layer) })
		return selected, err
	}
	s := strategy.Selection{Rates: map[string]float64{}}
	for _, l := range t.net.Layers() {
		if _, isInput := l.Op.(nn.Input); !isInput && l.Name != head.StandardiseLayer {
			s.Rates[l.Name] = 1
		}
	}
	return s, nil
}

// cachedRows is how many rows a prefix holds.
func (t *training) cachedRows() int64 {
	n := int64(t.data.Validation.Len())
	for _, c := range t.data.Training.Copies {
		if t.Copies < 1 || c < t.Copies {
			n++
		}
	}
	return n
}

// run goes through the phases.
func (t *training) run(ctx context.Context) error {
	before, err := t.start(ctx) // what the phase before gave
	if err != nil {
		return err
	}
	for i := range t.phases {
		if t.LearningRate != nil && t.LearningRate.Auto {
			if err := t.chooseRate(ctx, i, before); err != nil {
				return fmt.Errorf("phase %s: range test: %w", t.phases[i].Name, err)
			}
		}
		result, err := t.phase(ctx, i, before)
		if err != nil {
			if len(t.phases) > 1 {
				err = fmt.Errorf("phase %s: %w", t.phases[i].Name, err)
			}
			return err
		}
		if err := t.take(ctx, i, result); err != nil {
			return err
		}
		before = result[keptOutput]
	}
	return nil
}

// phase trains a phase, or takes what it gave from the cache.
func (t *training) phase(ctx context.Context, i int, before pipeline.Input) (map[string]pipeline.Input, error) {
	part, err := t.phasePart(i, t.turn(i), t.phases[i], t.prefixes[i], t.task.Inputs, before, t.task.Seed)
	if err != nil {
		return nil, err
	}
	t.atHand = true
	return t.task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error {
		t.atHand = false
		if err := t.prepare(ctx, task, i); err != nil {
			return err
		}
		if t.data.Pictures || t.data.Encoded() {
			t.task.Log("phase %s: %s", t.phases[i].Name, t.prefixes[i].Why)
			if old := t.oldStatistics(i); old > staleStatistics && !(t.turn(i) != nil && t.turn(i).Pools) {
				t.task.Log("phase %s: at its end, the running statistics of its batch-norms will still have %.0f %% of their weight on the initial values: validation, which uses them, may be far worse than training; use batch_norm: frozen, more epochs or smaller batches",
					t.phases[i].Name, 100*old)
			}
		}
		return t.trainPhase(ctx, task, i)
	})
}

// staleStatistics is the share of old statistics that is told of.
const staleStatistics = 0.2

// oldStatistics is the share that the running statistics of the backbone's batch-norms which phase i
// trains still have, at its end, of those they began with: the largest of all.
func (t *training) oldStatistics(i int) (share float64) {
	batches := t.phases[i].Epochs * max(t.epochRows()/t.phases[i].Learning(t.Learning).BatchSize, 1)
	for _, l := range t.net.Layers() {
		norm, ok := l.Op.(nn.BatchNorm)
		if ok && !head.Contains(l.Name) && t.selections[i].Learns(l.Name) && t.selections[i].Norms(l.Name) == train.BatchStatistics {
			share = max(share, math.Pow(float64(norm.Momentum), float64(batches)))
		}
	}
	return share
}

// trainPhase trains phase i to its end, from a checkpoint if there is one, and writes its results.
func (t *training) trainPhase(ctx context.Context, task *pipeline.Task, i int) (err error) {
	net, training, validation, closeExamples, err := t.examples(ctx, task, i)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeExamples()) }()
	if t.relabelled != nil {
		training = relabelledExamples{training, t.relabelled}
	}
	var trainer *train.Trainer
	saved, cost := time.Now(), time.Duration(0)
	save := func() error {
		began := time.Now()
		state, err := trainer.Save()
		if err == nil {
			err = task.Checkpoint.Save(state)
		}
		saved = time.Now()
		cost = saved.Sub(began)
		return err
	}
	o := t.options(task, i)
	told := time.Now()
	o.AfterStep = func(at schedule.Position) error {
		if time.Since(told) >= tellEvery && at.Step+1 < at.Steps {
			told = time.Now()
			task.ProgressWithin(int64(t.epochs+at.Epoch), int64(t.allEpochs()), "epoch", int64(at.Step+1), int64(at.Steps), "step")
		}
		if time.Since(saved) < t.CheckpointEvery {
			return nil
		}
		return save()
	}
	if o.Memory, err = t.valuesWithin(task.Memory, t.net, t.selections[i], o.BatchSize); err != nil {
		return err
	}
	if o.Memory > 0 {
		task.Log("%s of memory is granted (--memory): parts of the layers are computed once more for their gradients, which takes longer and gives the same bytes", budget.Bytes(task.Memory))
	}
	if trainer, err = train.New(net, t.weights.Select(net), o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trainer.Close()) }()
	if err := resume(task, trainer); err != nil {
		return err
	}
	err = trainer.Run(ctx, training, validation, func(e train.Epoch) error {
		task.Progress(int64(t.epochs+e.Number), int64(t.allEpochs()), "epoch")
		if trainer.Done() || time.Since(saved) < max(t.CheckpointLeast, t.CheckpointShare*cost) {
			return nil
		}
		return save()
	})
	if err != nil {
		return err
	}
	if t.reportsMeasures() {
		if err := t.writeMeasures(task, i, trainer, o.Objective); err != nil {
			return err
		}
	}
	return t.writePhase(task, i, net, trainer)
}

// tellEvery is how often an epoch tells how far it has come.
const tellEvery = time.Second

// keepsStart tells whether phase i hands on what it began with if no epoch is better: phases after the
// first do, but for the tutorial's, and the first does where it starts from a classifier that was fitted or from a quantised network.
func (s *Setup) keepsStart(i int) bool {
	if i == 0 {
		return s.Start.Converged() || s.scheme != nil
	}
	return s.Preset == strategy.Default
}

// options are those of the training of phase i.
func (t *training) options(task *pipeline.Task, i int) train.Options {
	p, selected := t.phases[i], t.selections[i]
	o := p.Learning(t.Learning).Options(p.Epochs, p.LearningRate, t.objective())
	o.Seed, o.Threads = phaseSeed(task.Seed, i), task.Threads
	o.Freeze = func(layer string) bool { return !selected.Learns(layer) }
	o.LayerRate, o.BatchNorm, o.Keeps = selected.Rate, selected.Norms, selected.Keeps
	if t.data.Encoded() {
		o.Bucket = bucket
	}
	o.KeepStart, o.KeepZeros, o.Rounding = t.keepsStart(i), t.zeros, t.scheme
	o.Sample = t.data.Sample(t.Copies)
	if t.Sampling == strategy.BalancedSampling {
		o.Sample = train.Balanced(o.Sample, t.data.Training.Classes, o.Seed)
	}
	if t.Objective.metric() {
		o.Batches = train.ClassBatches(o.Sample, t.data.Training.Classes, t.Objective.PerClass, o.BatchSize, o.Seed)
	}
	if t.data.Several != nil {
		o.Probes = t.forks()
	}
	if turn := t.turn(i); turn != nil {
		o.Points = max(1, coursePoints/len(t.phases))
		if turn.Options != nil {
			turn.Options(t.net, &o)
		}
	}
	return o
}

// coursePoints is in how many points the course of an adaptation is kept, about: with fewer steps each of them is one.
const coursePoints = 1000

// bucket is how many batches of texts are put in the order of their lengths together.
const bucket = 32

// objective is what the training makes smaller.
func (t *training) objective() objective.Objective {
	switch t.data.Task() {
	case rows.SeveralTasks:
		return t.tasks()
	case record.MultiLabel:
		return objective.BinaryCrossEntropy{PositiveWeights: t.classWeights}
	case record.Regression:
		_, deviation := t.data.Moments()
		return objective.SquaredError{Scales: deviation}
	}
	labels := objective.CrossEntropy{ClassWeights: t.classWeights, Smoothing: t.LabelSmoothing}
	if t.guide != nil {
		return t.guide.objective(labels, labels)
	}
	if t.Objective.metric() {
		return t.metricObjective(labels)
	}
	return labels
}

// resume takes up a checkpoint if there is one that fits.
func resume(task *pipeline.Task, trainer *train.Trainer) error {
	state, ok, err := task.Checkpoint.Load()
	if err != nil || !ok {
		return err
	}
	if err := trainer.Restore(state); err != nil {
		task.Log("training starts anew: %v", err)
		return nil
	}
	task.Log("training resumes after epoch %d", len(trainer.History()))
	return nil
}

// examples gives what a phase trains, and on what, with what teachers tell of it.
func (t *training) examples(ctx context.Context, task *pipeline.Task, i int) (net *nn.Network, training, validation train.Examples, closing func() error, err error) {
	net, training, validation, closing, err = t.untaught(ctx, task, i)
	if err != nil || t.guide == nil {
		return net, training, validation, closing, err
	}
	told, err := t.guide.ask(ctx, task, t.data, t.Copies, t.PrefixPrecision)
	if err != nil {
		return nil, nil, nil, nil, errors.Join(err, closing())
	}
	own := closing
	both := func() error { return errors.Join(told.close(), own()) }
	return net, taught{training, told, &t.data.Training}, taught{validation, told, &t.data.Validation}, both, nil
}

// untaught gives what a phase trains, and on what: the network and rows from the input, or what lies
// above the prefix and its activations.
func (t *training) untaught(ctx context.Context, task *pipeline.Task, i int) (net *nn.Network, training, validation train.Examples, closing func() error, err error) {
	if t.prefixes[i].Cut == "" {
		if t.data.Tokens { // which tell their lengths
			return t.net, t.data.Training.Examples, t.data.Validation.Examples, func() error { return nil }, nil
		}
		return t.net, t.data.Training, t.data.Validation, func() error { return nil }, nil
	}
	if net, err = t.net.Above(t.prefixes[i].Cut); err != nil {
		return nil, nil, nil, nil, err
	}
	a, err := prefix.NewActivator(task, t.data, t.net, t.weights, t.Copies, t.cutsFrom(i))
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defer a.Close()
	fetched, err := a.Fetch(ctx)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	return net, fetched.Of(&t.data.Training), fetched.Of(&t.data.Validation), fetched.Close, nil
}

// cutsFrom lists the cut of phase i and those of the phases after it that lie lower and below which
// nothing will have changed until then: from the top down.
func (t *training) cutsFrom(i int) []prefix.Prefix {
	cuts := []prefix.Prefix{t.prefixes[i]}
	below := func(p prefix.Prefix) int64 {
		net, err := t.net.Cut(p.Cut)
		if err != nil {
			return 0
		}
		return net.MultiplyAdds()
	}
	for j := i + 1; j < len(t.phases); j++ {
		p, lowest := t.prefixes[j], cuts[len(cuts)-1]
		if p.Cut == "" {
			break // the phase changes the lowest layers, or may
		}
		if below(p) < below(lowest) {
			cuts = append(cuts, p)
		}
	}
	return cuts
}

// allEpochs are those of all phases, at most.
func (t *training) allEpochs() (n int) {
	for _, p := range t.phases {
		n += p.Epochs
	}
	return n
}

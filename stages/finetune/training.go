package finetune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// training is a run of the stage in progress.
type training struct {
	*stage
	task *pipeline.Task
	data *data
	subject
	phases       []Phase
	selections   []selection
	prefixes     []prefix
	classWeights []float64

	started nn.Weights        // what the training started with
	touched map[string]bool   // tensors that some phase so far may have changed
	last    nn.Weights        // of the last epoch of the phase before; subject.weights are those kept
	digests map[string]string // of the blocks' weights, as far as they are known
	history []record.TrainingEpoch
	layers  []record.PhaseLayers
	epochs  int // of the phases that are over, as asked for
}

// newTraining makes the network and decides what each phase does.
func (s *stage) newTraining(ctx context.Context, task *pipeline.Task, d *data) (*training, error) {
	t := &training{stage: s, task: task, data: d, phases: s.plan(d.pictures), touched: map[string]bool{}, digests: map[string]string{}}
	var err error
	if t.subject, err = s.begin(ctx, task, d); err != nil {
		return nil, err
	}
	t.started = t.weights
	if t.classWeights, err = s.ClassWeights.of(d.classes, d.counts()); err != nil {
		return nil, err
	}
	for i, p := range t.phases {
		selected, err := t.selects(p, s.at(i))
		if err != nil {
			return nil, err
		}
		t.selections = append(t.selections, selected)
	}
	t.prefixes = make([]prefix, len(t.phases))
	if d.pictures {
		t.prefixes = s.choosePrefixes(t.net, t.selections, t.cachedRows())
	}
	return t, nil
}

// selects tells what learns in a phase: of a head alone, everything but what standardises.
func (t *training) selects(p Phase, at string) (selection, error) {
	if t.trunk != "" {
		return p.selects(t.net, at)
	}
	s := selection{rates: map[string]float64{}}
	for _, l := range t.net.Layers() {
		if _, isInput := l.Op.(nn.Input); !isInput && l.Name != standardiseLayer {
			s.rates[l.Name] = 1
		}
	}
	return s, nil
}

// cachedRows is how many rows a prefix holds.
func (t *training) cachedRows() int64 {
	n := int64(t.data.validation.Len())
	for _, c := range t.data.training.copies {
		if t.Copies < 1 || c < t.Copies {
			n++
		}
	}
	return n
}

// run goes through the phases.
func (t *training) run(ctx context.Context) error {
	before := pipeline.Input(nil) // what the phase before gave
	for i := range t.phases {
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

// Names of the results of a phase.
const (
	keptOutput    = "kept"    // the tensors that training changed, in this phase and before, as it hands them on
	lastOutput    = "last"    // the same at the end of the phase
	historyOutput = "history" // its epochs
)

// phaseRecipe is all that decides the result of a phase but its inputs: the data and, after the first
// phase, the tensors that the phase before handed on.
type phaseRecipe struct {
	Start     start    `yaml:"start"`
	Phase     Phase    `yaml:"phase"`
	Learning  Learning `yaml:"learning"`
	Target    string   `yaml:"target"`
	Copies    int      `yaml:"copies"`
	Cut       string   `yaml:"cut"`
	Precision string   `yaml:"precision"`
	Seed      uint64   `yaml:"seed"`
}

// start tells the network that a training starts with.
type start struct {
	Backbone    string            `yaml:"backbone"` // "" for a head alone, and for a model
	Weights     map[string]string `yaml:"weights"`
	RandomSeed  uint64            `yaml:"random_seed"` // of random weights
	Adapters    *Adapters         `yaml:"adapters"`
	Head        Head              `yaml:"head"`
	Standardise bool              `yaml:"standardise"`
	Seed        uint64            `yaml:"seed"` // of the head
}

// phasePart describes phase i as a part of the stage's work, of the data and what the phase before
// gave, if any.
func (s *stage) phasePart(i int, p Phase, cached prefix, inputs map[string][]pipeline.Input, before pipeline.Input, seed uint64) (pipeline.Part, error) {
	from := start{Adapters: s.Strategy.Adapters, Head: s.Head, Standardise: s.Standardise, Seed: seed}
	if s.backbone != nil {
		from.Backbone = s.backbone.Name
		var err error
		if from.Weights, err = s.backbone.weights.Identity(); err != nil {
			return pipeline.Part{}, err
		}
		if s.backbone.weights.Name == zoo.RandomWeights {
			from.RandomSeed = s.RandomSeed
		}
	}
	of := map[string]pipeline.Input{}
	for _, port := range []string{dataPort, modelPort} {
		if in := inputs[port]; len(in) > 0 {
			of[port] = in[0]
		}
	}
	if before != nil {
		of["before"] = before
	}
	learning := p.learning(s.Learning)
	p.Optimiser, p.Schedule, p.WarmUp, p.EarlyStopping = nil, nil, nil, nil // learning has them
	return pipeline.Part{Name: "phase", Inputs: of, Recipe: phaseRecipe{
		Start: from, Phase: p, Learning: learning, Target: s.Target, Copies: s.Copies,
		Cut: cached.cut, Precision: cached.precision, Seed: phaseSeed(seed, i),
	}}, nil
}

// phaseSeed is the seed of phase i: the stage's for the first.
func phaseSeed(seed uint64, i int) uint64 {
	return seed + uint64(i)*0x9e3779b97f4a7c15 // the golden ratio's, as SplitMix64 steps
}

// phase trains a phase, or takes what it gave from the cache.
func (t *training) phase(ctx context.Context, i int, before pipeline.Input) (map[string]pipeline.Input, error) {
	part, err := t.phasePart(i, t.phases[i], t.prefixes[i], t.task.Inputs, before, t.task.Seed)
	if err != nil {
		return nil, err
	}
	return t.task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error {
		if t.data.pictures {
			task.Log("phase %s: %s", t.phases[i].Name, t.prefixes[i].why)
			if old := t.oldStatistics(i); old > staleStatistics {
				task.Log("phase %s: when it ends, the running statistics of its batch-norms will still be made by %.0f %% of what they are now: validation, which uses them, may be far worse than training; batch_norm: frozen, more epochs or smaller batches help",
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
	batches := t.phases[i].Epochs * max(t.epochRows()/t.BatchSize, 1)
	for _, l := range t.net.Layers() {
		norm, ok := l.Op.(nn.BatchNorm)
		if ok && !isHead(l.Name) && t.selections[i].learns(l.Name) && t.selections[i].norms(l.Name) == train.BatchStatistics {
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
	o.AfterStep = func(schedule.Position) error {
		if time.Since(saved) < t.CheckpointEvery {
			return nil
		}
		return save()
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
		if trainer.Done() || time.Since(saved) < max(t.checkpointEpoch, t.checkpointShare*cost) {
			return nil
		}
		return save()
	})
	if err != nil {
		return err
	}
	return t.writePhase(task, i, net, trainer)
}

// options are those of the training of phase i.
func (t *training) options(task *pipeline.Task, i int) train.Options {
	p, selected := t.phases[i], t.selections[i]
	o := p.learning(t.Learning).options(p.Epochs, p.LearningRate, t.classWeights)
	o.Seed, o.Threads = phaseSeed(task.Seed, i), task.Threads
	o.Freeze = func(layer string) bool { return !selected.learns(layer) }
	o.LayerRate, o.BatchNorm = selected.rate, selected.norms
	o.Sample = t.data.sample(t.Copies)
	if t.Sampling == balancedSampling {
		o.Sample = train.Balanced(o.Sample, t.data.training.classes, o.Seed)
	}
	return o
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
	task.Log("training goes on after epoch %d", len(trainer.History()))
	return nil
}

// examples gives what a phase trains, and on what: the network and rows from the input, or what lies
// above the prefix and its activations.
func (t *training) examples(ctx context.Context, task *pipeline.Task, i int) (net *nn.Network, training, validation train.Examples, closing func() error, err error) {
	if t.prefixes[i].cut == "" {
		return t.net, t.data.training, t.data.validation, func() error { return nil }, nil
	}
	if net, err = t.net.Above(t.prefixes[i].cut); err != nil {
		return nil, nil, nil, nil, err
	}
	a, err := newActivator(task, t.data, t.net, t.weights, t.Copies, t.cutsFrom(i))
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defer a.Close()
	fetched, err := a.fetch(ctx)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	return net, fetched.of(&t.data.training), fetched.of(&t.data.validation), fetched.Close, nil
}

// cutsFrom lists the cut of phase i and those of the phases after it that lie lower and below which
// nothing will have changed until then: from the top down.
func (t *training) cutsFrom(i int) []prefix {
	cuts := []prefix{t.prefixes[i]}
	below := func(p prefix) int64 {
		net, err := t.net.Cut(p.cut)
		if err != nil {
			return 0
		}
		return net.MultiplyAdds()
	}
	for j := i + 1; j < len(t.phases); j++ {
		p, lowest := t.prefixes[j], cuts[len(cuts)-1]
		if p.cut == "" {
			break // the phase changes the lowest layers, or may
		}
		if below(p) < below(lowest) {
			cuts = append(cuts, p)
		}
	}
	return cuts
}

// writePhase writes the results of a phase.
func (t *training) writePhase(task *pipeline.Task, i int, net *nn.Network, trainer *train.Trainer) error {
	last, kept := trainer.Last(), len(trainer.History())
	chosen := last
	if t.Restore == restoreBest {
		chosen, kept = trainer.Best()
	}
	for _, weights := range []nn.Weights{last, chosen} {
		if err := t.checkFrozen(i, net, weights); err != nil {
			return err
		}
	}
	for _, output := range []struct {
		name    string
		weights nn.Weights
	}{{keptOutput, chosen}, {lastOutput, last}} {
		model := record.Model{}
		for _, p := range t.net.Parameters() {
			if !t.selections[i].learns(p.Layer) && !t.touched[p.Name()] {
				continue
			}
			tensor, ok := output.weights[p.Name()]
			if !ok {
				tensor = t.weights[p.Name()] // below the prefix
			}
			model.Tensors = append(model.Tensors, record.Tensor{Name: p.Name(), Shape: tensor.Shape, Data: tensor.Data})
		}
		rec, err := model.Record()
		if err != nil {
			return err
		}
		if err := write(task, output.name, rec); err != nil {
			return err
		}
	}
	var rows []record.TrainingEpoch
	for _, e := range trainer.History() {
		rows = append(rows, record.TrainingEpoch{
			Epoch: int32(e.Number), Loss: e.Loss, ValidationLoss: e.ValidationLoss, Accuracy: e.Accuracy,
			ValidationAccuracy: e.ValidationAccuracy, LearningRate: e.Rate, Kept: e.Number == kept,
		})
	}
	return write(task, historyOutput, record.FromRows(rows))
}

// checkFrozen returns an error if the phase changed a layer that it should not have. That would be a
// fault of the program.
func (t *training) checkFrozen(i int, net *nn.Network, weights nn.Weights) error {
	for _, p := range net.Parameters() {
		if !t.selections[i].learns(p.Layer) && !slices.EqualFunc(weights[p.Name()].Data, t.weights[p.Name()].Data, sameBits) {
			return fmt.Errorf("internal error, please report it: the frozen tensor %s was changed", p.Name())
		}
	}
	return nil
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

// take takes over what a phase gave.
func (t *training) take(ctx context.Context, i int, result map[string]pipeline.Input) error {
	kept, err := readTensors(ctx, result[keptOutput])
	if err != nil {
		return err
	}
	last, err := readTensors(ctx, result[lastOutput])
	if err != nil {
		return err
	}
	epochs, err := record.ReadRows[record.TrainingEpoch](result[historyOutput].Batches(ctx))
	if err != nil {
		return err
	}
	if len(epochs) == 0 {
		return errors.New("the phase has no epoch")
	}
	before, after := t.weights, nn.Weights{}
	t.last = nn.Weights{}
	for name, tensor := range before {
		after[name], t.last[name] = tensor, tensor
	}
	for name, tensor := range kept {
		after[name], t.touched[name] = tensor, true
	}
	for name, tensor := range last {
		t.last[name] = tensor
	}
	if err := errors.Join(t.net.Check(after), t.net.Check(t.last)); err != nil {
		return err
	}
	t.weights = after
	keptEpoch := 1 + slices.IndexFunc(epochs, func(e record.TrainingEpoch) bool { return e.Kept })
	t.layers = append(t.layers, t.describe(i, before, len(epochs), keptEpoch)...)
	t.summarise(i, epochs, keptEpoch)
	first := int32(len(t.history))
	for _, e := range epochs {
		e.Phase = t.phases[i].Name
		e.Epoch += first
		t.history = append(t.history, e)
	}
	t.epochs += t.phases[i].Epochs
	t.task.Progress(int64(t.epochs), int64(t.allEpochs()), "epoch")
	return nil
}

// allEpochs are those of all phases, at most.
func (t *training) allEpochs() (n int) {
	for _, p := range t.phases {
		n += p.Epochs
	}
	return n
}

// readTensors reads the tensors that a phase wrote.
func readTensors(ctx context.Context, in pipeline.Input) (nn.Weights, error) {
	out := nn.Weights{}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		model, err := record.ParseModel(rec)
		if err != nil {
			return nil, err
		}
		for _, tensor := range model.Tensors {
			out[tensor.Name] = nn.Tensor{Shape: tensor.Shape, Data: tensor.Data}
		}
	}
	return out, nil
}

// summarise tells in a line how a phase went.
func (t *training) summarise(i int, epochs []record.TrainingEpoch, kept int) {
	e := epochs[kept-1]
	what := fmt.Sprintf("loss %.4f, accuracy %.1f %%", e.Loss, 100*e.Accuracy)
	if e.ValidationLoss == e.ValidationLoss { // a number
		what = fmt.Sprintf("validation loss %.4f, accuracy %.1f %%", e.ValidationLoss, 100*e.ValidationAccuracy)
	}
	ended := ""
	if len(epochs) < t.phases[i].Epochs {
		ended = fmt.Sprintf(" (stopped early, of %d)", t.phases[i].Epochs)
	}
	phase := ""
	if len(t.phases) > 1 {
		phase = "phase " + t.phases[i].Name + ": "
	}
	t.task.Log("%s%d epochs%s; kept epoch %d: %s", phase, len(epochs), ended, kept, what)
}

// describe tells what phase i did with each block of the network.
func (t *training) describe(i int, before nn.Weights, epochs, kept int) []record.PhaseLayers {
	p, chosen, selected, rows := t.phases[i], t.prefixes[i], t.selections[i], int64(t.epochRows())
	var out []record.PhaseLayers
	for _, block := range t.net.Scopes() {
		row := record.PhaseLayers{
			Phase: p.Name, Number: int32(i + 1), Layers: block, Depth: int32(len(out)), Rate: math.NaN(),
			Epochs: int32(epochs), KeptEpoch: int32(kept), Stopped: epochs < p.Epochs, Rows: rows,
			Prefix: chosen.cut, PrefixType: chosen.precision, PrefixRows: chosen.rows, PrefixSize: chosen.bytes(), Why: chosen.why,
		}
		old, now := nn.Weights{}, nn.Weights{}
		for _, q := range t.net.Parameters() {
			if blockOf(q.Layer) != block {
				continue
			}
			old[q.Name()], now[q.Name()] = before[q.Name()], t.weights[q.Name()]
			row.Parameters += int64(q.Shape.Size())
			if !selected.learns(q.Layer) {
				continue
			}
			if rate := p.LearningRate * selected.rate(q.Layer); q.Role.Trained() {
				row.Trained += int64(q.Shape.Size())
				if math.IsNaN(row.Rate) {
					row.Rate = rate
				}
			} else if selected.norms(q.Layer) == train.BatchStatistics {
				row.BatchNorm = trainingNorms
			}
		}
		if len(old) == 0 {
			continue
		}
		if row.BatchNorm == "" && hasNorm(old) {
			row.BatchNorm = frozenNorms
		}
		row.Before, row.After = cmp.Or(t.digests[block], digestWeights(old)), digestWeights(now)
		t.digests[block] = row.After
		out = append(out, row)
	}
	return out
}

// epochRows is how many training rows an epoch takes.
func (t *training) epochRows() int {
	if sample := t.data.sample(t.Copies); sample != nil {
		return len(sample(0))
	}
	return t.data.training.Len()
}

// hasNorm tells whether there are running statistics among the weights.
func hasNorm(weights nn.Weights) bool {
	for name := range weights {
		if strings.HasSuffix(name, "."+string(nn.Variance)) {
			return true
		}
	}
	return false
}

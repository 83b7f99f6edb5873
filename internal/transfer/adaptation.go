package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Adaptation is a training that sees rows of two domains. It goes through turns in the place of the strategy's phases;
// each is a part of the task, as a phase is.
type Adaptation struct {
	Rows  *rows.Domains
	Ports []string // of the task, that the rows were read from
	By    string   // what chooses the epoch whose weights are kept, such as "im"; "": it is the last

	// Network puts what learns upon a backbone, nil for features of a shape as they are. Its first output is the
	// classifier's, which a model keeps; what the others need alone is let go.
	Network func(trunk *nn.Network, features nn.Shape, classes int) (*nn.Network, error)
	// Turns makes turns of the strategy's phases.
	Turns func(phases []strategy.Phase) []Turn
}

// Turn is a phase of an adaptation.
type Turn struct {
	Phase strategy.Phase
	// Recipe is all that decides what the turn does, beside the phase, as text.
	Recipe string
	// Prepare is called before the turn is trained, with what it begins with, and not if it comes from the cache. It may
	// say what the turn's batches are labelled with. nil: there is nothing to do.
	Prepare func(ctx context.Context, at *Inference) error
	// Options changes the options of the training, which have the plain classification as objective.
	Options func(net *nn.Network, o *train.Options)
	// Learns narrows what learns in the phase; nil: all of it.
	Learns func(net *nn.Network, layer nn.Layer) bool
	// Pools has batch-norms take over the statistics of the turn's rows: those that normalise by the batch as the phase says,
	// so that theirs are of the source until then. The others learn nothing.
	Pools bool
	// Classes are those of the training rows in this turn, once Prepare has run; nil: as they were read.
	Classes func() []int
	// Moves names the layer whose values the turn's loss changes: one of the turns that name one must learn at or below it. Still says
	// what is wrong if none does. nil: there is no such layer.
	Moves func(net *nn.Network) string
	Still string
	// Last hands on the weights of the last epoch, whatever is monitored.
	Last bool
	// Unlabelled says that no row of the turn has a class: the classification has no loss and no accuracy in training.
	Unlabelled bool
}

// Adapted is what an adaptation gave.
type Adapted struct {
	Outcome
	Measures  []record.EpochMeasure // of all epochs, as the history counts them
	Course    []record.StepMeasure  // of the steps
	Inference *Inference            // of the network with all that learned; close it
}

// Adapt trains on rows of two domains. The task's seed decides what is drawn.
func (s *Setup) Adapt(ctx context.Context, task *pipeline.Task, a Adaptation) (*Adapted, error) {
	own := *s
	own.adaptation = &a
	t, err := own.newTraining(ctx, task, a.Rows.Data)
	if err != nil {
		return nil, err
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	net, err := ClassifierOf(t.net)
	if err != nil {
		return nil, err
	}
	f, err := t.inference(ctx, len(t.phases)-1)
	if err != nil {
		return nil, err
	}
	return &Adapted{
		Outcome: Outcome{
			Model:   newModel(task, t.data, net, t.weights.Select(net), t.origins, t.adaptedSelection()),
			Last:    newModel(task, t.data, net, t.last.Select(net), t.origins, t.measured(len(t.history)-1)),
			History: t.history, Phases: t.layers,
		},
		Measures: t.measuredEpochs, Course: t.measuredSteps, Inference: f,
	}, nil
}

// adaptedSelection tells of the weights that are kept. The measures are of the source's validation rows.
func (t *training) adaptedSelection() record.Selection {
	s := t.selection()
	if s.By = record.ChosenLast; t.adaptation.By != "" {
		s.By = t.adaptation.By
	}
	s.Split, s.Rows = record.Validation, t.adaptation.Rows.ValidationRows
	if s.Rows == 0 {
		s.Metrics = nil
	}
	return s
}

// ClassTerm is the name of the classification among the terms of an adaptation's loss.
const ClassTerm = "class"

// accuracyOf is the accuracy of the classification; not a number if there is none.
func accuracyOf(m train.Measures) float64 {
	if accuracy, ok := m[objective.Accuracy]; ok {
		return accuracy
	}
	return m.Of(ClassTerm + "." + objective.Accuracy)
}

// ClassifierOf is the part of a network that its first output needs.
func ClassifierOf(net *nn.Network) (*nn.Network, error) { return net.Cut(net.Output().Name) }

// adaptedRecipe is the recipe of a turn.
type adaptedRecipe struct {
	Phase phaseRecipe `yaml:"phase"`
	Turn  string      `yaml:"turn"`
}

// turn is that of phase i; nil if there is no adaptation.
func (t *training) turn(i int) *Turn {
	if t.adaptation == nil {
		return nil
	}
	return &t.turns[i]
}

// narrow leaves to learn in a phase what its turn lets learn.
func (turn *Turn) narrow(net *nn.Network, s strategy.Selection) strategy.Selection {
	learns := turn.Learns
	if turn.Pools {
		learns = func(_ *nn.Network, l nn.Layer) bool {
			_, norm := l.Op.(nn.BatchNorm)
			return norm && s.Norms(l.Name) == train.BatchStatistics
		}
	}
	if learns == nil {
		return s
	}
	rates := map[string]float64{}
	for _, l := range net.Layers() {
		if rate, ok := s.Rates[l.Name]; ok && learns(net, l) {
			rates[l.Name] = rate
		}
	}
	s.Rates = rates
	return s
}

// moving refuses turns that are to move the values of a layer below which nothing learns.
func (t *training) moving() error {
	still := ""
	for i, turn := range t.turns {
		if turn.Moves == nil {
			continue
		}
		below, err := t.net.Cut(turn.Moves(t.net))
		if err != nil {
			return err
		}
		if slices.ContainsFunc(below.Layers(), func(l nn.Layer) bool { return t.selections[i].Learns(l.Name) && len(below.LayerParameters(l)) > 0 }) {
			return nil
		}
		still = turn.Still
	}
	if still == "" {
		return nil
	}
	return pipeline.ParamErrorHint("method", "take another method, give the network hidden layers, or a strategy in which layers of the backbone learn", "%s", still)
}

// prepare readies the rows for a turn that is to be trained.
func (t *training) prepare(ctx context.Context, task *pipeline.Task, i int) error {
	turn := t.turn(i)
	if turn == nil {
		return nil
	}
	if turn.Prepare != nil {
		f, err := t.inference(ctx, i)
		if err != nil {
			return err
		}
		if err := errors.Join(turn.Prepare(ctx, f), f.Close()); err != nil {
			return err
		}
	}
	t.relabelled = nil
	if turn.Classes != nil {
		t.relabelled = turn.Classes()
		if n := t.data.Training.Rows(); len(t.relabelled) != n {
			return fmt.Errorf("a turn has %d classes for %d rows", len(t.relabelled), n)
		}
	}
	return nil
}

// relabelledExamples are examples with other classes.
type relabelledExamples struct {
	train.Examples
	classes []int
}

// Read implements train.Examples.
func (r relabelledExamples) Read(positions []int, into train.Batch) error {
	if err := r.Examples.Read(positions, into); err != nil {
		return err
	}
	if to, ok := into.Targets[objective.Class]; ok {
		for i, p := range positions {
			to.Int32[i] = int32(r.classes[p])
		}
	}
	return nil
}

// Results of a turn with its measures, by epoch and by step, beside those of a phase.
const (
	measuresOutput = "measures"
	courseOutput   = "course"
)

// reportsMeasures tells whether phases write the measures of their objective.
func (t *training) reportsMeasures() bool { return t.adaptation != nil || t.data.Several != nil }

// writeMeasures writes what the epochs of a turn gave.
func (t *training) writeMeasures(task *pipeline.Task, i int, trainer *train.Trainer, of objective.Objective) error {
	turn := t.turn(i)
	var out []record.EpochMeasure
	for _, e := range trainer.History() {
		out = append(out, record.EpochMeasure{Epoch: int32(e.Number), Measure: "loss", Training: e.Loss, Validation: e.ValidationLoss, LearningRate: e.Rate})
		for _, m := range of.Measures() {
			row := record.EpochMeasure{Epoch: int32(e.Number), Measure: m.Name, Training: e.Measures.Of(m.Name), Validation: e.ValidationMeasures.Of(m.Name), LearningRate: e.Rate}
			if turn.unlabelled(m.Name) {
				row.Training = math.NaN()
			}
			out = append(out, row)
		}
	}
	if t.adaptation == nil {
		return task.WriteRecord(measuresOutput, record.FromRows(out))
	}
	return errors.Join(task.WriteRecord(measuresOutput, record.FromRows(out)), task.WriteRecord(courseOutput, record.FromRows(courseOf(trainer, of, turn))))
}

// courseOf are the points of a training's course as rows: of what is measured in training.
func courseOf(trainer *train.Trainer, of objective.Objective, turn *Turn) (out []record.StepMeasure) {
	for _, p := range trainer.Course() {
		row := record.StepMeasure{Epoch: int32(p.Epoch), Step: int64(p.Step), Measure: "loss", Value: p.Loss, Weight: 1, LearningRate: p.Rate, Reversal: p.Reversal}
		out = append(out, row)
		for _, m := range of.Measures() {
			row.Measure, row.Value, row.Weight = m.Name, p.Measures.Of(m.Name), math.NaN()
			if math.IsNaN(row.Value) || turn.unlabelled(m.Name) {
				continue
			}
			if term, ok := strings.CutSuffix(m.Name, ".loss"); ok {
				if weight, ok := p.Weights[term]; ok {
					row.Weight = weight
				}
			}
			out = append(out, row)
		}
	}
	return out
}

// takeMeasures takes over the measures of a turn; before is how many epochs there were.
func (t *training) takeMeasures(ctx context.Context, i int, result map[string]pipeline.Input, before int32) error {
	if !t.reportsMeasures() {
		return nil
	}
	in, ok := result[measuresOutput]
	if !ok {
		return errors.New("the turn has no measures")
	}
	measures, err := record.ReadRows[record.EpochMeasure](in.Batches(ctx))
	if err != nil {
		return err
	}
	for _, m := range measures {
		m.Phase = t.phases[i].Name
		m.Epoch += before
		t.measuredEpochs = append(t.measuredEpochs, m)
	}
	if t.adaptation == nil {
		return nil
	}
	if in, ok = result[courseOutput]; !ok {
		return errors.New("the turn has no course")
	}
	course, err := record.ReadRows[record.StepMeasure](in.Batches(ctx))
	if err != nil {
		return err
	}
	var steps int64
	if n := len(t.measuredSteps); n > 0 {
		steps = t.measuredSteps[n-1].Step
	}
	for _, m := range course {
		m.Phase, m.Epoch, m.Step = t.phases[i].Name, m.Epoch+before, m.Step+steps
		t.measuredSteps = append(t.measuredSteps, m)
	}
	return nil
}

// unlabelled tells whether a measure, in training, is of the classification of a turn whose rows have no class.
func (turn *Turn) unlabelled(measure string) bool {
	return turn != nil && turn.Unlabelled && strings.HasPrefix(measure, ClassTerm+".")
}

// MeasureOf is a measure of an epoch on the validation rows; not a number if there is none.
func MeasureOf(measures []record.EpochMeasure, epoch int32, name string) float64 {
	for _, m := range measures {
		if m.Epoch == epoch && m.Measure == name {
			return m.Validation
		}
	}
	return math.NaN()
}

// AdaptedModel makes a model of a network that was fitted to rows of two domains without a training.
func AdaptedModel(task *pipeline.Task, d *rows.Domains, net *nn.Network, weights nn.Weights, selection record.Selection) *classifier.Classifier {
	return newModel(task, d.Data, net, weights, nil, selection)
}

// At is the setup with other parameters, which have the same backbone and preparation.
func (s *Setup) At(p Params) (*Setup, error) {
	own, err := New(p)
	if err != nil {
		return nil, err
	}
	own.backbone, own.prepared = s.backbone, s.prepared
	return own, nil
}

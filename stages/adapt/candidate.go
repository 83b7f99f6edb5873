package adapt

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/domain/validator"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer"
)

var nan = math.NaN() //nolint: a constant, but for the language

// candidate is a method at a rate, and what it gave.
type candidate struct {
	name   string
	method method.Method
	rate   float64 // not a number for methods in closed form
	labels int     // of the target that it learned from

	model     *classifier.Classifier
	ofSource  *classifier.Classifier // that maps rows as those of the source; nil: the model does
	inference *transfer.Inference    // of the model
	measures  []record.EpochMeasure  // by epoch; those of methods in closed form are of epoch 0
	kept      int32                  // the epoch whose weights the model has
	terms     []record.LossTerm
	right     []bool  // test rows that the model classifies correctly
	answers   []reply // to the test rows
}

// infer sets the weights of the model, and has it answer with them.
func (c *candidate) infer(weights nn.Weights, threads int) {
	c.model.Weights = weights
	if c.inference == nil { // methods in closed form
		c.inference = &transfer.Inference{Threads: threads}
	}
	c.inference = c.inference.Of(c.model.Network, weights)
	if c.ofSource != nil {
		own := nn.Weights{}
		for name, tensor := range c.ofSource.Weights {
			if own[name] = tensor; !strings.HasPrefix(name, alignmentLayer+".") {
				own[name] = weights[name] // they may have been corrected
			}
		}
		c.inference.Source = &transfer.Inference{Net: c.ofSource.Network, Weights: own, Threads: threads}
	}
}

// reply is a model's answer to a row.
type reply struct {
	class int
	share float64 // probability of the class
}

// tryAll trains every candidate, direct first.
func (r *run) tryAll(ctx context.Context) error {
	methods := slices.Clone(r.Method)
	at := slices.IndexFunc(methods, func(m method.Method) bool { return m.Kind == method.Direct })
	direct := method.Of(method.Direct)
	if at >= 0 {
		direct = methods[at]
		methods = slices.Delete(methods, at, at+1)
	}
	methods = append([]method.Method{direct}, methods...)
	rates := r.LearningRate
	if len(rates) == 0 {
		rates = []float64{0}
	}
	closed := r.closed()
	names := method.Titles(methods)
	for i, m := range methods {
		if m.Is().Closed || closed {
			r.trials = append(r.trials, &candidate{name: names[i], method: m, rate: nan})
			continue
		}
		for _, rate := range rates {
			c := &candidate{name: names[i], method: m, rate: rate}
			if len(rates) > 1 {
				c.name += fmt.Sprintf(", learning rate %v", rate)
			}
			r.trials = append(r.trials, c)
		}
	}
	for _, c := range r.trials {
		train := r.train
		if math.IsNaN(c.rate) {
			train = r.fit
		}
		if err := r.task.Measured(c.name, func() error { return train(ctx, c) }); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		for j := range c.terms {
			c.terms[j].Candidate = c.name
		}
		if c.method.Kind == method.Direct && c.model.Description.Selection != nil {
			c.model.Description.Selection.Trained = r.rows.SourceRows // no row of the target
		}
	}
	return nil
}

// closed tells whether every method is fitted to its end, so that direct is too.
func (p Params) closed() bool {
	return p.Backbone == "" && !slices.ContainsFunc(p.Method, func(m method.Method) bool {
		return !m.Is().Closed && m.Kind != method.Direct && m.Kind != method.PriorShift
	}) && slices.ContainsFunc(p.Method, func(m method.Method) bool { return m.Is().Closed })
}

// judge lets validators judge.
func (r *run) judge(ctx context.Context, validators []validator.Validator) method.Judge {
	j := method.Judge{Scores: func(e domain.Evidence) (out []domain.Score, err error) {
		for _, v := range validators {
			score, err := v.Score(ctx, e, max(r.task.Threads, 1))
			if err != nil {
				return nil, err
			}
			out = append(out, score)
		}
		return out, nil
	}}
	for _, v := range validators {
		j.Validators = append(j.Validators, method.Validator{Name: v.Name, Higher: v.Higher})
	}
	return j
}

// quick are the validators that judge every epoch: those that are quickly computed, and the one that chooses.
func (s *stage) quick() []validator.Validator {
	return slices.DeleteFunc(validator.All(), func(v validator.Validator) bool { return v.Name == "dev" && s.by() != "dev" })
}

// by is the validator that chooses the epoch; "" for the last one.
func (p Params) by() string {
	if p.Select.chooses(overEpoch) && p.Select.By != ensemble {
		return p.Select.By
	}
	return ""
}

// network is what learns by gradient descent.
func (s *stage) network() method.Network {
	switch {
	case s.Network != nil:
		return *s.Network
	case s.Backbone != "":
		return method.OnBackbone()
	}
	return method.OnFeatures()
}

// train trains a candidate by gradient descent.
func (r *run) train(ctx context.Context, c *candidate) error {
	setup, err := r.setup.At(r.training(c.rate))
	if err != nil {
		return err
	}
	plan := method.Plan{
		Method: c.method, Network: r.network(), Standardise: r.Standardise && r.Backbone == "", Rows: r.rows, Chosen: fmt.Sprintf("%q %q", r.domains(), r.Label), Judge: r.judge(ctx, r.quick()), By: r.by(),
		Steps:        r.LeastSteps,
		TargetLabels: r.TargetLabels, Seed: r.task.Seed, Continues: r.task.Input(ModelPort) != nil,
	}
	c.labels = plan.Labels()
	if len(r.Method) > 1 {
		r.task.Log("%s", c.name)
	}
	out, err := setup.Adapt(ctx, r.task, plan.Adaptation([]string{SourcePort, TargetPort, TestPort, ModelPort}))
	if err != nil {
		return err
	}
	c.model, c.inference, c.measures = out.Model, out.Inference, out.Measures
	for _, e := range out.History {
		if e.Kept {
			c.kept = e.Epoch
		}
	}
	c.terms = termsOf(plan, out)
	switch {
	case r.rate(c):
		c.rate = out.Measures[0].LearningRate
	case len(c.measures) == 0: // nothing was trained
		c.rate = nan
	}
	return nil
}

// rate tells whether the rate was left to the strategy.
func (r *run) rate(c *candidate) bool { return c.rate == 0 && len(c.measures) > 0 }

// termsOf are the terms of the loss, by epoch and by step.
func termsOf(plan method.Plan, out *transfer.Adapted) (terms []record.LossTerm) {
	row := func(measure string, loss float64) (t record.LossTerm, ok bool) {
		term, isLoss := strings.CutSuffix(measure, "loss")
		t = record.LossTerm{Term: cmp.Or(strings.TrimSuffix(term, "."), "total"), Loss: loss, Weight: 1, Accuracy: nan, Reversal: nan}
		return t, isLoss && !math.IsNaN(loss)
	}
	reversed := func(t record.LossTerm) bool { return plan.Method.Reversal > 0 && t.Term == plan.Method.Kind }
	accuracies := map[int64]map[string]float64{} // by step and measure
	for _, m := range out.Course {
		if strings.HasSuffix(m.Measure, ".accuracy") {
			if accuracies[m.Step] == nil {
				accuracies[m.Step] = map[string]float64{}
			}
			accuracies[m.Step][m.Measure] = m.Value
		}
	}
	last := map[string]record.LossTerm{} // of each term, in the epoch under way
	epoch := func(number int32) {
		for _, m := range out.Measures {
			t, ok := row(m.Measure, m.Training)
			if !ok || m.Epoch != number {
				continue
			}
			t.Epoch, t.LearningRate = m.Epoch, m.LearningRate
			if step, ok := last[t.Term]; ok {
				t.Weight, t.Reversal = step.Weight, step.Reversal
			}
			for _, other := range out.Measures {
				if other.Epoch == m.Epoch && other.Measure == t.Term+".accuracy" {
					t.Accuracy = other.Training
				}
			}
			terms = append(terms, t)
		}
	}
	for i, m := range out.Course {
		if t, ok := row(m.Measure, m.Value); ok {
			t.Epoch, t.Step, t.LearningRate = m.Epoch, m.Step, m.LearningRate
			if !math.IsNaN(m.Weight) {
				t.Weight = m.Weight
			}
			if reversed(t) {
				t.Reversal = m.Reversal
			}
			if accuracy, ok := accuracies[m.Step][t.Term+".accuracy"]; ok {
				t.Accuracy = accuracy
			}
			last[t.Term] = t
			terms = append(terms, t)
		}
		if i+1 == len(out.Course) || out.Course[i+1].Epoch != m.Epoch {
			epoch(m.Epoch)
		}
	}
	return terms
}

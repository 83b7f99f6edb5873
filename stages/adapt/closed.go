package adapt

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/domain/align"
	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// closedRecipe is all that decides a candidate in closed form but the rows.
type closedRecipe struct {
	Method string    `yaml:"method"`
	Head   head.Head `yaml:"head"`
	Label  string    `yaml:"label"`
	Rows   string    `yaml:"rows"` // which of the inputs' are of which domain
}

// Results of a candidate in closed form: the model, which maps rows as those of the target; and, where there is an alignment, one that
// maps rows as those of the source, to measure these with.
const (
	modelOutput  = "model"
	sourceOutput = "source"
)

// fit fits a candidate in closed form: an alignment, and the classifier of the parameter head on the source's aligned rows.
// It is a part of the task.
func (r *run) fit(ctx context.Context, c *candidate) error {
	if r.task.Input(ModelPort) != nil {
		return pipeline.ParamErrorHint("method", "leave the input model out", "%s starts from nothing", c.method.Kind)
	}
	if _, ok := r.rows.Training.Examples.(*train.Table); !ok {
		return pipeline.ParamErrorHint("method", "extract features first", "%s is for features", c.method.Kind)
	}
	part := pipeline.Part{Name: "alignment", Numerics: r.Numerics(), Inputs: map[string]pipeline.Input{}, Recipe: closedRecipe{
		Method: c.method.Text(), Head: r.Head, Label: r.Label, Rows: fmt.Sprintf("%+v", r.domains()),
	}}
	for _, port := range []string{SourcePort, TargetPort} {
		if in := r.task.Input(port); in != nil {
			part.Inputs[port] = in
		}
	}
	result, err := r.task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error {
		made, ofSource, err := r.align(ctx, task, c.method)
		if err != nil {
			return err
		}
		if ofSource != nil {
			if err := writeModel(task, sourceOutput, ofSource); err != nil {
				return err
			}
		}
		return writeModel(task, modelOutput, made)
	})
	if err != nil {
		return err
	}
	if c.model, err = classifier.Read(ctx, result[modelOutput]); err != nil {
		return err
	}
	if in, ok := result[sourceOutput]; ok {
		if c.ofSource, err = classifier.Read(ctx, in); err != nil {
			return err
		}
	}
	c.model.Description.Recipe = r.task.Recipe
	return nil
}

// domains are those of the parameters, for recipes.
func (s *stage) domains() Domains {
	if s.Domains == nil {
		return Domains{}
	}
	return *s.Domains
}

// align fits an alignment and a classifier. ofSource maps rows as those of the source; nil without an alignment.
func (r *run) align(ctx context.Context, task *pipeline.Task, m method.Method) (made, ofSource *classifier.Classifier, err error) {
	d := r.rows
	source, target := featuresOf(d)
	var a domain.Alignment
	if found, ok := align.Find(m.Kind); ok {
		a, err = found.Fit(ctx, source, target, align.Options{
			Settings: align.Settings{Penalty: m.Penalty, Components: m.Components, Rounds: m.Rounds},
			Label:    r.label(task), Threads: task.Threads,
		})
		if err != nil {
			return nil, nil, err
		}
	}
	if a.Note != "" {
		task.Log("%s: %s", m.Kind, a.Note)
	}
	pool := kernel.NewPool(max(task.Threads, 1))
	defer pool.Close()
	validation := shallow.Rows{Width: source.Width}
	if table, ok := d.Validation.Examples.(*train.Table); ok && d.ValidationRows > 0 {
		validation.Values, validation.Classes = table.Values[:d.ValidationRows*source.Width], d.Validation.Classes[:d.ValidationRows]
		mapped := align.Apply(pool, a.Source, domain.Features{Width: source.Width, Values: validation.Values})
		validation.Values, validation.Width = mapped.Values, mapped.Width
	}
	mapped := align.Apply(pool, a.Source, source.Features)
	fitted, steps, err := r.classify(ctx, task, shallow.Rows{Values: mapped.Values, Width: mapped.Width, Classes: source.Classes}, validation)
	if err != nil {
		return nil, nil, err
	}
	net, weights, err := fitted.Network(nn.Shape{mapped.Width}, len(d.Classes))
	if err != nil {
		return nil, nil, err
	}
	selection := record.Selection{By: record.ChosenOnly, Tried: len(steps)}
	if d.ValidationRows > 0 {
		selection.Split, selection.Rows = record.Validation, d.ValidationRows
	}
	for i, step := range steps {
		if step.Chosen {
			selection.Phase, selection.Epoch = m.Kind, i+1
			if !math.IsNaN(step.Accuracy) {
				selection.Metrics = map[string]float64{"accuracy": step.Accuracy}
			}
		}
	}
	after := func(mapping domain.Affine) (*classifier.Classifier, error) {
		whole, all, err := behind(mapping, d.Shape, net, weights)
		if err != nil {
			return nil, err
		}
		return transfer.AdaptedModel(task, d, whole, all, selection), nil
	}
	if !a.Source.Identity() && !a.Target.Identity() {
		if ofSource, err = after(a.Source); err != nil {
			return nil, nil, err
		}
	}
	made, err = after(a.Target)
	return made, ofSource, err
}

// featuresOf are the training rows of both domains.
func featuresOf(d *rows.Domains) (source domain.Labelled, target domain.Features) {
	table, ok := d.Training.Examples.(*train.Table)
	if !ok {
		return source, target
	}
	at := d.SourceRows * table.Width
	source = domain.Labelled{Features: domain.Features{Width: table.Width, Values: table.Values[:at]}, Classes: d.Training.Classes[:d.SourceRows], Count: len(d.Classes)}
	return source, domain.Features{Width: table.Width, Values: table.Values[at:]}
}

// classify fits the classifier of the parameter head.
func (r *run) classify(ctx context.Context, task *pipeline.Task, training, validation shallow.Rows) (*shallow.Classifier, []shallow.Step, error) {
	kind, ok := shallow.Find(r.Head.Kind)
	if !ok {
		return nil, nil, fmt.Errorf("there is no classifier %q", r.Head.Kind)
	}
	o := shallow.Options{Settings: r.Head.Settings, Threads: task.Threads, Groups: r.rows.Training.Pictures(identity(r.rows.SourceRows))}
	return kind.Fit(ctx, training, validation, len(r.rows.Classes), o)
}

// label is how joint distribution adaptation labels the target: by the classifier of the parameter head, unless that is the
// nearest neighbour, which it has itself.
func (r *run) label(task *pipeline.Task) func(context.Context, domain.Labelled, domain.Features) ([]int, error) {
	if r.Head.Kind == "knn" {
		return nil
	}
	return func(ctx context.Context, source domain.Labelled, target domain.Features) ([]int, error) {
		fitted, _, err := r.classify(ctx, task, shallow.Rows{Values: source.Values, Width: source.Width, Classes: source.Classes}, shallow.Rows{Width: source.Width})
		if err != nil {
			return nil, err
		}
		net, weights, err := fitted.Network(nn.Shape{source.Width}, source.Count)
		if err != nil {
			return nil, err
		}
		examples := &rows.Examples{Examples: &train.Table{Width: target.Width, Values: target.Values}}
		inference := &transfer.Inference{Net: net, Weights: weights, Threads: task.Threads}
		computed, err := inference.Compute(ctx, examples, identity(target.Rows()))
		if err != nil {
			return nil, err
		}
		p := computed[0]
		out := make([]int, target.Rows())
		for i := range out {
			out[i] = method.MostProbable(p[i*source.Count : (i+1)*source.Count])
		}
		return out, nil
	}
}

// alignmentLayer is the layer that maps rows.
const alignmentLayer = "alignment"

// behind is a network that first maps rows of a shape.
func behind(a domain.Affine, shape nn.Shape, net *nn.Network, weights nn.Weights) (*nn.Network, nn.Weights, error) {
	if a.Identity() {
		if len(shape) == 1 {
			return net, weights, nil
		}
		a = domain.Affine{}
	}
	b := nn.NewBuilder()
	x := b.Input("features", shape...)
	if len(shape) != 1 {
		x = b.Layer("flatten", nn.Flatten{}, x)
	}
	out := nn.Weights{}
	for name, tensor := range weights {
		out[name] = tensor
	}
	if !a.Identity() {
		x = b.Layer(alignmentLayer, nn.Dense{Out: a.Out, Bias: true}, x)
		out[alignmentLayer+"."+string(nn.Weight)] = nn.Tensor{Shape: nn.Shape{a.Out, a.In}, Data: a.Weights}
		out[alignmentLayer+"."+string(nn.Bias)] = nn.Tensor{Shape: nn.Shape{a.Out}, Data: a.Bias}
	}
	below, err := b.Network()
	if err != nil {
		return nil, nil, err
	}
	layers := append([]nn.Layer{}, below.Layers()...)
	input := net.Inputs()[0].Name
	for _, l := range net.Layers() {
		if l.Name == input {
			continue
		}
		own := nn.Layer{Name: l.Name, Op: l.Op}
		for _, name := range l.Inputs {
			if name == input {
				name = x.Name
			}
			own.Inputs = append(own.Inputs, name)
		}
		layers = append(layers, own)
	}
	whole, err := nn.New(layers)
	if err != nil {
		return nil, nil, err
	}
	return whole, out, errors.Join(whole.Check(out))
}

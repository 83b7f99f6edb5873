package transfer

import (
	"context"
	"fmt"
	"maps"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// tasks is the objective of several tasks: the loss of each head, weighted.
func (t *training) tasks() objective.Objective {
	said, _ := t.Target.Several()
	var out objective.Tasks
	var numbers []bool
	for i, aim := range t.data.Several {
		name, layer := aim.Head.Name, t.net.Outputs()[i].Name
		numbers = append(numbers, aim.Head.Task == record.Regression)
		term := objective.Term{Name: name, Weight: objective.Constant(said.weight(name))}
		switch aim.Head.Task {
		case record.MultiLabel:
			term.Objective = objective.BinaryCrossEntropy{Output: layer, Target: name}
		case record.Regression:
			term.Objective = objective.SquaredError{Output: layer, Target: name, Scales: aim.Deviation}
		default:
			term.Objective = objective.CrossEntropy{Output: layer, Target: name, Smoothing: t.LabelSmoothing, Unlabelled: true}
		}
		out.Terms = append(out.Terms, term)
	}
	switch said.Balance {
	case balanceUncertainty:
		out.Balance = objective.Uncertainty{Numbers: numbers}
	case balanceGradientNorm:
		out.Balance = objective.GradientNorm{Alpha: said.alpha()}
	}
	return out
}

// forks are the layers, one for each task, in which the way to its output leaves what the tasks share.
func (t *training) forks() (layers []string) {
	outputs := t.net.Outputs()
	shared := map[string]int{}
	for _, output := range outputs {
		if part, err := t.net.Cut(output.Name); err == nil {
			for _, l := range part.Layers() {
				shared[l.Name]++
			}
		}
	}
	for _, output := range outputs {
		l := output
		for len(l.Inputs) == 1 && shared[l.Inputs[0]] == 1 {
			l, _ = t.net.Find(l.Inputs[0])
		}
		layers = append(layers, l.Name)
	}
	return layers
}

// trainTwins trains each task by itself, with the settings of all together, and puts what came out side by side into one model, in
// which no two tasks share a layer: what is lost or gained by learning together is the difference of the two.
func (s *Setup) trainTwins(ctx context.Context, task *pipeline.Task, tasks Tasks, together *classifier.Classifier) (*classifier.Classifier, error) {
	var layers []nn.Layer
	var outputs []string
	weights := nn.Weights{}
	out := *together
	out.Description.Heads, out.Description.Selection = nil, nil
	input := together.Input().Name
	for _, name := range tasks.Names() {
		task.Log("task %s by itself:", name)
		alone := *s
		alone.Target = tasks.alone(name)
		twin, err := alone.Train(ctx, task)
		if err != nil {
			return nil, fmt.Errorf("task %s by itself: %w", name, err)
		}
		rename := func(layer string) string {
			if layer == input {
				return layer
			}
			return name + "." + layer
		}
		net, err := twin.Model.Network.Rename(rename)
		if err != nil {
			return nil, err
		}
		for _, l := range net.Layers() {
			if l.Name != input || len(layers) == 0 {
				layers = append(layers, l)
			}
		}
		for _, p := range twin.Model.Network.Parameters() {
			renamed := p
			renamed.Layer = rename(p.Layer)
			weights[renamed.Name()] = twin.Model.Weights[p.Name()]
		}
		head := twin.Model.Description.Heads[0]
		head.Output = net.Output().Name
		outputs = append(outputs, head.Output)
		out.Description.Heads = append(out.Description.Heads, head)
	}
	net, err := nn.New(layers, outputs...)
	if err != nil {
		return nil, fmt.Errorf("the tasks by themselves: %w", err)
	}
	out.Network, out.Weights, out.Metadata = net, weights, maps.Clone(together.Metadata)
	return &out, nil
}

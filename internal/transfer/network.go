package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// subject is a network that is to be trained, and the weights it starts with.
type subject struct {
	net     *nn.Network
	weights nn.Weights
	trunk   string // the layer that the head takes; "" for a head alone
	origins []record.Origin

	bare *nn.Network // the backbone below the head, without adapters; nil if another stage made it, or there is none
}

// begin makes the network for the data: the head alone, or on the backbone, or what an earlier stage
// trained.
func (s *Setup) begin(ctx context.Context, task *pipeline.Task, d *rows.Data) (subject, error) {
	if model := task.Input(ModelPort); model != nil {
		return s.continued(ctx, model, d)
	}
	if s.backbone == nil {
		return s.headAlone(task, d)
	}
	trunk, weights, err := s.load(ctx, task, d)
	if err != nil {
		return subject{}, err
	}
	bare := trunk
	if a := s.Strategy.Adapters; a != nil {
		if trunk, weights, err = a.Apply(trunk, weights, task.Seed, s.at(0)); err != nil {
			return subject{}, err
		}
	}
	net, err := s.upon(trunk, d)
	if err != nil {
		return subject{}, err
	}
	for name, tensor := range initialise(net, d, task.Seed, s.Start) {
		if head.Contains(name) {
			weights[name] = tensor
		}
	}
	origin, err := s.backbone.origin()
	if err != nil {
		return subject{}, err
	}
	origin.Seed = s.backbone.seed(s.RandomSeed, task.Seed)
	return subject{net: net, weights: weights, trunk: trunk.Output().Name, origins: []record.Origin{origin}, bare: bare}, nil
}

// upon puts what learns upon a backbone.
func (s *Setup) upon(trunk *nn.Network, d *rows.Data) (*nn.Network, error) {
	if s.adaptation != nil {
		return s.adaptation.Network(trunk, trunk.Shape(trunk.Output().Name), len(d.Classes))
	}
	return s.Head.Upon(trunk, s.answer(d))
}

// answer is what the head is to give for the rows.
func (s *Setup) answer(d *rows.Data) head.Answer {
	a := answer(d)
	if s.Objective.metric() {
		a.Embedding = s.Objective.Width
	}
	return a
}

// answer is what a head is to give for the rows.
func answer(d *rows.Data) head.Answer {
	if d.Several != nil {
		var a head.Answer
		for _, aim := range d.Several {
			own := head.Answer{Task: aim.Head.Task, Count: len(aim.Head.Names()), Mean: aim.Mean, Deviation: aim.Deviation}
			a.Tasks = append(a.Tasks, head.NamedAnswer{Name: aim.Head.Name, Answer: own})
		}
		return a
	}
	a := head.Answer{Task: d.Task(), Count: d.Outputs()}
	if a.Task == record.Regression {
		a.Mean, a.Deviation = d.Moments()
	}
	return a
}

// initialise gives what the head begins with.
func initialise(net *nn.Network, d *rows.Data, seed uint64, start head.Start) nn.Weights {
	if d.Several != nil {
		return head.InitialiseTasks(net, seed)
	}
	return head.Initialise(net, seed, start)
}

// headAlone makes a head for features.
func (s *Setup) headAlone(task *pipeline.Task, d *rows.Data) (subject, error) {
	var net *nn.Network
	var err error
	if s.adaptation != nil {
		net, err = s.adaptation.Network(nil, d.Shape, len(d.Classes))
	} else {
		net, err = s.Head.Network(d.Shape, s.answer(d), s.Standardise)
	}
	if err != nil {
		return subject{}, err
	}
	start := head.StartAtZero()
	if s.adaptation != nil {
		// All of the network is drawn: from 0, the layers below would have no gradient of the classes at first, while a method's own
		// loss moves them.
		start = head.StartAtRandom()
	}
	weights := initialise(net, d, task.Seed, start)
	if s.Standardise {
		d.Standardise(net, weights)
	}
	return subject{net: net, weights: weights}, nil
}

// continued is what an earlier stage trained.
func (s *Setup) continued(ctx context.Context, model pipeline.Input, d *rows.Data) (subject, error) {
	c, err := classifier.Read(ctx, model)
	if err != nil {
		return subject{}, err
	}
	if op, votes := c.Network.Output().Op.(nn.Neighbours); votes {
		return subject{}, fmt.Errorf("model %s is a nearest-neighbour classifier of %d rows: it cannot be trained further", model.Name(), op.Rows)
	}
	if err := d.Renumber(c.Head()); err != nil {
		return subject{}, fmt.Errorf("model %s: %w", model.Name(), err)
	}
	if !slices.Equal(c.InputShape(), d.Shape) {
		return subject{}, fmt.Errorf("model %s takes inputs of shape %v, not %v", model.Name(), c.InputShape(), d.Shape)
	}
	if err := sameTexts(c, d); err != nil {
		return subject{}, fmt.Errorf("model %s %w", model.Name(), err)
	}
	out := subject{net: c.Network, weights: c.Weights, origins: c.Description.Origins}
	for _, l := range c.Network.Layers() {
		if head.Contains(l.Name) {
			out.trunk = l.Inputs[0]
			break
		}
	}
	if out.trunk == "" && d.Pictures {
		return subject{}, fmt.Errorf("model %s is not a network with a backbone trained by this stage", model.Name())
	}
	return out, nil
}

// sameTexts refuses rows of texts that became numbers in another way than those that a model learned from.
func sameTexts(c *classifier.Classifier, d *rows.Data) error {
	learned := map[string]string{record.TokensKey: c.Metadata[record.TokensKey], record.VocabularyKey: c.Metadata[record.VocabularyKey]}
	if in := c.Description.Inputs; len(in) > 0 && len(in[0].Transforms) > 0 {
		text, err := in[0].Transforms.Encode()
		if err != nil {
			return err
		}
		learned[record.TransformsKey] = text
	}
	for key, want := range learned {
		if has := d.Metadata[key]; has != "" && want != "" && !record.SameOfText(has, want) {
			return errors.New("learned from texts that were turned into numbers in another way: connect the rows of the same stage")
		}
	}
	return nil
}

package transfer

import (
	"context"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/pipeline"
)

// headScope is where the layers of the head stand in a network that has a backbone.
const headScope = "classifier"

// isHead tells whether a layer of a network with a backbone belongs to its head.
func isHead(layer string) bool { return nn.InScope(layer, headScope) }

// subject is a network that is to be trained, and the weights it starts with.
type subject struct {
	net     *nn.Network
	weights nn.Weights
	trunk   string // the layer that the head takes; "" for a head alone
}

// begin makes the network for the data: the head alone, or on the backbone, or what an earlier stage
// trained.
func (s *Setup) begin(ctx context.Context, task *pipeline.Task, d *data) (subject, error) {
	if model := task.Input(ModelPort); model != nil {
		return s.continued(ctx, model, d)
	}
	if s.backbone == nil {
		return s.headAlone(task, d)
	}
	trunk, weights, err := s.backbone.load(ctx, task, d.shape, s.RandomSeed)
	if err != nil {
		return subject{}, err
	}
	if a := s.Strategy.Adapters; a != nil {
		if trunk, weights, err = a.apply(trunk, weights, task.Seed); err != nil {
			return subject{}, err
		}
	}
	net, err := s.Head.upon(trunk, len(d.classes))
	if err != nil {
		return subject{}, err
	}
	for name, tensor := range net.Initialise(task.Seed) {
		if isHead(name) {
			weights[name] = tensor
		}
	}
	return subject{net: net, weights: weights, trunk: trunk.Output().Name}, nil
}

// headAlone makes a head for features.
func (s *Setup) headAlone(task *pipeline.Task, d *data) (subject, error) {
	net, err := s.Head.network(d.shape, len(d.classes), s.Standardise)
	if err != nil {
		return subject{}, err
	}
	weights := net.Initialise(task.Seed)
	if s.Standardise {
		d.standardise(net, weights)
	}
	return subject{net: net, weights: weights}, nil
}

// continued is what an earlier stage trained.
func (s *Setup) continued(ctx context.Context, model pipeline.Input, d *data) (subject, error) {
	c, err := classifier.Read(ctx, model)
	if err != nil {
		return subject{}, err
	}
	if err := d.renumber(c.Classes); err != nil {
		return subject{}, fmt.Errorf("model %s: %w", model.Name(), err)
	}
	if !slices.Equal(c.InputShape(), d.shape) {
		return subject{}, fmt.Errorf("model %s takes inputs of shape %v, not %v", model.Name(), c.InputShape(), d.shape)
	}
	out := subject{net: c.Network, weights: c.Weights}
	for _, l := range c.Network.Layers() {
		if isHead(l.Name) {
			out.trunk = l.Inputs[0]
			break
		}
	}
	if out.trunk == "" && d.pictures {
		return subject{}, fmt.Errorf("model %s is no network with a backbone that this stage made", model.Name())
	}
	return out, nil
}

// upon puts the head upon a backbone.
func (h Head) upon(trunk *nn.Network, classes int) (*nn.Network, error) {
	top := trunk.Output().Name
	head, err := h.network(trunk.Shape(top), classes, false)
	if err != nil {
		return nil, err
	}
	features := head.Inputs()[0].Name
	layers := trunk.Layers()
	for _, l := range head.Layers() {
		if l.Name == features {
			continue
		}
		above := nn.Layer{Name: headScope + "." + l.Name, Op: l.Op}
		for _, input := range l.Inputs {
			if input == features {
				above.Inputs = append(above.Inputs, top)
			} else {
				above.Inputs = append(above.Inputs, headScope+"."+input)
			}
		}
		layers = append(layers[:len(layers):len(layers)], above)
	}
	return nn.New(layers)
}

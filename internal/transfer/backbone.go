package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
)

// backbone is what a network is made with: an architecture of the zoo and weights for it.
type backbone struct {
	zoo.Backbone
	said    zoo.Name             // by the pipeline
	weights *zoo.ResolvedWeights // nil of an encoder
	encoder *textEncoder         // nil of others
}

// chooseBackbone finds the backbone of that name and the weights that the word means.
func chooseBackbone(name zoo.Name, weights zoo.WeightsReference) (*backbone, error) {
	if said, ok := name.TextEncoder(); ok {
		if weights != zoo.DefaultWeights {
			return nil, pipeline.ParamErrorHint("weights", "leave it out", "are those in the folder of the encoder")
		}
		named := zoo.Backbone{Name: zoo.ArchitectureOfEncoders, Pooled: encoder.Pooled}
		return &backbone{Backbone: named, said: name, encoder: newTextEncoder(said)}, nil
	}
	found, err := name.Backbone()
	if err != nil {
		hint := ""
		if unknown := new(zoo.UnknownError); errors.As(err, &unknown) {
			hint = fmt.Sprintf("%s; for a text encoder in the folder %s, write ./%[2]s", unknown.Hint, name)
		}
		return nil, pipeline.ParamErrorHint("backbone", hint, "there is no backbone %q", name)
	}
	if found.AnyPixels {
		return nil, pipeline.ParamErrorHint("backbone", "say another", "%s has no layer that learns", name)
	}
	choice, err := found.Resolve(weights)
	if err != nil {
		return nil, err
	}
	return &backbone{Backbone: found, said: name, weights: choice}, nil
}

// locate tells the folder of the pipeline.
func (b *backbone) locate(dir string) {
	if b.encoder != nil {
		b.encoder.dir = dir
		return
	}
	b.weights.Locate(dir)
}

// network builds the backbone up to what the head takes, for pictures of a shape.
func (b *backbone) network(shape nn.Shape) (*nn.Network, error) {
	net, err := b.weights.Network(shape[0], shape[1])
	if err != nil {
		return nil, err
	}
	return net.Cut(b.Pooled)
}

// seed is that of random weights; 0 for others, which do not depend on it. Those of a network that is spelled out, which are
// what it begins to learn with, follow the stage's seed too.
func (b *backbone) seed(random, stage uint64) uint64 {
	if b.Spelled {
		return random + stage
	}
	if b.weights != nil && b.weights.Name == zoo.RandomWeights {
		return random
	}
	return 0
}

// load builds the backbone and loads its weights, or draws random ones from the seed.
func (b *backbone) load(ctx context.Context, task *pipeline.Task, shape nn.Shape, seed uint64) (*nn.Network, nn.Weights, error) {
	if err := b.weights.Fetch(ctx, task.Log); err != nil {
		return nil, nil, err
	}
	net, err := b.network(shape)
	if err != nil {
		return nil, nil, err
	}
	weights, err := b.weights.Load(net, seed)
	if err != nil {
		return nil, nil, err
	}
	return net, weights, b.weights.Unchanged(ctx, task.Files)
}

// countsBlocks tells whether top means blocks in some phase, as it does of transformers.
func (s *Setup) countsBlocks() bool {
	if !slices.ContainsFunc(s.Strategy.Phases, func(p strategy.Phase) bool { return p.Top > 0 }) {
		return false
	}
	if s.encodes() {
		return true
	}
	net, err := s.backbone.network(nn.Shape{s.backbone.MinSize, s.backbone.MinSize, 3})
	return err == nil && slices.ContainsFunc(net.Layers(), func(l nn.Layer) bool { _, ok := l.Op.(nn.Attention); return ok })
}

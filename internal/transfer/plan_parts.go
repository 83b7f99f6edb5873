package transfer

import (
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
)

// PlanParts implements pipeline.PartsPlanner: it goes through the phases, as far as they are in the
// cache.
func (s *Setup) PlanParts(inputs map[string][]pipeline.Input, seed uint64, ask func(pipeline.Part) (map[string]pipeline.Input, bool)) (int, error) {
	if len(inputs[ModelPort]) > 0 || s.Head.Converges() || s.guided() && s.guidance.Losses.Layers() {
		return 0, nil // the network stands in the model, or there are no phases, or the teacher's layers decide the prefixes
	}
	phases := s.phases(s.backbone != nil)
	prefixes := make([]prefix.Prefix, len(phases))
	if s.backbone != nil && !s.spelledForTexts() {
		var known bool
		var err error
		if prefixes, known, err = s.foreseePrefixes(phases, inputs[DataPort][0].Rows()); err != nil || !known {
			return 0, err
		}
	}
	before, parts := pipeline.Input(nil), len(phases)
	if s.Start.Converged() {
		parts++
		part, err := s.startPart(inputs)
		if err != nil {
			return 0, err
		}
		result, ok := ask(part)
		if !ok {
			return parts, nil
		}
		before = result[keptOutput]
	}
	for i, p := range phases {
		if p.Epochs == 0 || s.LearningRate != nil && s.LearningRate.Auto {
			break // the rows decide, which have not been read, or a range test: it is counted as one to compute
		}
		part, err := s.phasePart(i, nil, p, prefixes[i], inputs, before, seed)
		if err != nil {
			return 0, err
		}
		result, ok := ask(part)
		if !ok {
			break
		}
		before = result[keptOutput]
	}
	return parts, nil
}

// foreseePrefixes finds the cuts of the phases for at most so many rows; known is false if they depend
// on how many of these are in use.
func (s *Setup) foreseePrefixes(phases []strategy.Phase, rows int64) (prefixes []prefix.Prefix, known bool, err error) {
	net, err := s.foreseeNetwork()
	if err != nil {
		return nil, false, err
	}
	var selections []strategy.Selection
	for i, p := range phases {
		selected, err := p.Selects(net, s.at(i))
		if err != nil {
			return nil, false, err
		}
		selections = append(selections, selected)
	}
	choose := func(rows int64) ([]prefix.Prefix, error) { return s.budget().Choose(net, selections, rows), nil }
	if s.encodes() {
		choose = func(rows int64) ([]prefix.Prefix, error) {
			return s.prefixesOfTexts(net, s.tokens.Encode(), selections, rows)
		}
	}
	most, err := choose(rows)
	if err != nil {
		return nil, false, err
	}
	least, err := choose(1)
	if err != nil {
		return nil, false, err
	}
	for i := range most {
		if most[i].Cut != least[i].Cut {
			return nil, false, nil
		}
	}
	return most, true, nil
}

// foreseeNetwork is the network that is trained, with a head for two classes.
func (s *Setup) foreseeNetwork() (*nn.Network, error) {
	var trunk *nn.Network
	var err error
	if s.encodes() {
		trunk, err = s.backbone.encoder.network()
	} else {
		trunk, err = s.backbone.network(nn.Shape{s.prepared.Height, s.prepared.Width, 3})
	}
	if err != nil {
		return nil, err
	}
	if a := s.Strategy.Adapters; a != nil {
		if trunk, _, err = a.Apply(trunk, unwritten(trunk), 0, s.at(0)); err != nil {
			return nil, err
		}
	}
	return s.Head.Upon(trunk, head.OneOf(2))
}

// unwritten are weights of which only the shapes count.
func unwritten(net *nn.Network) nn.Weights {
	out := nn.Weights{}
	for _, p := range net.Parameters() {
		out[p.Name()] = nn.Tensor{Shape: p.Shape, Data: make([]float32, p.Shape.Size())}
	}
	return out
}

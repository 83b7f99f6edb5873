package transfer

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
)

// What the estimate of a training is made of, in bytes.
const (
	float        = 4
	frozenMemory = 256 << 20 // that computing without gradients is bound to, unless one example takes more
	otherMemory  = 64 << 20
)

// Copies of the weights: those it starts with, at work, of the best epoch, of the last and those handed on; and
// of what learns its gradients, two moments and two packings.
const (
	weightCopies  = 5
	learnedCopies = 5
)

// Estimate implements pipeline.Estimator: the rows of features, or the phase of a network that takes most.
func (s *Setup) Estimate(inputs map[string][]pipeline.Input) (pipeline.Resources, error) {
	if s.backbone == nil || s.prepared.Height == 0 && s.tokens.Length == 0 {
		return pipeline.Resources{Memory: featuresMemory(inputs)}, nil
	}
	net, err := s.foreseeNetwork()
	if err != nil {
		return pipeline.Resources{}, err
	}
	if s.encodes() { // batches are of the longest texts, at worst
		if net, err = net.Bind(s.tokens.Length); err != nil {
			return pipeline.Resources{}, err
		}
	}
	memory, err := s.MemoryOf(net)
	return pipeline.Resources{Memory: memory}, err
}

// MemoryOf estimates what the training of a network on pictures takes, in bytes: the phase that takes most.
func (s *Setup) MemoryOf(net *nn.Network) (most int64, err error) {
	for i, p := range s.phases(true) {
		selected, err := p.Selects(net, s.at(i))
		if err != nil {
			return 0, err
		}
		batch := p.For(math.MaxInt32).Learning(s.Learning).BatchSize // how many rows there are is not known yet
		most = max(most, s.phaseMemory(net, selected, int64(batch)))
	}
	return most, nil
}

// featuresMemory is what rows of features take: they are all in memory.
func featuresMemory(inputs map[string][]pipeline.Input) int64 {
	memory := int64(otherMemory)
	for _, in := range inputs[DataPort] {
		if sized, ok := in.(interface{ Bytes() int64 }); ok {
			memory += sized.Bytes() + sized.Bytes()/4
		}
	}
	return memory
}

// phaseMemory is what a phase takes in batches of so many rows.
func (s *Setup) phaseMemory(net *nn.Network, selected strategy.Selection, rows int64) int64 {
	f := net.Footprint()
	learns := func(l nn.Layer) bool { return selected.Learns(l.Name) && len(net.LayerParameters(l)) > 0 }
	var learned int64
	for _, l := range net.Layers() {
		if !learns(l) {
			continue
		}
		for _, p := range net.LayerParameters(l) {
			if selected.Keeps(p) {
				continue
			}
			learned += int64(p.Shape.Size())
		}
	}
	pixels := 3 * int64(s.prepared.Height) * int64(s.prepared.Width)
	weights := weightCopies*f.Parameters + learnedCopies*learned + f.Packed
	batch := rows * (net.ValuesFrom(learns) + pixels)
	frozen := max(float*f.Peak, min(frozenMemory, 32*float*f.Peak))
	return float*(weights+batch) + frozen + otherMemory
}

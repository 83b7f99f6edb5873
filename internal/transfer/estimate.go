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
	if !s.foreseeable() {
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
	return s.MemoryOf(net)
}

// foreseeable tells whether the network is known before its training begins, and trained on more than features.
func (s *Setup) foreseeable() bool {
	return s.backbone != nil && (s.prepared.Height > 0 || s.tokens.Length > 0)
}

// MemoryOf estimates what the training of a network takes: the phase that takes most.
func (s *Setup) MemoryOf(net *nn.Network) (most pipeline.Resources, err error) {
	for i, p := range s.phases(true) {
		selected, err := p.Selects(net, s.at(i))
		if err != nil {
			return most, err
		}
		batch := p.For(math.MaxInt32).Learning(s.Learning).BatchSize // how many rows there are is not known yet
		rest, values := s.phaseMemory(net, selected, int64(batch))
		most.Memory = max(most.Memory, rest+values)
		most.Least = max(most.Least, rest+values*leastValues/100)
	}
	return most, nil
}

// leastValues is how many percent of the values of a batch must be in memory at once where all that can be is computed once
// more: of VGG16, whose first maps are most of them. Those of ResNet50 come down to 37 %, of DenseNet121 to 27 %.
const leastValues = 70

// valuesWithin is what the values of phase i may take, in bytes, where a stage was granted so much; 0: not bounded.
func (s *Setup) valuesWithin(granted int64, net *nn.Network, selected strategy.Selection, rows int) (int64, error) {
	if granted <= 0 || !s.foreseeable() {
		return 0, nil
	}
	if s.encodes() {
		var err error
		if net, err = net.Bind(s.tokens.Length); err != nil {
			return 0, err
		}
	}
	rest, values := s.phaseMemory(net, selected, int64(rows))
	if rest+values <= granted {
		return 0, nil
	}
	return max(granted-rest, 1), nil
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

// phaseMemory is what a phase takes: the values of batches of so many rows, and all the rest.
func (s *Setup) phaseMemory(net *nn.Network, selected strategy.Selection, rows int64) (rest, values int64) {
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
	frozen := max(float*f.Peak, min(frozenMemory, 32*float*f.Peak))
	return float*weights + frozen + otherMemory, float * rows * (net.ValuesFrom(learns) + pixels)
}

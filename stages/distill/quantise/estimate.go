package quantise

import (
	"context"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/pipeline"
)

// What the estimate is made of, in bytes.
const (
	patchesMemory = 192 << 20 // of the layer whose rounding is being learned, twice
	frozenMemory  = 256 << 20 // that computing is bound to, unless one row takes more
	otherMemory   = 64 << 20
	weightCopies  = 6 // as read, folded, with steps, as programs take both, and those kept
	roundedCopies = 2 // of a value in training: rounded and not
)

// Estimate implements pipeline.Estimator: copies of the weights, the values of the rows that are at hand, and what training takes.
func (s stage) Estimate(inputs map[string][]pipeline.Input) (pipeline.Resources, error) {
	memory := int64(otherMemory)
	for _, in := range inputs[modelPort] {
		if sized, ok := in.(interface{ Bytes() int64 }); ok {
			memory += weightCopies * sized.Bytes()
		}
	}
	memory += frozenMemory
	if s.Type != Int8 {
		return pipeline.Resources{Memory: memory}, nil
	}
	if s.Rounding == Learned {
		memory += patchesMemory
	}
	if s.Rounding == Learned || s.BiasCorrection {
		memory += mostBytes
	}
	if s.training != nil && len(inputs[modelPort]) > 0 {
		model, err := classifier.Read(context.Background(), inputs[modelPort][0])
		if err != nil {
			return pipeline.Resources{}, err
		}
		training, err := s.training.MemoryOf(model.Network)
		if err != nil {
			return pipeline.Resources{}, err
		}
		memory += roundedCopies * training.Memory
	}
	return pipeline.Resources{Memory: memory}, nil
}

package augment

import (
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Estimate implements pipeline.Estimator: each row becomes itself and its copies, and a thread works on one
// picture with an alpha channel, from one operation to the next.
func (s *stage) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	return pipeline.Resources{PerThread: 4 * s.size, PerRow: s.size * int64(2+2*s.params.Copies)}, nil
}

// sizeOf is the number of bytes of a picture, as far as it is known how they were prepared.
func sizeOf(traits pipeline.Traits) int64 {
	p, err := record.ParsePreprocessing(traits[record.PreprocessingKey])
	if err != nil {
		return 0
	}
	return 3 * int64(p.Height) * int64(p.Width)
}

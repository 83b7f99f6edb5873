package preprocess

import "github.com/tlpipe/tlpipe/pipeline"

// Estimate implements pipeline.Estimator: what decoding takes, the pictures that are being fitted, and the rows
// as they are made and as they rest.
func (s *stage) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	size := int64(s.preparation.Size())
	row := 2 * size // decoded, and on its way to the disk
	switch s.params.Store {
	case "float16":
		row = size * (1 + 4 + 2)
	case "float32":
		row = size * (1 + 4 + 4)
	}
	if s.preparation.OfSound() {
		return pipeline.Resources{Memory: decodeMemory, PerThread: 2 * size, PerRow: row}, nil
	}
	return pipeline.Resources{
		Memory:    min(bytesPerPixel*int64(s.params.MaxPixels), decodeMemory),
		PerThread: 2 * size,
		PerRow:    row,
	}, nil
}

package extract

import (
	"github.com/tlpipe/tlpipe/pipeline"
)

// Estimate implements pipeline.Estimator: the weights as they were loaded and as the kernels take them, what a
// session of a thread takes, and the rows' pixels and features.
func (s *stage) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	return s.takes, nil
}

// workspace is what the kernels of a thread take besides, about.
const workspace = 8 << 20

// estimate is what the stage takes for pictures of a size.
func (s *stage) estimate(height, width int) (pipeline.Resources, error) {
	net, err := s.weights.Network(height, width)
	if err != nil {
		return pipeline.Resources{}, err
	}
	layer, err := s.backbone.Layer(net, s.params.Layer)
	if err != nil {
		return pipeline.Resources{}, err
	}
	if net, err = net.Cut(layer); err != nil {
		return pipeline.Resources{}, err
	}
	f := net.Footprint()
	pixels := 3 * int64(height) * int64(width)
	features := int64(net.Shape(net.Output().Name).Size())
	batch := int64(s.params.Batch)
	return pipeline.Resources{
		Memory:    4 * (f.Parameters + f.Packed),
		PerThread: 4*batch*(f.Peak+pixels+features) + workspace,
		PerRow:    pixels + 8*features,
	}, nil
}

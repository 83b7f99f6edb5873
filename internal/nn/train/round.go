package train

import (
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// rounded is the value of a layer as it rests in a network that computes with bytes.
func (b *building) rounded(layer string, x *graph.Node) *graph.Node {
	steps, ok := b.rounding[layer]
	if !ok {
		return x
	}
	return b.StraightThrough("rounding of "+layer, x, b.EachNumber(steps.Round, steps.Within))
}

// roundedWeight is the weight of a layer as it computes with bytes: the size of the steps of each output channel follows the
// weights as they change.
func (b *building) roundedWeight(l nn.Layer, weight *graph.Node) *graph.Node {
	if !quantise.HasWeight(l.Op) || !b.options.Rounding.Computes(l) {
		return weight
	}
	shape := nn.Shape(weight.Shape())
	return b.StraightThrough("rounding of the weight of "+l.Name, weight, graph.Rounding{Round: func(y, x []float32) {
		copy(y, quantise.Rounded(nn.Tensor{Shape: shape, Data: x}).Data)
	}})
}

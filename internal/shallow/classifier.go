package shallow

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Classifier is what was fitted. It takes features as they are.
type Classifier struct {
	// Features are shifted and scaled first, if mean and deviation are given, then divided by their length, if Normalise says
	// so.
	Mean, Deviation []float32
	Normalise       bool

	Linear     *Linear     // then these logits, times Scale, are those of a softmax,
	Scale      float32     // 1 for none,
	Neighbours *Neighbours // or these vote
}

// Neighbours are rows that vote on the class of those near them.
type Neighbours struct {
	Rows
	K        int
	Weighted bool // by 1/distance
}

// Names of layers.
const (
	standardiseLayer = "standardise"
	normaliseLayer   = "normalise"
	logitsLayer      = "logits"
	scaleLayer       = "scale"
	outputLayer      = "probabilities"
)

// Network returns the classifier as a network on features of a shape, and its weights.
func (c *Classifier) Network(features nn.Shape, classes int) (*nn.Network, nn.Weights, error) {
	b := nn.NewBuilder()
	x := b.Input("features", features...)
	if len(features) != 1 {
		x = b.Layer("flatten", nn.Flatten{}, x)
	}
	weights := nn.Weights{}
	set := func(layer string, role nn.Role, data []float32, shape ...int) {
		weights[nn.Parameter{Layer: layer, Role: role}.Name()] = nn.Tensor{Shape: shape, Data: data}
	}
	width := features.Size()
	if c.Mean != nil {
		x = b.Layer(standardiseLayer, nn.BatchNorm{Epsilon: math.SmallestNonzeroFloat32 * (1 << 30), Unscaled: true}, x)
		variance := make([]float32, width)
		for i, d := range c.Deviation {
			variance[i] = d * d
		}
		set(standardiseLayer, nn.Mean, c.Mean, width)
		set(standardiseLayer, nn.Variance, variance, width)
		set(standardiseLayer, nn.Beta, make([]float32, width), width)
	}
	if c.Normalise {
		x = b.Layer(normaliseLayer, nn.L2Normalise{}, x)
	}
	if n := c.Neighbours; n != nil {
		b.Layer(outputLayer, nn.Neighbours{K: n.K, Rows: n.Len(), Classes: classes, Weighted: n.Weighted}, x)
		labels := make([]float32, n.Len())
		for i, class := range n.Classes {
			labels[i] = float32(class)
		}
		set(outputLayer, nn.Rows, n.Values, n.Len(), width)
		set(outputLayer, nn.Labels, labels, n.Len())
	} else {
		x = b.Layer(logitsLayer, nn.Dense{Out: classes, Bias: true}, x)
		if c.Scale != 1 {
			x = b.Layer(scaleLayer, nn.Scale{Factor: c.Scale}, x)
		}
		b.Layer(outputLayer, nn.Softmax{}, x)
		set(logitsLayer, nn.Weight, c.Linear.Weights, classes, width)
		set(logitsLayer, nn.Bias, c.Linear.Bias, classes)
	}
	net, err := b.Network()
	if err == nil {
		err = net.Check(weights)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("make a network of a classifier: %w", err)
	}
	return net, weights, nil
}

package fold

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Fold returns the network without dropout and gradient reversal, and with maps by constants folded. A folded layer has the
// name of the convolution or dense layer. Outputs stay, up to rounding; one that was folded has the name of what it was
// folded into. Weights that were not changed are shared.
func Fold(net *nn.Network, weights nn.Weights) (*nn.Network, nn.Weights, error) {
	if err := net.Check(weights); err != nil {
		return nil, nil, fmt.Errorf("fold a network: %w", err)
	}
	f := &folding{net: net, weights: weights.Select(net), names: map[string]string{}, at: map[string]int{}}
	for _, l := range net.Layers() {
		f.add(l)
	}
	var outputs []string
	for _, l := range net.Outputs() {
		if name := f.names[l.Name]; !slices.Contains(outputs, name) {
			outputs = append(outputs, name)
		}
	}
	folded, err := nn.New(f.layers, outputs...)
	if err != nil {
		return nil, nil, fmt.Errorf("fold a network: %w", err)
	}
	return folded, f.weights.Select(folded), nil
}

type folding struct {
	net     *nn.Network
	weights nn.Weights
	layers  []nn.Layer
	names   map[string]string // of layers, by those they had
	at      map[string]int    // of layers, by their names now
}

func (f *folding) add(l nn.Layer) {
	var inputs []string
	for _, name := range l.Inputs {
		inputs = append(inputs, f.names[name])
	}
	switch op := l.Op.(type) {
	case nn.Dropout, nn.GradientReversal:
		f.names[l.Name] = inputs[0]
		return
	case nn.BatchNorm, nn.Scale, nn.Affine:
		if into, ok := f.folds(l, inputs[0]); ok {
			scale, shift := f.constants(l, op)
			f.into(into, scale, shift)
			f.names[l.Name] = inputs[0]
			return
		}
	}
	f.names[l.Name], f.at[l.Name] = l.Name, len(f.layers)
	f.layers = append(f.layers, nn.Layer{Name: l.Name, Op: l.Op, Inputs: inputs})
}

// folds returns the layer that a map of channels can be folded into: a convolution or dense layer whose values nobody else
// takes.
func (f *folding) folds(l nn.Layer, input string) (*nn.Layer, bool) {
	into := &f.layers[f.at[input]]
	switch into.Op.(type) {
	case nn.Conv, nn.Dense:
	default:
		return nil, false
	}
	for _, out := range f.net.Outputs() {
		if out.Name != l.Name && f.names[out.Name] == input {
			return nil, false
		}
	}
	for _, other := range f.net.Layers() {
		if other.Name == l.Name {
			continue
		}
		// Layers that have become this value are no users of it.
		if name, done := f.names[other.Name]; done && name == input {
			continue
		}
		for _, name := range other.Inputs {
			if f.names[name] == input {
				return nil, false
			}
		}
	}
	return into, true
}

// constants are those of a map: y = scale·x + shift.
func (f *folding) constants(l nn.Layer, op nn.Op) (scale, shift []float64) {
	n := f.net.Shape(l.Name).Channels()
	scale, shift = make([]float64, n), make([]float64, n)
	role := func(r nn.Role) []float32 { return f.weights[nn.Parameter{Layer: l.Name, Role: r}.Name()].Data }
	switch op := op.(type) {
	case nn.BatchNorm:
		gamma, beta, mean, variance := role(nn.Gamma), role(nn.Beta), role(nn.Mean), role(nn.Variance)
		for i := range scale {
			scale[i] = 1 / math.Sqrt(float64(variance[i])+float64(op.Epsilon))
			if !op.Unscaled {
				scale[i] *= float64(gamma[i])
			}
			shift[i] = float64(beta[i]) - float64(mean[i])*scale[i]
		}
	case nn.Scale:
		for i := range scale {
			scale[i] = float64(op.Factor)
		}
	case nn.Affine:
		for i := range scale {
			scale[i], shift[i] = float64(op.Scale[i]), float64(op.Shift[i])
		}
	}
	return scale, shift
}

// into multiplies and shifts what a layer puts out.
func (f *folding) into(l *nn.Layer, scale, shift []float64) {
	weightName := nn.Parameter{Layer: l.Name, Role: nn.Weight}.Name()
	biasName := nn.Parameter{Layer: l.Name, Role: nn.Bias}.Name()
	old, bias := f.weights[weightName], f.weights[biasName]
	each := len(old.Data) / len(scale)
	weight := nn.Tensor{Shape: old.Shape, Data: make([]float32, len(old.Data))}
	shifted := nn.Tensor{Shape: nn.Shape{len(scale)}, Data: make([]float32, len(scale))}
	for i, s := range scale {
		for j := i * each; j < (i+1)*each; j++ {
			weight.Data[j] = float32(float64(old.Data[j]) * s)
		}
		b := shift[i]
		if bias.Data != nil {
			b += float64(bias.Data[i]) * s
		}
		shifted.Data[i] = float32(b)
	}
	f.weights[weightName], f.weights[biasName] = weight, shifted
	switch op := l.Op.(type) {
	case nn.Conv:
		op.Bias = true
		l.Op = op
	case nn.Dense:
		op.Bias = true
		l.Op = op
	}
}

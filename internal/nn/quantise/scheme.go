package quantise

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// Scheme is how a network computes with bytes. It stands in the description of stored models.
type Scheme struct {
	// Ranges are those of the values that are rounded: by layer. Those that have to share
	// one have equal ones; see [Share].
	Ranges map[string]Range `json:"ranges"`
	// Float are layers that compute in float32: weights and values of theirs are not rounded.
	Float []string `json:"float,omitempty"`
}

// Computes tells whether a layer computes with bytes.
func (s *Scheme) Computes(l nn.Layer) bool {
	return s != nil && Takes(l.Op) && !slices.Contains(s.Float, l.Name)
}

// Rounding returns the steps of each value that rests as bytes between layers: of what layers that compute with bytes take,
// and of what they put out, but for a softmax at the end, whose probabilities are left as they are.
func (s *Scheme) Rounding(net *nn.Network) map[string]Steps {
	if s == nil {
		return nil
	}
	bounded := Bounded(net)
	taken := map[string]bool{}
	for _, l := range net.Layers() {
		if s.Computes(l) {
			for _, in := range l.Inputs {
				taken[in] = true
			}
		}
	}
	out := map[string]Steps{}
	for _, l := range net.Layers() {
		_, input := l.Op.(nn.Input)
		_, softmax := l.Op.(nn.Softmax)
		_, inside := bounded[l.Name]
		if inside || net.Element(l.Name) != nn.Float32 {
			continue
		}
		if taken[l.Name] || !input && !softmax && s.Computes(l) {
			out[l.Name] = s.Ranges[l.Name].Steps()
		}
	}
	return out
}

// Takes tells whether there is arithmetic on bytes for an op.
func Takes(op nn.Op) bool {
	switch op := op.(type) {
	case nn.Activation:
		return op.Function < kernel.GELU
	case nn.Conv, nn.Dense, nn.Add, nn.Multiply, nn.Concat, nn.MaxPool, nn.AveragePool, nn.GlobalAveragePool, nn.Flatten, nn.Reshape, nn.ZeroPad, nn.Softmax:
		return true
	}
	return false
}

// HasWeight tells whether a layer of the op has a weight that is stored in bytes.
func HasWeight(op nn.Op) bool {
	switch op.(type) {
	case nn.Conv, nn.Dense:
		return true
	}
	return false
}

// Bounds tells whether an activation does nothing but keep numbers within bounds.
func Bounds(f kernel.Activation) bool {
	return f == kernel.None || f == kernel.ReLU || f == kernel.ReLU6
}

// Bounded returns, for each layer that is one with the bound that follows it, the layer of that bound.
func Bounded(net *nn.Network) map[string]string {
	users := map[string][]nn.Layer{}
	for _, l := range net.Layers() {
		for _, in := range l.Inputs {
			users[in] = append(users[in], l)
		}
	}
	outputs := map[string]bool{}
	for _, l := range net.Outputs() {
		outputs[l.Name] = true
	}
	out := map[string]string{}
	for _, l := range net.Layers() {
		switch l.Op.(type) {
		case nn.Conv, nn.Dense, nn.Add:
		default:
			continue
		}
		if u := users[l.Name]; len(u) == 1 && !outputs[l.Name] {
			if a, ok := u[0].Op.(nn.Activation); ok && Bounds(a.Function) {
				out[l.Name] = u[0].Name
			}
		}
	}
	return out
}

// Share makes of measured ranges those that kernels and formats want: fixed ones for functions that end in known bounds, and
// one for all values that a layer moves without computing with them (poolings, concatenations, reshapes, margins).
func Share(net *nn.Network, ranges map[string]Range) map[string]Range {
	group := map[string]string{} // to another member, until one is its own
	var whole func(string) string
	whole = func(name string) string {
		if other, ok := group[name]; ok && other != name {
			return whole(other)
		}
		return name
	}
	bounded := Bounded(net)
	fixed := map[string]Range{}
	for _, l := range net.Layers() {
		switch op := l.Op.(type) {
		case nn.Softmax:
			fixed[l.Name] = Range{0, 255.0 / 256}
		case nn.Activation:
			switch op.Function {
			case kernel.Sigmoid:
				fixed[l.Name] = Range{0, 255.0 / 256}
			case kernel.Tanh:
				fixed[l.Name] = Range{-1, 127.0 / 128}
			}
		}
		if Moves(l.Op) && bounded[first(l.Inputs)] != l.Name {
			for _, in := range l.Inputs {
				group[whole(in)] = whole(l.Name)
			}
		}
	}
	of := func(name string) Range {
		if f, ok := fixed[name]; ok {
			return f
		}
		return ranges[name]
	}
	joint := map[string]Range{}
	for name := range ranges {
		joint[whole(name)] = joint[whole(name)].With(of(name))
	}
	out := map[string]Range{}
	for name := range ranges {
		out[name] = joint[whole(name)]
		if f, ok := fixed[name]; ok {
			out[name] = f
		}
	}
	return out
}

// Moves tells whether an op puts out numbers that it was given, or means of some of them.
func Moves(op nn.Op) bool {
	switch op := op.(type) {
	case nn.Concat, nn.MaxPool, nn.AveragePool, nn.Flatten, nn.Reshape, nn.ZeroPad:
		return true
	case nn.Activation:
		return op.Function == kernel.None
	}
	return false
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// Check tells what is wrong with a scheme for a network.
func (s *Scheme) Check(net *nn.Network) error {
	for name, r := range s.Ranges {
		if !(r.Low <= 0 && r.High >= 0) || math.IsInf(float64(r.High-r.Low), 0) {
			return fmt.Errorf("layer %q: %v … %v is no range of numbers with 0 in it", name, r.Low, r.High)
		}
	}
	for _, name := range s.Float {
		if net.Shape(name) == nil {
			return fmt.Errorf("there is no layer %q to be left in float32", name)
		}
	}
	for name := range s.Rounding(net) {
		if _, ok := s.Ranges[name]; !ok {
			return fmt.Errorf("the range of layer %q is not known", name)
		}
	}
	return nil
}

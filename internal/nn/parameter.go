package nn

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sourcegraph/conc/iter"
)

// Role says what a parameter is to its layer.
type Role string

// The roles. Gamma and Beta scale and shift what a batch-norm has normalised; Mean and Variance are
// its running statistics. Rows and Labels are examples that a [Neighbours] keeps. Those and the statistics
// are not trained.
const (
	Weight   Role = "weight"
	Bias     Role = "bias"
	Gamma    Role = "gamma"
	Beta     Role = "beta"
	Mean     Role = "mean"
	Variance Role = "variance"
	Rows     Role = "rows"
	Labels   Role = "labels"
)

// Trained tells whether an optimizer changes parameters of this role.
func (r Role) Trained() bool {
	switch r {
	case Mean, Variance, Rows, Labels:
		return false
	}
	return true
}

// Parameter is a tensor that a layer needs.
type Parameter struct {
	Layer string
	Role  Role
	Shape Shape

	initial       initial // what training begins with
	fanIn, fanOut int     // of byFans
}

// Name is the layer's name and the role: "stem.conv.weight".
func (p Parameter) Name() string { return p.Layer + "." + string(p.Role) }

// Parameters lists what the network needs, in the order of its layers.
func (n *Network) Parameters() []Parameter {
	var out []Parameter
	for _, l := range n.layers {
		out = append(out, n.LayerParameters(l)...)
	}
	return out
}

// LayerParameters lists what one layer of the network needs. The slice must not be written.
func (n *Network) LayerParameters(l Layer) []Parameter {
	return n.facts[n.index[l.Name]].parameters
}

// withBias adds a bias of a size to a weight, if there is to be one.
func withBias(there bool, size int, weight Parameter) []Parameter {
	if !there {
		return []Parameter{weight}
	}
	return []Parameter{weight, {Role: Bias, Shape: Shape{size}}}
}

// ParameterCount returns the number of numbers in the network's parameters, and how many of them
// training may change.
func (n *Network) ParameterCount() (all, trained int64) {
	for _, p := range n.Parameters() {
		all += int64(p.Shape.Size())
		if p.Role.Trained() {
			trained += int64(p.Shape.Size())
		}
	}
	return all, trained
}

// Tensor is an array of numbers, row-major.
type Tensor struct {
	Shape Shape
	Data  []float32
}

// Weights are tensors by the name of their [Parameter].
type Weights map[string]Tensor

// Select returns the weights that the network needs, leaving out others; what is missing is left
// out silently: [Network.Check] tells of it.
func (w Weights) Select(n *Network) Weights {
	out := Weights{}
	for _, p := range n.Parameters() {
		if t, ok := w[p.Name()]; ok {
			out[p.Name()] = t
		}
	}
	return out
}

// WeightsError lists all that is wrong with a set of weights.
type WeightsError struct {
	Missing   []string // parameters that have no tensor
	Extra     []string // tensors that belong to no parameter
	Misshaped []string // "name: shape 3×4, want 4×3"
	NotFinite []string // tensors with a NaN or an infinity
}

// Error implements error; it names every tensor.
func (e *WeightsError) Error() string {
	var parts []string
	list := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s: %s", len(names), what, strings.Join(names, ", ")))
		}
	}
	list("missing", e.Missing)
	list("not known to the network", e.Extra)
	list("of the wrong shape", e.Misshaped)
	list("with values that are not finite", e.NotFinite)
	return "weights do not fit the network: " + strings.Join(parts, "; ")
}

// Check returns nil if there is exactly one well-shaped, finite tensor for each of the network's
// parameters, and a *[WeightsError] otherwise.
func (n *Network) Check(w Weights) error {
	var e WeightsError
	known := map[string]bool{}
	parameters := n.Parameters()
	finite := iter.Map(parameters, func(p *Parameter) bool { return Finite(w[p.Name()].Data) })
	for i, p := range parameters {
		name := p.Name()
		known[name] = true
		t, ok := w[name]
		switch {
		case !ok:
			e.Missing = append(e.Missing, name)
		case !slices.Equal(t.Shape, p.Shape):
			e.Misshaped = append(e.Misshaped, fmt.Sprintf("%s: shape %v, want %v", name, t.Shape, p.Shape))
		case len(t.Data) != p.Shape.Size():
			e.Misshaped = append(e.Misshaped, fmt.Sprintf("%s: %d values, want %v", name, len(t.Data), p.Shape))
		case !finite[i]:
			e.NotFinite = append(e.NotFinite, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if !known[name] {
			e.Extra = append(e.Extra, name)
		}
	}
	if len(e.Missing)+len(e.Extra)+len(e.Misshaped)+len(e.NotFinite) == 0 {
		return nil
	}
	return &e
}

// Finite tells whether there is no infinity and no NaN among the numbers.
func Finite(data []float32) bool {
	var a, b, c, d float32 // zero, until a NaN comes; four, so that additions need not wait for each other
	for ; len(data) >= 4; data = data[4:] {
		a += data[0] - data[0]
		b += data[1] - data[1]
		c += data[2] - data[2]
		d += data[3] - data[3]
	}
	for _, x := range data {
		a += x - x
	}
	return a+b+c+d == 0
}

package nn

import (
	"fmt"
	"slices"
	"strings"
)

// Layer is a named step of a network.
type Layer struct {
	Name   string
	Op     Op
	Inputs []string // names of earlier layers, in the order the op takes them
}

// Network is a directed acyclic graph of layers; see the package's words. It is immutable and may
// be shared.
type Network struct {
	layers  []Layer
	facts   []facts // of the layers
	index   map[string]int
	outputs []string // layers
}

// New makes a network of layers in an order in which each comes after its inputs. The named layers are
// its outputs; if none is named, the last layer is.
func New(layers []Layer, outputs ...string) (*Network, error) {
	n := &Network{index: map[string]int{}}
	for _, l := range layers {
		if err := n.add(l); err != nil {
			return nil, err
		}
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("network: there is no layer")
	}
	if len(outputs) == 0 {
		outputs = []string{layers[len(layers)-1].Name}
	}
	for i, name := range outputs {
		if _, ok := n.index[name]; !ok {
			return nil, fmt.Errorf("network: output %q is not a layer", name)
		}
		if slices.Contains(outputs[:i], name) {
			return nil, fmt.Errorf("network: output %q is named twice", name)
		}
	}
	n.outputs = slices.Clone(outputs)
	return n, nil
}

// add appends a layer after checking all about it.
func (n *Network) add(l Layer) error {
	if err := checkName(l.Name); err != nil {
		return err
	}
	if _, taken := n.index[l.Name]; taken {
		return fmt.Errorf("layer %q: the name is used twice", l.Name)
	}
	if l.Op == nil {
		return fmt.Errorf("layer %q: has no op", l.Name)
	}
	inputs := make([]Shape, len(l.Inputs))
	for i, name := range l.Inputs {
		at, ok := n.index[name]
		if !ok {
			return fmt.Errorf("layer %q: input %q is not an earlier layer", l.Name, name)
		}
		inputs[i] = n.facts[at].output
	}
	f, err := n.describe(l, inputs)
	if err != nil {
		return fmt.Errorf("layer %q (%s): %w", l.Name, l.Op.Kind(), err)
	}
	n.index[l.Name] = len(n.layers)
	l.Inputs = slices.Clone(l.Inputs)
	n.layers = append(n.layers, l)
	n.facts = append(n.facts, f)
	return nil
}

// describe finds the facts of a layer and checks them.
func (n *Network) describe(l Layer, inputs []Shape) (facts, error) {
	f, err := l.Op.on(inputs)
	if err != nil {
		return facts{}, err
	}
	f.output = slices.Clone(f.output)
	if err := f.output.check(); err != nil {
		return facts{}, err
	}
	for i := range f.parameters {
		p := &f.parameters[i]
		p.Layer = l.Name
		if err := p.Shape.check(); err != nil {
			return facts{}, err
		}
		if !p.Shape.Fixed() {
			return facts{}, fmt.Errorf("%s has the shape %v: its axes must not vary", p.Role, p.Shape)
		}
	}
	if slices.ContainsFunc(append(inputs[:len(inputs):len(inputs)], f.output), func(s Shape) bool { return !s.Fixed() }) {
		if !f.varies {
			return facts{}, fmt.Errorf("inputs of shapes %v: their axes must not vary", inputs)
		}
		f.multiplyAdds = 0
	}
	for _, name := range l.Inputs {
		want := Float32
		if f.ids {
			want = Int32
		}
		if e := n.Element(name); e != want {
			return facts{}, fmt.Errorf("input %q holds %v, want %v", name, e, want)
		}
	}
	return f, nil
}

// checkName keeps names usable as paths, in YAML and on a command line.
func checkName(name string) error {
	for _, part := range strings.Split(name, ".") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return !(r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
		}) {
			return fmt.Errorf("layer %q: a name is letters, digits, _ and -, in parts joined by dots", name)
		}
	}
	return nil
}

// Layers returns the layers in order. The slice must not be written.
func (n *Network) Layers() []Layer { return n.layers }

// Outputs returns the layers whose values the network is for, in the order in which they were named.
func (n *Network) Outputs() []Layer {
	out := make([]Layer, len(n.outputs))
	for i, name := range n.outputs {
		out[i] = n.layers[n.index[name]]
	}
	return out
}

// Output returns the first output, of most networks the only one.
func (n *Network) Output() Layer { return n.Outputs()[0] }

// implied tells whether the only output is the last layer, which is what a network has that names none.
func (n *Network) implied() bool {
	return len(n.outputs) == 1 && n.outputs[0] == n.layers[len(n.layers)-1].Name
}

// Inputs returns the layers whose op is [Input].
func (n *Network) Inputs() []Layer {
	var out []Layer
	for _, l := range n.layers {
		if _, ok := l.Op.(Input); ok {
			out = append(out, l)
		}
	}
	return out
}

// Shape returns the output shape of a layer of that exact name; nil if there is none.
func (n *Network) Shape(layer string) Shape {
	if at, ok := n.index[layer]; ok {
		return slices.Clone(n.facts[at].output)
	}
	return nil
}

// Element returns the type of the numbers that a layer puts out.
func (n *Network) Element(layer string) Element {
	if at, ok := n.index[layer]; ok {
		if input, ok := n.layers[at].Op.(Input); ok {
			return input.Element
		}
	}
	return Float32
}

// InputShapes returns the shapes of a layer's inputs.
func (n *Network) InputShapes(l Layer) []Shape {
	shapes := make([]Shape, len(l.Inputs))
	for i, name := range l.Inputs {
		shapes[i] = n.facts[n.index[name]].output
	}
	return shapes
}

// Find returns the layer that a name stands for: the layer of that name or, if the name is a
// scope's, the scope's last layer.
func (n *Network) Find(name string) (Layer, bool) {
	if at, ok := n.index[name]; ok {
		return n.layers[at], true
	}
	for _, l := range slices.Backward(n.layers) {
		if InScope(l.Name, name) {
			return l, true
		}
	}
	return Layer{}, false
}

// InScope tells whether a layer is the one of that name or lies in the scope of that name.
func InScope(layer, scope string) bool {
	return layer == scope || strings.HasPrefix(layer, scope+".")
}

// Scopes lists what stands at the top of the network's names, in order: "stem", "block0", … The
// parts of a backbone that users name to cut or to freeze.
func (n *Network) Scopes() []string {
	var out []string
	for _, l := range n.layers {
		top, _, _ := strings.Cut(l.Name, ".")
		if !slices.Contains(out, top) {
			out = append(out, top)
		}
	}
	return out
}

// Cut returns the part of the network that the named layers need; they are its outputs. Names may be
// scopes, as in [Network.Find].
func (n *Network) Cut(names ...string) (*Network, error) {
	var ends []string
	for _, name := range names {
		l, ok := n.Find(name)
		if !ok {
			return nil, fmt.Errorf("there is no layer %q", name)
		}
		if !slices.Contains(ends, l.Name) {
			ends = append(ends, l.Name)
		}
	}
	needed := n.needed(ends...)
	var layers []Layer
	for _, l := range n.layers {
		if needed[l.Name] {
			layers = append(layers, l)
		}
	}
	return New(layers, ends...)
}

// needed are the layers of these names and all that they need.
func (n *Network) needed(names ...string) map[string]bool {
	needed := map[string]bool{}
	for _, name := range names {
		needed[name] = true
	}
	for _, l := range slices.Backward(n.layers) {
		if needed[l.Name] {
			for _, input := range l.Inputs {
				needed[input] = true
			}
		}
	}
	return needed
}

// Rename returns the network with each layer's name replaced by rename(name), as when a trunk and a
// head become one.
func (n *Network) Rename(rename func(string) string) (*Network, error) {
	layers := make([]Layer, len(n.layers))
	for i, l := range n.layers {
		layers[i] = Layer{Name: rename(l.Name), Op: l.Op}
		for _, input := range l.Inputs {
			layers[i].Inputs = append(layers[i].Inputs, rename(input))
		}
	}
	outputs := make([]string, len(n.outputs))
	for i, name := range n.outputs {
		outputs[i] = rename(name)
	}
	return New(layers, outputs...)
}

// MostTokens is the greatest number of tokens that the network has positions for; 0 if it has no positions.
func (n *Network) MostTokens() int {
	most := 0
	for _, l := range n.layers {
		if op, ok := l.Op.(Positions); ok && (most == 0 || op.Most() < most) {
			most = op.Most()
		}
	}
	return most
}

// Fixed returns nil if no axis of the network varies, and an error that names one otherwise.
func (n *Network) Fixed() error {
	for i, l := range n.layers {
		if s := n.facts[i].output; !s.Fixed() {
			return fmt.Errorf("layer %q has the shape %v, of which an axis varies: bind it to a length", l.Name, s)
		}
	}
	return nil
}

// Bind returns the network with its axes that vary fixed: the axis −1 to the first length, −2 to the second,
// and so on. Layers, parameters and outputs stay.
func (n *Network) Bind(lengths ...int) (*Network, error) {
	if i := slices.IndexFunc(lengths, func(length int) bool { return length < 1 }); i >= 0 {
		return nil, fmt.Errorf("axis ?%d of length %d: must be at least 1", i+1, lengths[i])
	}
	layers := slices.Clone(n.layers)
	for i, l := range layers {
		if op, ok := l.Op.(binder); ok {
			layers[i].Op = op.bind(lengths)
		}
	}
	return New(layers, n.outputs...)
}

// MultiplyAdds counts the multiplications of the convolutions, dense layers and matrix products for one
// example, each with its addition; other layers are not counted, as is usual in tables of networks, nor are those
// whose axes vary.
func (n *Network) MultiplyAdds() int64 {
	var total int64
	for _, l := range n.layers {
		total += n.LayerMultiplyAdds(l)
	}
	return total
}

// LayerMultiplyAdds is [Network.MultiplyAdds] of one layer.
func (n *Network) LayerMultiplyAdds(l Layer) int64 { return n.facts[n.index[l.Name]].multiplyAdds }

// Random tells whether in training a layer's output depends on random numbers.
func (n *Network) Random(l Layer) bool { return n.facts[n.index[l.Name]].random }

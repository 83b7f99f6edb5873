package network

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/onnx"
)

// Names of the layers that every network made of a file has.
const (
	Image    = "image"
	Features = "features"
	Map      = "map"    // of those that pool one
	Output   = "output" // of those that end in something else than the features
)

// The versions of the operators that are known. What differs between them is told by what a node has: an attribute or an input.
const (
	oldest = 7
	newest = 25
)

// Input is what a file says of the pictures that it takes; 0 where any size will do.
type Input struct{ Height, Width int }

// InputOf reads what a file takes.
func InputOf(m *onnx.Model) (Input, error) {
	in, order, err := input(m)
	if err != nil {
		return Input{}, fmt.Errorf("make a network of an ONNX file: %w", err)
	}
	length := func(axis int) int { return int(in.Shape[slices.Index(order, axis)].Length) }
	return Input{Height: length(1), Width: length(2)}, nil
}

// input finds the only input, and the order of its axes: batch 0, height 1, width 2, channels 3.
func input(m *onnx.Model) (in onnx.ValueInfo, order []int, err error) {
	var names []string
	for _, v := range m.Graph.Inputs {
		if !slices.ContainsFunc(m.Graph.Initializers, func(t onnx.Tensor) bool { return t.Name == v.Name }) {
			in, names = v, append(names, v.Name)
		}
	}
	switch {
	case len(names) != 1:
		return in, nil, fmt.Errorf("it has %d inputs (%s), want one, for pictures", len(names), strings.Join(names, ", "))
	case in.Type == onnx.Uint8:
		return in, nil, fmt.Errorf("its input %q is uint8, and float32 is needed: as files that `tlpipe export` wrote, it normalises pixels itself. Take the model that it was exported from, as from: {model: …}, or its weights (--format safetensors)", in.Name)
	case in.Type != onnx.Float32:
		return in, nil, fmt.Errorf("its input %q is %s, and float32 is needed", in.Name, in.Type)
	case !in.Known || len(in.Shape) != 4:
		return in, nil, fmt.Errorf("its input %q does not have 4 axes, as pictures have", in.Name)
	case in.Shape[1].Name == "" && in.Shape[1].Length == 3:
		return in, slices.Clone(channelsFirst), nil
	case in.Shape[3].Name == "" && in.Shape[3].Length == 3:
		return in, slices.Clone(channelsLast), nil
	}
	return in, nil, fmt.Errorf("its input %q has 3 channels neither on axis 1 nor on axis 3, as colour pictures have", in.Name)
}

var (
	channelsFirst = []int{0, 3, 1, 2}
	channelsLast  = []int{0, 1, 2, 3}
)

// New makes the network and its weights, for pictures of a size.
func New(m *onnx.Model, height, width int) (*nn.Network, nn.Weights, error) {
	net, weights, err := build(m, height, width)
	if err != nil {
		return nil, nil, fmt.Errorf("make a network of an ONNX file: %w", err)
	}
	return net, weights, nil
}

func build(m *onnx.Model, height, width int) (*nn.Network, nn.Weights, error) {
	if v := m.Opset(""); v < oldest || v > newest {
		return nil, nil, fmt.Errorf("its opset version is %d; versions %d to %d are supported", v, oldest, newest)
	}
	if m.Functions > 0 || m.Graph.Sparse > 0 {
		return nil, nil, errors.New("it defines functions or sparse tensors, which are not supported")
	}
	if len(m.Graph.Outputs) != 1 {
		return nil, nil, fmt.Errorf("it has %d outputs, want one", len(m.Graph.Outputs))
	}
	in, order, err := input(m)
	if err != nil {
		return nil, nil, err
	}
	b := &builder{
		network: nn.NewBuilder(), weights: nn.Weights{}, values: map[string]*value{}, taken: map[string]int{}, names: map[string]bool{Image: true, Features: true, Map: true, Output: true},
		users: map[string]int{}, producers: map[string]nn.Layer{},
	}
	for i := range m.Graph.Initializers {
		t := &m.Graph.Initializers[i]
		v, err := constant(t)
		if err != nil {
			return nil, nil, err
		}
		b.values[t.Name] = v
	}
	for i := range m.Graph.Nodes {
		for _, name := range m.Graph.Nodes[i].Inputs {
			b.users[name]++
		}
	}
	sizes := []int{1, height, width, 3}
	picture := &value{layer: b.network.Input(Image, height, width, 3), order: order, shape: make([]int, 4)}
	for i, axis := range order {
		picture.shape[i] = sizes[axis]
	}
	b.values[in.Name] = picture
	for i := range m.Graph.Nodes {
		n := &m.Graph.Nodes[i]
		if err := b.node(n); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", n, err)
		}
	}
	out := b.values[m.Graph.Outputs[0].Name]
	if out == nil || out.fixed() {
		return nil, nil, fmt.Errorf("its output %q is not computed from the picture", m.Graph.Outputs[0].Name)
	}
	if _, err := b.network.Network(); err != nil {
		return nil, nil, err
	}
	return b.finish(out)
}

// finish leaves out what the output does not need, and names the features.
func (b *builder) finish(out *value) (*nn.Network, nn.Weights, error) {
	whole, err := b.network.Network()
	if err != nil {
		return nil, nil, err
	}
	end := out.layer
	if len(end.Shape) == 3 {
		end = b.network.Layer(b.name("flatten"), nn.Flatten{}, end)
		if whole, err = b.network.Network(); err != nil {
			return nil, nil, err
		}
	}
	features, at := classified(whole, end.Name)
	switch {
	case at == "" || len(whole.Shape(at)) == 1:
	case whole.Shape(at)[0]*whole.Shape(at)[1] > 1:
		features = b.network.Layer(b.name(at+".pooled"), nn.GlobalAveragePool{}, nn.Value{Name: at}).Name
	default:
		features = b.network.Layer(b.name(at+".vector"), nn.Flatten{}, nn.Value{Name: at}).Name
	}
	if whole, err = b.network.Network(); err != nil {
		return nil, nil, err
	}
	if features == Image {
		return nil, nil, errors.New("it has no layers before its classifier")
	}
	needed := map[string]bool{end.Name: true, features: true}
	layers := whole.Layers()
	for i := len(layers) - 1; i >= 0; i-- {
		if needed[layers[i].Name] {
			for _, name := range layers[i].Inputs {
				needed[name] = true
			}
		}
	}
	called := map[string]string{end.Name: Output, features: Features}
	if last := lastMap(whole, features); last != "" {
		called[last] = Map
	}
	rename := func(name string) string {
		if other, ok := called[name]; ok {
			return other
		}
		return name
	}
	var kept []nn.Layer
	for _, l := range layers {
		if !needed[l.Name] {
			continue
		}
		l.Inputs = slices.Clone(l.Inputs)
		for i, name := range l.Inputs {
			l.Inputs[i] = rename(name)
		}
		l.Name = rename(l.Name)
		kept = append(kept, l)
	}
	net, err := nn.New(kept, rename(end.Name))
	if err != nil {
		return nil, nil, err
	}
	weights := nn.Weights{}
	for _, l := range layers {
		if !needed[l.Name] {
			continue
		}
		for _, p := range whole.LayerParameters(l) {
			t, ok := b.weights[p.Name()]
			if !ok || !slices.Equal(t.Shape, p.Shape) {
				return nil, nil, fmt.Errorf("layer %q: its weights have the shape %v, want %v", l.Name, t.Shape, p.Shape)
			}
			if !nn.Finite(t.Data) {
				return nil, nil, fmt.Errorf("layer %q: its weights are not all finite", l.Name)
			}
			weights[nn.Parameter{Layer: rename(l.Name), Role: p.Role}.Name()] = t
		}
	}
	return net, weights, nil
}

// classified finds the layer that the last classifier takes, a dense layer or a convolution of 1×1; the end itself if there is
// none. Where it is a map, of which the features are to be made, it is told as such.
func classified(net *nn.Network, end string) (features, classifiedMap string) {
	pooled, plain := false, true // since the convolution, as seen from the end
	for at := end; ; {
		l, _ := net.Find(at)
		if len(l.Inputs) != 1 {
			return end, ""
		}
		from := l.Inputs[0]
		switch op := l.Op.(type) {
		case nn.Dense:
			return from, ""
		case nn.Conv:
			in := net.Shape(from)
			if op.Kernel != (nn.Pair{1, 1}) || op.Groups > 1 || from == Image {
				return end, ""
			}
			// What ends in a 1×1 convolution may also be the features of a network without its classifier, as MobileNetV2's: on maps,
			// or before an activation, it is taken for a classifier where it tells the classes of ImageNet.
			if classes := net.Shape(end).Size(); (pooled || !plain) && classes != 1000 && classes != 1001 {
				return end, ""
			}
			if in[0]*in[1] > 1 {
				return end, from
			}
			if reshape, _ := net.Find(from); len(reshape.Inputs) == 1 && len(net.Shape(reshape.Inputs[0])) == 1 {
				return reshape.Inputs[0], ""
			}
			return end, from
		case nn.Flatten, nn.Reshape:
		case nn.GlobalAveragePool, nn.AveragePool:
			pooled = true
		case nn.Activation:
			plain = plain && op.Function == kernel.Sigmoid
		default:
			if !answers(l.Op) {
				return end, ""
			}
		}
		at = from
	}
}

// lastMap is the layer whose map becomes the features; "" if there is none.
func lastMap(net *nn.Network, features string) string {
	for at := features; ; {
		l, _ := net.Find(at)
		if len(l.Inputs) != 1 || len(net.Shape(at)) == 3 && net.Shape(at)[0]*net.Shape(at)[1] > 1 {
			return ""
		}
		if in := net.Shape(l.Inputs[0]); len(in) == 3 && in[0]*in[1] > 1 {
			if l.Inputs[0] == Image {
				return ""
			}
			return l.Inputs[0]
		}
		at = l.Inputs[0]
	}
}

// answers tells whether a layer turns logits into answers.
func answers(op nn.Op) bool {
	switch op.(type) {
	case nn.Softmax, nn.Affine, nn.Scale, nn.Dropout:
		return true
	}
	return false
}

// builder is a network under construction.
type builder struct {
	network   *nn.Builder
	weights   nn.Weights
	values    map[string]*value
	users     map[string]int // nodes that take a value
	taken     map[string]int // names of layers, with how often each was asked for
	names     map[string]bool
	producers map[string]nn.Layer // of values, by the layer's name
}

// node computes a node, or makes layers of it.
func (b *builder) node(n *onnx.Node) error {
	make, ok := operators()[n.Operator]
	if !ok || n.Domain != "" && n.Domain != "ai.onnx" {
		return fmt.Errorf("this operator%s is not supported", domain(n))
	}
	if len(n.Outputs) == 0 {
		return errors.New("it has no output")
	}
	for _, extra := range n.Outputs[1:] {
		if extra != "" && b.users[extra] > 0 {
			return fmt.Errorf("its output %q is not supported", extra)
		}
	}
	c := &call{builder: b, node: n}
	for _, name := range n.Inputs {
		v := b.values[name]
		if v == nil && name != "" {
			return fmt.Errorf("no node computes its input %q", name)
		}
		c.in = append(c.in, v)
	}
	if c.allFixed() && n.Operator != "Shape" {
		return c.compute()
	}
	if make == nil {
		return errors.New("this operator is supported on constants only")
	}
	for _, v := range c.in {
		if v != nil && v.erf != nil && n.Operator != "Add" && n.Operator != "Mul" {
			return errors.New("Erf is supported as a part of GELU only")
		}
	}
	if len(c.in) == 0 || c.in[0] == nil {
		return errors.New("its first input is missing")
	}
	out, err := make(c)
	if err != nil {
		return err
	}
	if _, err := b.network.Network(); err != nil {
		return err
	}
	b.values[n.Outputs[0]] = out
	return nil
}

func domain(n *onnx.Node) string {
	if n.Domain == "" {
		return ""
	}
	return " of domain " + n.Domain
}

// name makes a name for a layer, from what the file calls it.
func (b *builder) name(word string) string {
	var out strings.Builder
	for _, r := range strings.TrimSuffix(word, "_output_0") {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			out.WriteRune(r)
		case r == '/', r == '.', r == ':':
			out.WriteByte('.')
		default:
			out.WriteByte('_')
		}
	}
	parts := slices.DeleteFunc(strings.Split(out.String(), "."), func(p string) bool { return p == "" })
	name := strings.Join(parts, ".")
	if name == "" {
		name = "layer"
	}
	const most = 200
	name = name[:min(len(name), most)]
	base := name
	for b.names[name] {
		b.taken[base]++
		name = fmt.Sprintf("%s_%d", base, b.taken[base])
	}
	b.names[name] = true
	return name
}

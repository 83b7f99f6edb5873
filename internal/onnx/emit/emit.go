package emit

import (
	"encoding/json"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/onnx"
)

// Versions that files are written in.
const (
	Opset     = 17
	irVersion = 8
)

// Options say how.
type Options struct {
	Float16 bool             // weights of float16
	Scheme  *quantise.Scheme // int8; nil: none
	Signed  bool             // its weights are int8; else uint8, around 128
	Version string           // of the program, for the file's producer
}

// Model makes the file of a model.
func Model(m *deploy.Model, o Options) (*onnx.Model, error) {
	if err := m.Network.Fixed(); err != nil && !onTokens(m.Network) {
		return nil, fmt.Errorf("write ONNX: %w", err)
	}
	e := &emission{model: m, options: o, net: m.Network, values: map[string]*value{}, constants: map[string]bool{}, taken: map[string]bool{}}
	if o.Scheme != nil {
		if err := o.Scheme.Check(m.Network); err != nil {
			return nil, fmt.Errorf("write ONNX: %w", err)
		}
		e.rounding = o.Scheme.Rounding(m.Network)
	}
	for _, l := range m.Network.Layers() {
		if err := e.layer(l); err != nil {
			return nil, fmt.Errorf("write ONNX: layer %q (%s): %w", l.Name, l.Op.Kind(), err)
		}
	}
	e.output()
	metadata, err := e.metadata()
	if err != nil {
		return nil, fmt.Errorf("write ONNX: %w", err)
	}
	e.graph.Name = "tlpipe"
	return &onnx.Model{
		IRVersion: irVersion, Opsets: []onnx.Opset{{Version: Opset}}, Producer: "tlpipe", ProducerVersion: o.Version,
		Graph: e.graph, Metadata: metadata,
	}, nil
}

// onTokens tells whether a network takes the ids of a text's tokens, and nothing else.
func onTokens(net *nn.Network) bool {
	in := net.Inputs()
	return len(in) == 1 && net.Element(in[0].Name) == nn.Int32 && len(net.Shape(in[0].Name)) == 1
}

// emission is a graph in the making.
type emission struct {
	model    *deploy.Model
	options  Options
	net      *nn.Network
	graph    onnx.Graph
	rounding map[string]quantise.Steps // of values that rest as bytes

	values    map[string]*value // by layer
	constants map[string]bool   // initializers
	taken     map[string]bool   // names of values

	// Of files that take texts, as far as they were needed: the mask as numbers, [n, tokens] and [n, tokens, 1], what it adds to
	// scores of attention, and the lengths of texts.
	mask, maskColumn, maskScores, lengths string
}

// value is what a layer puts out.
type value struct {
	name   string // in the graph
	shape  nn.Shape
	first  bool   // a map whose channels come first
	turned string // the same with the channels at the other end; "" until it is needed
}

// node adds one and returns the name of what it makes.
func (e *emission) node(operator, name string, inputs []string, attributes ...onnx.Attribute) string {
	out := e.unique(name)
	e.graph.Nodes = append(e.graph.Nodes, onnx.Node{Name: out, Operator: operator, Inputs: inputs, Outputs: []string{out}, Attributes: attributes})
	return out
}

func (e *emission) unique(name string) string {
	out := name
	for i := 1; e.taken[out]; i++ {
		out = fmt.Sprintf("%s_%d", name, i)
	}
	e.taken[out] = true
	return out
}

// constant adds an initializer, once, and returns its name.
func (e *emission) constant(t onnx.Tensor) string {
	if !e.constants[t.Name] {
		e.constants[t.Name] = true
		e.taken[t.Name] = true
		e.graph.Initializers = append(e.graph.Initializers, t)
	}
	return t.Name
}

func (e *emission) number(name string, x float32) string {
	return e.constant(onnx.Float32s(name, nil, []float32{x}))
}

func (e *emission) shape(layer string, dims ...int64) string {
	return e.constant(onnx.Int64s(layer+".shape", []int{len(dims)}, dims...))
}

// floats adds a tensor of the weights, in the precision of the file.
func (e *emission) floats(name string, shape []int, data []float32) string {
	if !e.options.Float16 || len(data) < 16 {
		return e.constant(onnx.Float32s(name, shape, data))
	}
	half := e.constant(onnx.Float16s(name+".float16", shape, data))
	return e.node("Cast", name, []string{half}, onnx.Int("to", int(onnx.Float32)))
}

// in is an input with its channels first or last, as they are in the network for anything but maps.
func (e *emission) in(layer string, first bool) string {
	v := e.values[layer]
	if len(v.shape) != 3 || v.first == first {
		return v.name
	}
	if v.turned == "" {
		axes := []int{0, 2, 3, 1}
		if first {
			axes = []int{0, 3, 1, 2}
		}
		v.turned = e.node("Transpose", v.name+".turned", []string{v.name}, onnx.Ints("perm", axes...))
	}
	return v.turned
}

// put makes a graph's value that of a layer, rounded if it rests as bytes.
func (e *emission) put(l nn.Layer, name string, first bool) {
	shape := e.net.Shape(l.Name)
	if s, ok := e.rounding[l.Name]; ok {
		name = e.roundTo(name, l.Name, s)
	}
	e.values[l.Name] = &value{name: name, shape: shape, first: first && len(shape) == 3}
}

// roundTo adds a pair of nodes that round to steps. Values rest as uint8: ONNX Runtime's kernels take these, and where a value of int8 is
// used twice, as at residual additions, it does not make one of them and computes the layers around it in float32.
func (e *emission) roundTo(name, layer string, s quantise.Steps) string {
	size := e.number(layer+".step", s.Size)
	zero := e.constant(onnx.Uint8s(layer+".zero", nil, []uint8{uint8(int(s.Zero) + 128)}))
	q := e.node("QuantizeLinear", name+".quantized", []string{name, size, zero})
	return e.node("DequantizeLinear", name+".rounded", []string{q, size, zero})
}

// output gives the network's output its name.
func (e *emission) output() {
	out := e.net.Output()
	v := e.values[out.Name]
	name := e.model.OutputName()
	from := e.in(out.Name, false)
	if e.taken[name] {
		name = e.unique(name)
	}
	e.taken[name] = true
	e.graph.Nodes = append(e.graph.Nodes, onnx.Node{Name: "output", Operator: "Identity", Inputs: []string{from}, Outputs: []string{name}})
	e.graph.Outputs = []onnx.ValueInfo{{Name: name, Type: onnx.Float32, Known: true, Shape: dimensions(v.shape)}}
}

func dimensions(shape nn.Shape) []onnx.Dimension {
	out := []onnx.Dimension{{Name: "n"}}
	for _, d := range shape {
		if d < 0 {
			out = append(out, onnx.Dimension{Name: "tokens"})
			continue
		}
		out = append(out, onnx.Dimension{Length: int64(d)})
	}
	return out
}

// Metadata of files.
const (
	ClassesKey     = "classes"     // names of the output's numbers, JSON
	TaskKey        = "task"        // single_label, multi_label or regression
	DescriptionKey = "description" // all that the model tells of itself, JSON
	PrecisionKey   = "precision"   // float32, float16 or int8
	LicenceKey     = "licences"    // of the weights that it began with, SPDX
	TokensKey      = "tokens"      // of what takes texts: whose tokenizer cuts them, how many tokens a text has at most, and which stay of more; JSON
	VocabularyKey  = "vocabulary"  // the words, JSON: the first has the id 2; 0 is padding, 1 any other word
)

func (e *emission) metadata() ([]onnx.Entry, error) {
	classes, err := json.Marshal(e.model.Head.Names())
	if err != nil {
		return nil, err
	}
	described, err := e.model.Description.Encode()
	if err != nil {
		return nil, err
	}
	precision := "float32"
	switch {
	case e.options.Scheme != nil:
		precision = "int8"
	case e.options.Float16:
		precision = "float16"
	}
	entries := []onnx.Entry{
		{Key: ClassesKey, Value: string(classes)}, {Key: TaskKey, Value: string(e.model.Head.Task)}, {Key: PrecisionKey, Value: precision},
		{Key: DescriptionKey, Value: described},
	}
	if t := e.model.Tokens; t != nil {
		more, err := tokensMetadata(t)
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	if licences := e.model.Description.LicencesInWords(); licences != "" {
		entries = append(entries, onnx.Entry{Key: LicenceKey, Value: licences})
	}
	return entries, nil
}

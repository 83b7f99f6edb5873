package evaluate

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/onnx"
)

// Tensor is an array of numbers, row-major. One of the slices is set.
type Tensor struct {
	Shape []int
	Float []float32
	Whole []int64 // of the types of whole numbers

	unsigned bool // of a constant: it has the type uint8
}

func (t *Tensor) size() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Program is a file that can be computed. One goroutine uses it at a time.
type Program struct {
	graph  *onnx.Graph
	fixed  map[string]*Tensor // constants, and what is computed of nothing else
	nodes  []*onnx.Node       // that depend on the input
	last   map[string]int     // node that takes a value last
	packed map[string]*kernel.PackedConv
	pool   *kernel.Pool
	space  kernel.Workspace
}

// New prepares a file. The numbers of its tensors are copied, but for those that rest as float32 in memory.
func New(m *onnx.Model, pool *kernel.Pool) (*Program, error) {
	if v := m.Opset(""); v < 13 || v > 17 {
		return nil, fmt.Errorf("evaluate an ONNX model: operators of version %d: 13 to 17 are known", v)
	}
	p := &Program{graph: &m.Graph, fixed: map[string]*Tensor{}, last: map[string]int{}, packed: map[string]*kernel.PackedConv{}, pool: pool}
	for i := range m.Graph.Initializers {
		t, err := constant(&m.Graph.Initializers[i])
		if err != nil {
			return nil, fmt.Errorf("evaluate an ONNX model: %w", err)
		}
		p.fixed[m.Graph.Initializers[i].Name] = t
	}
	for i := range m.Graph.Nodes {
		n := &m.Graph.Nodes[i]
		if slices.ContainsFunc(n.Inputs, func(name string) bool { return name != "" && p.fixed[name] == nil }) {
			for _, name := range n.Inputs {
				p.last[name] = len(p.nodes)
			}
			p.nodes = append(p.nodes, n)
			continue
		}
		if err := p.run(n, p.fixed); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func constant(t *onnx.Tensor) (*Tensor, error) {
	out := &Tensor{unsigned: t.Type == onnx.Uint8}
	for _, d := range t.Shape {
		out.Shape = append(out.Shape, int(d))
	}
	var err error
	switch t.Type {
	case onnx.Float32, onnx.Float16, onnx.BFloat16, onnx.Float64:
		out.Float, err = t.Float32()
	default:
		out.Whole, err = t.Int64()
	}
	return out, err
}

// Run computes the file's outputs of its inputs, in the order in which it names them.
func (p *Program) Run(inputs ...*Tensor) (map[string]*Tensor, error) {
	if len(p.graph.Inputs) != len(inputs) {
		return nil, fmt.Errorf("evaluate an ONNX model: it has %d inputs, want %d", len(p.graph.Inputs), len(inputs))
	}
	values := map[string]*Tensor{}
	for i, input := range inputs {
		want := p.graph.Inputs[i]
		if len(want.Shape) != len(input.Shape) {
			return nil, fmt.Errorf("evaluate an ONNX model: input %q of shape %v, want %d axes", want.Name, input.Shape, len(want.Shape))
		}
		for axis, d := range want.Shape {
			if d.Name == "" && int(d.Length) != input.Shape[axis] {
				return nil, fmt.Errorf("evaluate an ONNX model: input %q of shape %v: axis %d must be %d", want.Name, input.Shape, axis, d.Length)
			}
		}
		values[want.Name] = input
	}
	outputs := map[string]*Tensor{}
	for i, n := range p.nodes {
		if err := p.run(n, values); err != nil {
			return nil, err
		}
		for _, o := range p.graph.Outputs {
			if t := values[o.Name]; t != nil {
				outputs[o.Name] = t
			}
		}
		for _, name := range n.Inputs {
			if p.last[name] == i {
				delete(values, name)
			}
		}
	}
	for _, o := range p.graph.Outputs {
		if outputs[o.Name] == nil {
			return nil, fmt.Errorf("evaluate an ONNX model: no node makes the output %q", o.Name)
		}
	}
	return outputs, nil
}

// run computes a node; what it makes goes into values.
func (p *Program) run(n *onnx.Node, values map[string]*Tensor) (err error) {
	defer func() {
		if fault := recover(); fault != nil { // sizes that do not fit each other
			err = fmt.Errorf("evaluate an ONNX model: %s: its inputs do not fit it (%v)", n, fault)
		}
	}()
	compute, ok := operators()[n.Operator]
	if !ok || n.Domain != "" {
		return fmt.Errorf("evaluate an ONNX model: %s: this operator is not known", n)
	}
	c := &call{program: p, node: n}
	for _, name := range n.Inputs {
		t := values[name]
		if t == nil {
			t = p.fixed[name]
		}
		if t == nil && name != "" {
			return fmt.Errorf("evaluate an ONNX model: %s: nothing makes its input %q", n, name)
		}
		c.in = append(c.in, t)
	}
	if err := compute(c); err != nil {
		return fmt.Errorf("evaluate an ONNX model: %s: %w", n, err)
	}
	if len(c.out) != len(n.Outputs) {
		return fmt.Errorf("evaluate an ONNX model: %s: %d outputs, want %d", n, len(n.Outputs), len(c.out))
	}
	for i, name := range n.Outputs {
		values[name] = c.out[i]
	}
	return nil
}

// call is a node at work.
type call struct {
	program *Program
	node    *onnx.Node
	in, out []*Tensor
}

func (c *call) put(shape []int, data []float32) error {
	c.out = append(c.out, &Tensor{Shape: shape, Float: data})
	return nil
}

// int is an attribute, or what it is without being said.
func (c *call) int(name string, otherwise int) int {
	if a := c.node.Attribute(name); a != nil {
		return int(a.Int)
	}
	return otherwise
}

func (c *call) ints(name string, otherwise ...int) []int {
	a := c.node.Attribute(name)
	if a == nil {
		return otherwise
	}
	out := make([]int, len(a.Ints))
	for i, v := range a.Ints {
		out[i] = int(v)
	}
	return out
}

package graph

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// operation is a Gorgonia op on float32 tensors. It implements [gorgonia.SDOp].
type operation struct {
	name   string
	output tensor.Shape
	// forward computes the output from the inputs. The output may hold anything before.
	forward func(out []float32, in [][]float32) error
	// again, if not nil, computes the output once more in the same run, bit for bit, and cheaply: the
	// memory of the output need not be kept for the gradients.
	again func(out []float32, in [][]float32) error
	// over lists the inputs in whose memory the output may be written.
	over []int
	// order is the number of inputs, the last ones, that are not read: they only say what must have
	// been computed before.
	order int
	// backward adds the gradients of the inputs, given that of the output: one node an input, nil
	// for those that do not learn. An operation without it stops gradients.
	backward func(in gorgonia.Nodes, out, gradient *Node) (gorgonia.Nodes, error)

	graph  *Graph
	number int            // tells operations apart, each after those it needs
	inputs []tensor.Shape //
	wanted []bool         // which inputs learn
}

// apply adds an operation on the inputs to the graph.
func (g *Graph) apply(o operation, inputs ...*Node) (*Node, error) {
	o.graph, o.number = g, len(g.operations)
	o.wanted = make([]bool, len(inputs))
	o.inputs = make([]tensor.Shape, len(inputs))
	learns := false
	for i, n := range inputs {
		o.inputs[i] = n.Shape()
		o.wanted[i] = o.backward != nil && g.learns[n]
		learns = learns || o.wanted[i]
	}
	node, err := gorgonia.ApplyOp(&o, inputs...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	if node.Op() != &o { // Gorgonia takes nodes of equal 32-bit hashes for equal
		return nil, fmt.Errorf("%s: %v was taken for the same node", o.name, node)
	}
	g.operations = append(g.operations, applied{&o, node, inputs})
	g.learns[node] = learns
	return node, nil
}

// applied is an operation in the graph.
type applied struct {
	*operation
	node   *Node
	inputs []*Node
}

// reads are the inputs whose values the operation needs.
func (a applied) reads() []*Node { return a.inputs[:len(a.inputs)-a.order] }

// add is apply for layers: the graph keeps the error, and an input stands in for the node.
func (g *Graph) add(o operation, inputs ...*Node) *Node {
	if g.err == nil {
		node, err := g.apply(o, inputs...)
		if err == nil {
			return node
		}
		g.fail(err)
	}
	return standIn(o.output)
}

// aside adds a node that hands out what the operation of another node wrote to data besides its
// output.
func (g *Graph) aside(name string, shape tensor.Shape, data []float32, by *Node) (*Node, error) {
	return g.apply(operation{
		name:   name,
		output: shape,
		forward: func(out []float32, _ [][]float32) error {
			copy(out, data)
			return nil
		},
		order: 1,
	}, by)
}

// DiffWRT implements [gorgonia.SDOp].
func (o *operation) DiffWRT(int) []bool { return o.wanted }

// SymDiff implements [gorgonia.SDOp]. Where gradients reach the output along several ways, Gorgonia
// would add them up with an op of its own: an operation of this package takes its place.
func (o *operation) SymDiff(inputs gorgonia.Nodes, output, _ *Node) (gorgonia.Nodes, error) {
	if o.backward == nil {
		return nil, fmt.Errorf("%s has no gradient", o.name)
	}
	gradient, err := o.graph.gradient(output)
	if err != nil {
		return nil, err
	}
	gradients, err := o.backward(inputs, output, gradient)
	if err != nil {
		return nil, err
	}
	for i, wanted := range o.wanted {
		if wanted {
			o.graph.terms[inputs[i]] = append(o.graph.terms[inputs[i]], gradients[i])
		}
	}
	return gradients, nil
}

// Do implements [gorgonia.Op]. The graph runs its operations itself, see [Graph.Run].
func (o *operation) Do(...gorgonia.Value) (gorgonia.Value, error) {
	return nil, fmt.Errorf("%s: is run by its graph alone", o.name)
}

// Arity implements [gorgonia.Op].
func (o *operation) Arity() int { return len(o.inputs) }

// Type implements [gorgonia.Op]: tensors of the dimensions of the inputs and the output.
func (o *operation) Type() hm.Type {
	types := make([]hm.Type, 0, len(o.inputs)+1)
	for _, s := range append(o.inputs[:len(o.inputs):len(o.inputs)], o.output) {
		types = append(types, gorgonia.TensorType{Dims: len(s), Of: tensor.Float32})
	}
	return hm.NewFnType(types...)
}

// InferShape implements [gorgonia.Op].
func (o *operation) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return o.output.Clone(), nil
}

// ReturnsPtr implements [gorgonia.Op]: no other op may write into the output.
func (o *operation) ReturnsPtr() bool { return false }

// OverwritesInput implements [gorgonia.Op]: none, as far as Gorgonia is concerned.
func (o *operation) OverwritesInput() int { return -1 }

// CallsExtern implements [gorgonia.Op].
func (o *operation) CallsExtern() bool { return false }

// WriteHash implements [gorgonia.Op]. No two operations of a graph are equal: they may hold state.
func (o *operation) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s %d %v", o.name, o.number, o.output) }

// Hashcode implements [gorgonia.Op].
func (o *operation) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// String implements [gorgonia.Op].
func (o *operation) String() string { return o.name }

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
	// backward adds the gradients of the inputs, given that of the output: one node an input, nil
	// for those that do not learn. An operation without it stops gradients.
	backward func(in gorgonia.Nodes, out, gradient *Node) (gorgonia.Nodes, error)

	graph  *Graph
	number int            // tells operations apart
	inputs []tensor.Shape //
	wanted []bool         // which inputs learn
	value  *tensor.Dense  // the output
	slices [][]float32    // of the inputs
}

// apply adds an operation on the inputs to the graph.
func (g *Graph) apply(o operation, inputs ...*Node) (*Node, error) {
	o.graph, o.number = g, g.operations
	g.operations++
	o.wanted = make([]bool, len(inputs))
	o.inputs = make([]tensor.Shape, len(inputs))
	o.slices = make([][]float32, len(inputs))
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
	g.learns[node] = learns
	return node, nil
}

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
	}, by)
}

// Do implements [gorgonia.Op]. The value returned is the operation's own, overwritten by the next
// run.
func (o *operation) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	if o.value == nil {
		o.value = tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(o.output...))
	}
	return o.UsePreallocDo(o.value, inputs...)
}

// UsePreallocDo implements [gorgonia.UsePreallocDoer].
func (o *operation) UsePreallocDo(into gorgonia.Value, inputs ...gorgonia.Value) (_ gorgonia.Value, err error) {
	if err := o.graph.ctx.Err(); err != nil {
		return nil, err
	}
	// The machine runs in a goroutine of its own, where a panic would end the process.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %v", o.name, p)
		}
	}()
	out, ok := into.Data().([]float32)
	if !ok || len(out) != o.output.TotalSize() {
		return nil, fmt.Errorf("%s: output is %v of shape %v, want float32 of shape %v", o.name, into.Dtype(), into.Shape(), o.output)
	}
	for i, v := range inputs {
		if o.slices[i], ok = v.Data().([]float32); !ok || len(o.slices[i]) != o.inputs[i].TotalSize() {
			return nil, fmt.Errorf("%s: input %d is %v of shape %v, want float32 of shape %v", o.name, i, v.Dtype(), v.Shape(), o.inputs[i])
		}
	}
	return into, o.forward(out, o.slices)
}

// DiffWRT implements [gorgonia.SDOp].
func (o *operation) DiffWRT(int) []bool { return o.wanted }

// SymDiff implements [gorgonia.SDOp].
func (o *operation) SymDiff(inputs gorgonia.Nodes, output, gradient *Node) (gorgonia.Nodes, error) {
	if o.backward == nil {
		return nil, fmt.Errorf("%s has no gradient", o.name)
	}
	return o.backward(inputs, output, gradient)
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

// OverwritesInput implements [gorgonia.Op]: none.
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

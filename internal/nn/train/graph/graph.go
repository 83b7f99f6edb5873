package graph

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Node is a value in a graph.
type Node = gorgonia.Node

// Graph is a Gorgonia graph under construction and, once compiled, what runs it. It is used by one
// goroutine at a time. The first error of its construction sticks and comes out of
// [Graph.Compile], so that a network reads without a check at every layer.
type Graph struct {
	expressions *gorgonia.ExprGraph
	err         error

	operations []applied
	forward    int                      // how many of these were there before the gradients
	leaves     map[*Node][]float32      // the numbers of what is no operation
	terms      map[*Node]gorgonia.Nodes // gradients of a node along each way
	names      map[string]bool
	learns     map[*Node]bool
	parameters []*Parameter
	moments    []*Moments
	loss       *Node

	run    running
	rounds bool // see RoundProducts
	limit  int  // see Limit
}

// New starts an empty graph. pool may be nil for a single thread, scratch for memory of its own;
// graphs that run one after another may share both.
func New(pool *kernel.Pool, scratch *Scratch) *Graph {
	if scratch == nil {
		scratch = new(Scratch)
	}
	return &Graph{
		expressions: gorgonia.NewGraph(),
		leaves:      map[*Node][]float32{},
		terms:       map[*Node]gorgonia.Nodes{},
		names:       map[string]bool{},
		learns:      map[*Node]bool{},
		run:         running{pool: pool, scratch: scratch},
	}
}

// RoundProducts lets the convolutions and dense layers that are added from here on, and their
// gradients, round to bfloat16 what they multiply, where that is faster than float32; see
// [kernel.PackOptions]. Sums, parameters and all values stay float32.
func (g *Graph) RoundProducts() { g.rounds = true }

// Limit bounds the memory, in bytes, that the values of the compiled graph take, those of inputs and parameters left out. Where
// they would take more, those of parts of the layers are given up and computed once more for the gradients, bit for bit the
// same: at most another forward pass in time. What takes more in spite of that is compiled as well; see [Graph.ArenaBytes].
func (g *Graph) Limit(bytes int) { g.limit = bytes }

// Input adds a value that the caller fills before each run, through [Graph.Data].
func (g *Graph) Input(name string, shape ...int) *Node {
	return g.bind(name, shape, make([]float32, tensor.Shape(shape).TotalSize()))
}

// Fixed adds a value that does not learn: data as it is at each run. It is not copied.
func (g *Graph) Fixed(name string, shape []int, data []float32) *Node {
	return g.bind(name, shape, data)
}

// Learned adds a parameter that learns. data is not copied: an optimizer's steps change it in place.
func (g *Graph) Learned(name string, shape []int, data []float32) *Node {
	n := g.bind(name, shape, data)
	g.learns[n] = true
	g.parameters = append(g.parameters, &Parameter{node: n})
	return n
}

func (g *Graph) bind(name string, shape []int, data []float32) *Node {
	if size := tensor.Shape(shape).TotalSize(); size != len(data) || size == 0 {
		g.fail(fmt.Errorf("value %q: shape %v has %d values, given %d", name, shape, size, len(data)))
		return standIn(shape)
	}
	if g.names[name] { // Gorgonia would take the two for one
		g.fail(fmt.Errorf("value %q: the name is used twice", name))
		return standIn(shape)
	}
	g.names[name] = true
	value := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	n := gorgonia.NewTensor(g.expressions, tensor.Float32, len(shape),
		gorgonia.WithName(name), gorgonia.WithShape(shape...), gorgonia.WithValue(value))
	g.leaves[n] = data
	return n
}

// Learns tells whether gradients flow through the node.
func (g *Graph) Learns(n *Node) bool { return g.learns[n] }

// Differentiate adds the gradients of a loss, a node of one element, with respect to every
// parameter that learns. It is called once, after the last layer.
func (g *Graph) Differentiate(loss *Node) {
	if g.err != nil {
		return
	}
	g.loss, g.forward = loss, len(g.operations)
	wanted := make(gorgonia.Nodes, len(g.parameters))
	for i, p := range g.parameters {
		wanted[i] = p.node
	}
	seed := g.Fixed("gradient of the loss", loss.Shape(), []float32{1})
	g.terms[loss] = gorgonia.Nodes{seed}
	if _, err := gorgonia.Backpropagate(gorgonia.Nodes{loss}, gorgonia.Nodes{seed}, wanted); err != nil {
		g.fail(fmt.Errorf("differentiate: %w", err))
		return
	}
	for _, p := range g.parameters {
		var err error
		if p.gradient, err = g.gradient(p.node); err != nil {
			g.fail(fmt.Errorf("differentiate: %w", err))
			return
		}
	}
}

// gradient returns the gradient of a node, all ways together.
func (g *Graph) gradient(n *Node) (*Node, error) {
	terms := g.terms[n]
	if len(terms) > 1 {
		sum, err := g.apply(g.sum("gradients added up", n.Shape(), len(terms), kernel.None), terms...)
		if err != nil {
			return nil, err
		}
		terms = gorgonia.Nodes{sum}
		g.terms[n] = terms
	}
	return terms[0], nil
}

// Parameters are those that learn, in the order in which they were added, each with its gradient
// after a run of a differentiated graph.
func (g *Graph) Parameters() []*Parameter { return g.parameters }

// Operations names the operations of the graph, gradients among them, in the order in which they
// are run.
func (g *Graph) Operations() []string {
	var names []string
	for _, o := range g.operations {
		names = append(names, o.name)
	}
	return names
}

// standIn is a node of no graph, for construction to go on with after an error.
func standIn(shape tensor.Shape) *Node {
	return gorgonia.NewTensor(gorgonia.NewGraph(), tensor.Float32, len(shape), gorgonia.WithShape(shape...))
}

// checkFused tells whether a layer can apply the activation, and lets the graph fail if not.
func (g *Graph) checkFused(layer string, act kernel.Activation) bool {
	if !fusible(act) {
		g.fail(fmt.Errorf("%s: the gradient of %v is not known from its output", layer, act))
	}
	return fusible(act)
}

func (g *Graph) fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// Parameter is a tensor that learns, with its gradient: what an optimizer steps. It implements
// [gorgonia.ValueGrad] and [gorgonia.Namer].
type Parameter struct {
	node, gradient *Node
	value          gorgonia.Value // of the gradient
}

// Name is what the parameter was added as.
func (p *Parameter) Name() string { return p.node.Name() }

// Value implements [gorgonia.ValueGrad].
func (p *Parameter) Value() gorgonia.Value { return p.node.Value() }

// Grad implements [gorgonia.ValueGrad]. It is valid until the next run of a graph that shares memory
// with the parameter's.
func (p *Parameter) Grad() (gorgonia.Value, error) {
	if p.value == nil {
		return nil, fmt.Errorf("parameter %q has no gradient yet", p.Name())
	}
	return p.value, nil
}

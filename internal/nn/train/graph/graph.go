package graph

import (
	"context"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Node is a value in a graph.
type Node = gorgonia.Node

// Graph is a Gorgonia graph under construction and, once compiled, the machine that runs it. It is
// used by one goroutine at a time. The first error of its construction sticks and comes out of
// [Graph.Compile], so that a network reads without a check at every layer.
type Graph struct {
	expressions *gorgonia.ExprGraph
	machine     gorgonia.VM
	err         error

	pool      *kernel.Pool
	workspace *kernel.Workspace
	ctx       context.Context // of the run in progress

	operations int
	names      map[string]bool
	learns     map[*Node]bool
	parameters []*Parameter
	moments    []*Moments
	draw       Draw
}

// New starts an empty graph. pool may be nil for a single thread, workspace for one of its own;
// graphs that run one after another may share both.
func New(pool *kernel.Pool, workspace *kernel.Workspace) *Graph {
	if workspace == nil {
		workspace = new(kernel.Workspace)
	}
	return &Graph{
		expressions: gorgonia.NewGraph(),
		pool:        pool,
		workspace:   workspace,
		ctx:         context.Background(),
		names:       map[string]bool{},
		learns:      map[*Node]bool{},
	}
}

// Input adds a value that the caller fills before each run, through [Data].
func (g *Graph) Input(name string, shape ...int) *Node {
	return g.bind(name, shape, make([]float32, tensor.Shape(shape).TotalSize()))
}

// Fixed adds a value that does not learn: data as it is at each run. It is not copied.
func (g *Graph) Fixed(name string, shape []int, data []float32) *Node {
	return g.bind(name, shape, data)
}

// Learned adds a parameter that learns. data is not copied: a solver's steps change it in place.
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
	return gorgonia.NewTensor(g.expressions, tensor.Float32, len(shape),
		gorgonia.WithName(name), gorgonia.WithShape(shape...), gorgonia.WithValue(value))
}

// Data returns the numbers of a node: those of an input, to be filled, or, after a run, those of
// any other node, valid until the next run.
func Data(n *Node) []float32 { return n.Value().Data().([]float32) }

// Learns tells whether gradients flow through the node.
func (g *Graph) Learns(n *Node) bool { return g.learns[n] }

// Differentiate adds the gradients of a loss, a node of one element, with respect to every
// parameter that learns. It is called once, after the last layer.
func (g *Graph) Differentiate(loss *Node) {
	if g.err != nil {
		return
	}
	wanted := make(gorgonia.Nodes, len(g.parameters))
	for i, p := range g.parameters {
		wanted[i] = p.node
	}
	seed := g.Fixed("gradient of the loss", loss.Shape(), []float32{1})
	gradients, err := gorgonia.Backpropagate(gorgonia.Nodes{loss}, gorgonia.Nodes{seed}, wanted)
	if err != nil {
		g.fail(fmt.Errorf("differentiate: %w", err))
		return
	}
	for i, p := range g.parameters {
		p.gradient = gradients[i]
	}
}

// Parameters are those that learn, in the order in which they were added, each with its gradient
// after a run of a differentiated graph.
func (g *Graph) Parameters() []*Parameter { return g.parameters }

// Operations names the operations of the graph, gradients among them, in no particular order.
func (g *Graph) Operations() []string {
	var names []string
	for _, n := range g.expressions.AllNodes() {
		if o, ok := n.Op().(*operation); ok {
			names = append(names, o.name)
		}
	}
	return names
}

// Compile makes the graph ready to run. Close it when it is no longer needed.
func (g *Graph) Compile() error {
	if g.err != nil {
		return g.err
	}
	program, places, err := gorgonia.Compile(g.expressions)
	if err != nil {
		return fmt.Errorf("compile a graph: %w", err)
	}
	// Gorgonia takes nodes of equal 32-bit hashes for equal: make sure that it did not. Its own
	// sums may share a place with what they add up.
	owners := make(map[any]*Node, len(places))
	for node, place := range places {
		if _, own := node.Op().(*operation); !own {
			continue
		}
		if other, taken := owners[place]; taken {
			return fmt.Errorf("compile a graph: %v and %v were taken for one node", node, other)
		}
		owners[place] = node
	}
	g.machine = gorgonia.NewTapeMachine(g.expressions, gorgonia.WithPrecompiled(program, places))
	return nil
}

// Run computes every node. It stops between two operations when ctx ends, and returns ctx's error.
func (g *Graph) Run(ctx context.Context) error {
	g.ctx = ctx
	g.machine.Reset()
	if err := g.machine.RunAll(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("run a graph: %w", err)
	}
	return nil
}

// Close ends the machine.
func (g *Graph) Close() error {
	if g.machine == nil {
		return nil
	}
	return g.machine.Close()
}

// standIn is a node of no graph, for construction to go on with after an error.
func standIn(shape tensor.Shape) *Node {
	return gorgonia.NewTensor(gorgonia.NewGraph(), tensor.Float32, len(shape), gorgonia.WithShape(shape...))
}

func (g *Graph) fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// Parameter is a tensor that learns, with its gradient: what a solver steps. It implements
// [gorgonia.ValueGrad] and [gorgonia.Namer].
type Parameter struct {
	node, gradient *Node
}

// Name is what the parameter was added as.
func (p *Parameter) Name() string { return p.node.Name() }

// Value implements [gorgonia.ValueGrad].
func (p *Parameter) Value() gorgonia.Value { return p.node.Value() }

// Grad implements [gorgonia.ValueGrad].
func (p *Parameter) Grad() (gorgonia.Value, error) {
	if p.gradient == nil || p.gradient.Value() == nil {
		return nil, fmt.Errorf("parameter %q has no gradient yet", p.Name())
	}
	return p.gradient.Value(), nil
}

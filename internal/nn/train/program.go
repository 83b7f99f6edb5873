package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"gorgonia.org/gorgonia"
)

// program is a network as a graph that learns, for batches of one size. Programs of one trainer
// share its weights.
type program struct {
	*graph.Graph
	batch, classes int

	trunk    *trunk
	inputs   nn.Batch // of the network, to be filled before each run
	boundary nn.Batch // what the trunk computes

	target, total *graph.Node
	logits, loss  *graph.Node
	parameters    []gorgonia.ValueGrad
}

// logitsLayer is the layer whose output the softmax takes, or the network's last if it ends in
// none.
func logitsLayer(net *nn.Network) string {
	last := net.Output()
	if _, ok := last.Op.(nn.Softmax); ok {
		return last.Inputs[0]
	}
	return last.Name
}

// newProgram compiles what lies above the trunk, up to the logits, with the options' Freeze and
// BatchNorm.
func newProgram(net *nn.Network, weights nn.Weights, batch int, trunk *trunk, o Options, pool *kernel.Pool, scratch *graph.Scratch) (*program, error) {
	p := &program{Graph: graph.New(pool, scratch), batch: batch, trunk: trunk}
	b := &building{
		Graph: p.Graph, net: net, weights: weights, options: o, batch: batch, ids: map[string][]int32{},
		rows: lowerings(), nodes: map[string]*graph.Node{}, normed: normedConvolutions(net, o),
	}
	b.fused = fusedActivations(net, b.rows)
	if o.Precision == frozen.BFloat16 {
		p.RoundProducts()
	}
	last := logitsLayer(net)
	p.classes = net.Shape(last).Size()
	b.enter(p)
	for _, l := range net.Layers() {
		if trunk.frozen[l.Name] {
			continue
		}
		node, err := b.layer(l)
		if err != nil {
			return nil, fmt.Errorf("layer %q: %w", l.Name, err)
		}
		b.nodes[l.Name] = node
		if l.Name == last {
			break
		}
	}
	p.logits = b.nodes[last]
	p.target = p.Input("target", batch, p.classes)
	p.total = p.Input("total", 1)
	p.loss = p.CrossEntropy(p.logits, p.target, p.total)
	p.Differentiate(p.loss)
	if err := p.Compile(p.logits); err != nil {
		return nil, err
	}
	for _, parameter := range p.Parameters() {
		p.parameters = append(p.parameters, parameter)
	}
	return p, nil
}

// enter adds what enters the graph: inputs of the network, and what the trunk computes of others.
func (b *building) enter(p *program) {
	p.inputs, p.boundary = nn.Batch{}, nn.Batch{}
	for _, l := range b.net.Inputs() {
		e := b.net.Element(l.Name)
		if e == nn.Float32 && slices.Contains(p.trunk.boundary, l.Name) {
			b.nodes[l.Name] = p.Input(l.Name, append([]int{p.batch}, b.net.Shape(l.Name)...)...)
			p.inputs[l.Name] = nn.Values{Float32: p.Data(b.nodes[l.Name])}
			continue
		}
		p.inputs[l.Name] = nn.NewValues(e, p.batch*b.net.Shape(l.Name).Size())
		b.ids[l.Name] = p.inputs[l.Name].Int32
	}
	for _, name := range p.trunk.computed {
		b.nodes[name] = p.Input(name, append([]int{p.batch}, b.net.Shape(name)...)...)
		p.boundary[name] = nn.Values{Float32: p.Data(b.nodes[name])}
	}
}

// compute computes the loss and the gradients of the examples in p.inputs.
func (p *program) compute(ctx context.Context, pool *kernel.Pool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.trunk.run(pool, p.inputs, p.batch, p.boundary); err != nil {
		return err
	}
	return p.Run(ctx)
}

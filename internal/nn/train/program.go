package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"gorgonia.org/gorgonia"
)

// program is a network as a graph that learns, for batches of one size. Programs of one trainer
// share its weights.
type program struct {
	*graph.Graph
	id      string // of batch and lengths
	batch   int
	lengths []int // of the axes that vary
	net     *nn.Network

	trunk    *trunk
	read     Batch           // what examples are read into: inputs of the network, and targets
	boundary nn.Batch        // what the trunk computes
	tokens   graph.Sequences // of the axis that varies

	loss       objective.Loss
	reversal   *graph.Node // factor on the gradient reversals
	norms      []float64   // of the gradients through the options' Probes
	parameters []gorgonia.ValueGrad
}

// endLayer is the layer that an objective's output means.
func endLayer(net *nn.Network, o objective.Output) string {
	name := o.Layer
	if name == "" {
		name = net.Output().Name
	}
	if l, ok := net.Find(name); ok && l.Name == name && o.Logits {
		switch op := l.Op.(type) {
		case nn.Softmax:
			return l.Inputs[0]
		case nn.Activation:
			if op.Function == kernel.Sigmoid {
				return l.Inputs[0]
			}
		}
	}
	return name
}

// end is the layer that an output of the objective means.
func (t *Trainer) end(o objective.Output) string { return endLayer(t.net, o) }

// shape is that of an output of the objective; nil if there is no such layer.
func (t *Trainer) shape(o objective.Output) nn.Shape { return t.net.Shape(t.end(o)) }

// ends are the layers whose values the objective reads, each once.
func (t *Trainer) ends() (names []string) {
	for _, o := range t.objective.Outputs() {
		if name := t.end(o); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// shapeIn gives the shape of outputs in the network with its axes bound.
func (t *Trainer) shapeIn(net *nn.Network) func(objective.Output) nn.Shape {
	return func(o objective.Output) nn.Shape { return net.Shape(t.end(o)) }
}

// newTargets makes memory for the targets of n examples.
func newTargets(of objective.Objective, shape func(objective.Output) nn.Shape, n int) nn.Batch {
	out := nn.Batch{}
	for _, target := range of.Targets(shape) {
		out[target.Name] = nn.NewValues(target.Element, n*target.Shape.Size())
	}
	return out
}

// newProgram compiles what lies above the trunk, up to what the objective reads, with the options' Freeze
// and BatchNorm.
func (t *Trainer) newProgram(net *nn.Network, lengths []int, batch int, trunk *trunk) (*program, error) {
	o := t.options
	p := &program{Graph: graph.New(t.pool, &t.scratch), batch: batch, net: net, trunk: trunk, norms: make([]float64, len(o.Probes))}
	b := &building{
		Graph: p.Graph, net: net, weights: t.weights, options: o, batch: batch, ids: map[string][]int32{},
		rows: lowerings(), nodes: map[string]*graph.Node{}, normed: normedConvolutions(net, o), norms: p.norms,
	}
	b.fused, b.rounding = fusedActivations(net, b.rows), o.Rounding.Rounding(net)
	if len(lengths) > 0 {
		b.varying = map[string]bool{}
		for _, l := range t.net.Layers() {
			b.varying[l.Name] = !t.net.Shape(l.Name).Fixed()
		}
		p.tokens = graph.NewSequences(batch, lengths[0])
		p.read.Lengths = make([]int, batch)
		b.tokens = p.tokens
	}
	if o.Precision == frozen.BFloat16 {
		p.RoundProducts()
	}
	needed, err := net.Cut(t.ends()...)
	if err != nil {
		return nil, err
	}
	b.enter(p)
	p.reversal = p.Input("factor/reversal", 1)
	b.reversal = p.reversal
	for _, l := range needed.Layers() {
		if trunk.frozen[l.Name] {
			continue
		}
		node, err := b.layer(l)
		if err != nil {
			return nil, fmt.Errorf("layer %q: %w", l.Name, err)
		}
		b.nodes[l.Name] = node
	}
	for _, name := range t.ends() {
		if b.nodes[name] == nil {
			return nil, fmt.Errorf("nothing learns in or below the output %q", name)
		}
	}
	p.read.Targets = newTargets(t.objective, t.shapeIn(net), batch)
	p.loss = t.objective.Loss(objective.Place{
		Graph: p.Graph, Batch: batch, Output: func(o objective.Output) *graph.Node { return b.nodes[t.end(o)] },
	})
	p.Differentiate(p.loss.Node())
	if o.Memory > 0 {
		p.Limit(int(min(o.Memory, math.MaxInt/2)) + p.GradientBytes())
	}
	if err := p.Compile(p.loss.Kept()...); err != nil {
		return nil, err
	}
	for _, parameter := range p.Parameters() {
		p.parameters = append(p.parameters, parameter)
	}
	return p, nil
}

// enter adds what enters the graph: inputs of the network, and what the trunk computes of others.
func (b *building) enter(p *program) {
	p.read.Inputs, p.boundary = nn.Batch{}, nn.Batch{}
	for _, l := range b.net.Inputs() {
		e := b.net.Element(l.Name)
		if e == nn.Float32 && slices.Contains(p.trunk.boundary, l.Name) {
			b.nodes[l.Name] = p.Input(l.Name, append([]int{p.batch}, b.net.Shape(l.Name)...)...)
			p.read.Inputs[l.Name] = nn.Values{Float32: p.Data(b.nodes[l.Name])}
			b.nodes[l.Name] = b.rounded(l.Name, b.nodes[l.Name])
			continue
		}
		p.read.Inputs[l.Name] = nn.NewValues(e, p.batch*b.net.Shape(l.Name).Size())
		b.ids[l.Name] = p.read.Inputs[l.Name].Int32
	}
	for _, name := range p.trunk.computed {
		b.nodes[name] = p.Input(name, append([]int{p.batch}, b.net.Shape(name)...)...)
		p.boundary[name] = nn.Values{Float32: p.Data(b.nodes[name])}
	}
}

// compute computes the loss and the gradients of the examples in p.read.Inputs.
func (p *program) compute(ctx context.Context, pool *kernel.Pool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, length := range p.read.Lengths {
		if most := p.tokens[i].Rows; length < 1 || length > most {
			return fmt.Errorf("example %d of a batch has %d tokens: must be from 1 to %d", i, length, most)
		}
		p.tokens[i].Length = length
	}
	padded := 0
	if len(p.lengths) > 0 {
		padded = p.lengths[0]
	}
	if err := p.trunk.run(pool, p.read, p.batch, padded, p.boundary); err != nil {
		return err
	}
	return p.Run(ctx)
}

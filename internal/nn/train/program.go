package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"gorgonia.org/gorgonia"
)

// program is a network as a graph that learns, for batches of one size. Programs of one trainer
// share its weights.
type program struct {
	*graph.Graph
	batch, classes int

	fused map[string]kernel.Activation // by layer: what follows it

	trunk *trunk
	input []float32   // [batch][example]
	tips  [][]float32 // of the trunk

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
	p := &program{Graph: graph.New(pool, scratch), batch: batch, trunk: trunk, fused: fusedActivations(net)}
	last := logitsLayer(net)
	p.classes = net.Shape(last).Size()
	nodes := map[string]*graph.Node{}
	for _, name := range trunk.tips {
		nodes[name] = p.Input(name, append([]int{batch}, net.Shape(name)...)...)
		p.tips = append(p.tips, p.Data(nodes[name]))
	}
	if trunk.session == nil {
		p.input = p.tips[0]
	} else {
		p.input = make([]float32, batch*net.Shape(net.Inputs()[0].Name).Size())
	}
	for _, l := range net.Layers() {
		if trunk.still[l.Name] {
			continue
		}
		node, err := p.layer(net, l, nodes, weights, o)
		if err != nil {
			return nil, fmt.Errorf("layer %q: %w", l.Name, err)
		}
		nodes[l.Name] = node
		if l.Name == last {
			break
		}
	}
	p.logits = nodes[last]
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

// learnsStatistics tells whether a batch-norm layer normalises with the statistics of the batch.
func (o Options) learnsStatistics(layer string) bool {
	return !o.Freeze(layer) && o.BatchNorm(layer) == BatchStatistics
}

// fusedActivations finds the layers that lead into a rectifier and nowhere else, and can apply it as
// they store their output.
func fusedActivations(net *nn.Network) map[string]kernel.Activation {
	uses, takes := map[string]int{}, map[string]bool{}
	for _, l := range net.Layers() {
		switch l.Op.(type) {
		case nn.BatchNorm, nn.Add, nn.Conv:
			takes[l.Name] = true
		}
		for _, name := range l.Inputs {
			uses[name]++
		}
	}
	fused := map[string]kernel.Activation{}
	for _, l := range net.Layers() {
		op, ok := l.Op.(nn.Activation)
		if ok && takes[l.Inputs[0]] && uses[l.Inputs[0]] == 1 && (op.Function == kernel.ReLU || op.Function == kernel.ReLU6) {
			fused[l.Inputs[0]] = op.Function
		}
	}
	return fused
}

// compute computes the loss and the gradients of the examples in p.input.
func (p *program) compute(ctx context.Context, pool *kernel.Pool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.trunk.run(pool, p.input, p.batch, p.tips); err != nil {
		return err
	}
	return p.Run(ctx)
}

// layer adds one layer of the network to the graph.
func (p *program) layer(net *nn.Network, l nn.Layer, nodes map[string]*graph.Node, weights nn.Weights, o Options) (*graph.Node, error) {
	frozen := o.Freeze(l.Name)
	var in []*graph.Node
	for _, name := range l.Inputs {
		in = append(in, nodes[name])
	}
	parameter := map[nn.Role]*graph.Node{}
	statistics := map[nn.Role][]float32{}
	for _, q := range net.LayerParameters(l) {
		data := weights[q.Name()].Data
		switch {
		case !q.Role.Trained():
			statistics[q.Role] = data
		case frozen:
			parameter[q.Role] = p.Fixed(q.Name(), q.Shape, data)
		default:
			parameter[q.Role] = p.Learned(q.Name(), q.Shape, data)
		}
	}
	switch op := l.Op.(type) {
	case nn.Dense:
		return p.Dense(in[0], parameter[nn.Weight], parameter[nn.Bias]), nil
	case nn.Conv:
		return p.Conv(in[0], parameter[nn.Weight], parameter[nn.Bias], op.Geometry(in[0].Shape()[3]), p.fused[l.Name]), nil
	case nn.BatchNorm:
		gamma, beta, mean, variance := parameter[nn.Gamma], parameter[nn.Beta], statistics[nn.Mean], statistics[nn.Variance]
		if op.Unscaled {
			gamma = p.Fixed(l.Name+".gamma", []int{len(mean)}, slices.Repeat([]float32{1}, len(mean)))
		}
		if !o.learnsStatistics(l.Name) {
			return p.FrozenBatchNorm(in[0], gamma, beta, mean, variance, op.Epsilon, p.fused[l.Name]), nil
		}
		if rows := in[0].Shape().TotalSize() / len(mean); rows < 2 {
			return nil, fmt.Errorf("batch-norm cannot learn from a batch of one example")
		}
		return p.BatchNorm(in[0], gamma, beta, mean, variance, op.Epsilon, op.Momentum, p.fused[l.Name]), nil
	case nn.Activation:
		if p.fused[l.Inputs[0]] != kernel.None {
			return in[0], nil
		}
		return p.Activate(in[0], op.Function), nil
	case nn.Dropout:
		if frozen {
			return in[0], nil
		}
		return p.Dropout(in[0], op.Rate, l.Name), nil
	case nn.Add:
		return p.Add(p.fused[l.Name], in...), nil
	case nn.Multiply:
		return p.Multiply(in[0], in[1]), nil
	case nn.Scale:
		return p.Scale(in[0], op.Factor), nil
	case nn.Concat:
		return p.Concat(in...), nil
	case nn.MaxPool:
		return p.MaxPool(in[0], op.Geometry()), nil
	case nn.AveragePool:
		return p.AveragePool(in[0], op.Geometry()), nil
	case nn.GlobalAveragePool:
		return p.GlobalAveragePool(in[0]), nil
	case nn.ZeroPad:
		return p.ZeroPad(in[0], op.Margins[0], op.Margins[1], op.Margins[2], op.Margins[3]), nil
	case nn.Flatten:
		return p.Flatten(in[0]), nil
	default:
		return nil, fmt.Errorf("a layer of kind %q cannot be trained yet", l.Op.Kind())
	}
}

package train

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// building is a program's graph under construction.
type building struct {
	*graph.Graph
	net     *nn.Network
	weights nn.Weights
	options Options
	nodes   map[string]*graph.Node       // by layer
	fused   map[string]kernel.Activation // by layer: the rectifier that it applies itself
	normed  map[string]*normed           // by convolution, and by the batch-norm computed with it
}

// normed is a convolution that is computed together with the batch-norm after it.
type normed struct {
	conv   nn.Conv
	weight *graph.Node // once the convolution's layer has been reached
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

// normedConvolutions finds the convolutions that lead into a batch-norm with statistics that stay,
// and nowhere else. If the norm's factors learn, so must the convolution: see [graph.Graph.ConvNorm].
func normedConvolutions(net *nn.Network, o Options) map[string]*normed {
	uses, convs := map[string]int{}, map[string]nn.Conv{}
	for _, l := range net.Layers() {
		if op, ok := l.Op.(nn.Conv); ok && !op.Bias {
			convs[l.Name] = op
		}
		for _, name := range l.Inputs {
			uses[name]++
		}
	}
	found := map[string]*normed{}
	for _, l := range net.Layers() {
		if _, ok := l.Op.(nn.BatchNorm); !ok || o.learnsStatistics(l.Name) {
			continue
		}
		below := l.Inputs[0]
		if op, ok := convs[below]; ok && uses[below] == 1 && (o.Freeze(l.Name) || !o.Freeze(below)) {
			n := &normed{conv: op}
			found[below], found[l.Name] = n, n
		}
	}
	return found
}

// layer adds one layer of the network to the graph.
func (b *building) layer(l nn.Layer) (*graph.Node, error) {
	frozen := b.options.Freeze(l.Name)
	var in []*graph.Node
	for _, name := range l.Inputs {
		in = append(in, b.nodes[name])
	}
	parameter := map[nn.Role]*graph.Node{}
	statistics := map[nn.Role][]float32{}
	for _, q := range b.net.LayerParameters(l) {
		data := b.weights[q.Name()].Data
		switch {
		case !q.Role.Trained():
			statistics[q.Role] = data
		case frozen:
			parameter[q.Role] = b.Fixed(q.Name(), q.Shape, data)
		default:
			parameter[q.Role] = b.Learned(q.Name(), q.Shape, data)
		}
	}
	switch op := l.Op.(type) {
	case nn.Dense:
		return b.Dense(in[0], parameter[nn.Weight], parameter[nn.Bias]), nil
	case nn.Conv:
		if n := b.normed[l.Name]; n != nil {
			n.weight = parameter[nn.Weight]
			return in[0], nil
		}
		return b.Conv(in[0], parameter[nn.Weight], parameter[nn.Bias], op.Geometry(in[0].Shape()[3]), b.fused[l.Name]), nil
	case nn.BatchNorm:
		return b.batchNorm(l, op, in[0], parameter, statistics)
	case nn.Activation:
		if b.fused[l.Inputs[0]] != kernel.None {
			return in[0], nil
		}
		return b.Activate(in[0], op.Function), nil
	case nn.Dropout:
		if frozen {
			return in[0], nil
		}
		return b.Dropout(in[0], op.Rate, l.Name), nil
	case nn.Add:
		return b.Add(b.fused[l.Name], in...), nil
	case nn.Multiply:
		return b.Multiply(in[0], in[1]), nil
	case nn.Scale:
		return b.Scale(in[0], op.Factor), nil
	case nn.Concat:
		return b.Concat(in...), nil
	case nn.MaxPool:
		return b.MaxPool(in[0], op.Geometry()), nil
	case nn.AveragePool:
		return b.AveragePool(in[0], op.Geometry()), nil
	case nn.GlobalAveragePool:
		return b.GlobalAveragePool(in[0]), nil
	case nn.ZeroPad:
		return b.ZeroPad(in[0], op.Margins[0], op.Margins[1], op.Margins[2], op.Margins[3]), nil
	case nn.Flatten:
		return b.Flatten(in[0]), nil
	default:
		return nil, fmt.Errorf("a layer of kind %q cannot be trained yet", l.Op.Kind())
	}
}

// batchNorm adds a batch-norm; x is what the convolution takes that is computed with it, if there is
// one.
func (b *building) batchNorm(l nn.Layer, op nn.BatchNorm, x *graph.Node, parameter map[nn.Role]*graph.Node, statistics map[nn.Role][]float32) (*graph.Node, error) {
	mean, variance := statistics[nn.Mean], statistics[nn.Variance]
	gamma, beta, act := parameter[nn.Gamma], parameter[nn.Beta], b.fused[l.Name]
	if op.Unscaled {
		gamma = b.Fixed(l.Name+".gamma", []int{len(mean)}, slices.Repeat([]float32{1}, len(mean)))
	}
	if b.options.learnsStatistics(l.Name) {
		if rows := x.Shape().TotalSize() / len(mean); rows < 2 {
			return nil, fmt.Errorf("batch-norm cannot learn from a batch of one example")
		}
		return b.BatchNorm(x, gamma, beta, mean, variance, op.Epsilon, op.Momentum, act), nil
	}
	norm := graph.Norm{Gamma: gamma, Beta: beta, Mean: mean, Variance: variance, Epsilon: op.Epsilon}
	if n := b.normed[l.Name]; n != nil {
		return b.ConvNorm(x, n.weight, norm, n.conv.Geometry(x.Shape()[3]), act), nil
	}
	return b.FrozenBatchNorm(x, norm, act), nil
}

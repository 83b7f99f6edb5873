package train

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// lowering is how the layers of one kind become nodes of a graph that learns.
type lowering struct {
	node func(b *building, l layer) (*graph.Node, error)
	// refusal says why no layer of the kind can be trained, or trained through; then there is no node.
	refusal string
	// rectifies tells that the node can apply a rectifier as it stores its output.
	rectifies bool
}

// lowerings tells for each kind of layer how it is trained: the one place of this package to look for an
// op.
func lowerings() map[string]lowering {
	return map[string]lowering{
		nn.Input{}.Kind(): {node: func(b *building, l layer) (*graph.Node, error) { return b.nodes[l.Name], nil }},
		nn.Conv{}.Kind():  {node: lowerConv, rectifies: true},
		nn.BatchNorm{}.Kind(): {
			node: lowerBatchNorm, rectifies: true,
		},
		nn.Activation{}.Kind(): {node: lowerActivation},
		nn.Add{}.Kind(): {
			node:      made(func(b *building, l layer) *graph.Node { return b.Add(b.fused[l.Name], l.in...) }),
			rectifies: true,
		},
		nn.Multiply{}.Kind(): {node: made(func(b *building, l layer) *graph.Node { return b.Multiply(l.in[0], l.in[1]) })},
		nn.Scale{}.Kind():    {node: made(func(b *building, l layer) *graph.Node { return b.Scale(l.in[0], l.Op.(nn.Scale).Factor) })},
		nn.Concat{}.Kind():   {node: made(func(b *building, l layer) *graph.Node { return b.Concat(l.in...) })},
		nn.MaxPool{}.Kind():  {node: made(func(b *building, l layer) *graph.Node { return b.MaxPool(l.in[0], l.Op.(nn.MaxPool).Geometry()) })},
		nn.AveragePool{}.Kind(): {
			node: made(func(b *building, l layer) *graph.Node {
				return b.AveragePool(l.in[0], l.Op.(nn.AveragePool).Geometry())
			}),
		},
		nn.GlobalAveragePool{}.Kind(): {node: made(func(b *building, l layer) *graph.Node { return b.GlobalAveragePool(l.in[0]) })},
		nn.ZeroPad{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			m := l.Op.(nn.ZeroPad).Margins
			return b.ZeroPad(l.in[0], m[0], m[1], m[2], m[3])
		})},
		nn.Dense{}.Kind(): {
			node: made(func(b *building, l layer) *graph.Node {
				return b.Dense(l.in[0], l.parameter[nn.Weight], l.parameter[nn.Bias])
			}),
		},
		nn.Dropout{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			if l.frozen {
				return l.in[0]
			}
			return b.Dropout(l.in[0], l.Op.(nn.Dropout).Rate, l.Name)
		})},
		nn.Flatten{}.Kind(): {node: made(func(b *building, l layer) *graph.Node { return b.Flatten(l.in[0]) })},
		nn.Softmax{}.Kind(): {node: made(func(b *building, l layer) *graph.Node { return b.Softmax(l.in[0]) })},
		nn.Embedding{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			return b.Embedding(l.parameter[nn.Weight], b.ids[l.Inputs[0]], append([]int{b.batch}, b.net.Shape(l.Inputs[0])...)...)
		})},
		nn.LayerNorm{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			return b.LayerNorm(l.in[0], l.parameter[nn.Gamma], l.parameter[nn.Beta], l.Op.(nn.LayerNorm).Epsilon)
		})},
		nn.MatMul{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			op := l.Op.(nn.MatMul)
			return b.MatMul(l.in[0], l.in[1], op.TransposeA, op.TransposeB)
		})},
		nn.Reshape{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			return b.Reshape(l.in[0], append([]int{b.batch}, l.Op.(nn.Reshape).Shape...)...)
		})},
		nn.Transpose{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			axes := []int{0} // the batch
			for _, axis := range l.Op.(nn.Transpose).Axes {
				axes = append(axes, axis+1)
			}
			return b.Transpose(l.in[0], axes...)
		})},
		nn.L2Normalise{}.Kind(): {
			node: made(func(b *building, l layer) *graph.Node { return b.L2Normalise(l.in[0], l.Op.(nn.L2Normalise).Least()) }),
		},
		nn.Affine{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			op := l.Op.(nn.Affine)
			return b.Affine(l.in[0], op.Scale, op.Shift)
		})},
		nn.GradientReversal{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			return b.ReverseGradient(l.in[0], l.Op.(nn.GradientReversal).Lambda, b.reversal)
		})},
		nn.Attention{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			op := l.Op.(nn.Attention)
			return b.DroppedAttention(l.in[0], l.in[1], l.in[2], op.Heads, op.Causal, b.sequencesOf(l.Inputs[0]), op.Dropout, l.Name)
		})},
		nn.Positions{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			return b.Positions(l.in[0], l.parameter[nn.Weight], l.Op.(nn.Positions).First, b.sequencesOf(l.Name))
		})},
		nn.Prepend{}.Kind(): {node: made(func(b *building, l layer) *graph.Node { return b.Prepend(l.in[0], l.parameter[nn.Weight]) })},
		nn.ScaleShift{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			return b.ScaleShift(l.in[0], l.parameter[nn.Gamma], l.parameter[nn.Beta])
		})},
		nn.Window{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			return b.Window(l.in[0], l.Op.(nn.Window).Size, b.sequencesOf(l.Inputs[0]))
		})},
		nn.Recurrent{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			return b.Recurrent(l.in[0], graph.RecurrentWeights{
				Input: l.parameter[nn.Weight], State: l.parameter[nn.StateWeight], Bias: l.parameter[nn.Bias], Inner: l.parameter[nn.StateBias],
			}, l.Op.(nn.Recurrent).Geometry(l.in[0].Shape()[2]), b.sequencesOf(l.Inputs[0]))
		})},
		nn.TokenPool{}.Kind(): {node: made(func(b *building, l layer) *graph.Node {
			op := l.Op.(nn.TokenPool)
			return b.PoolTokens(l.in[0], op.Function, op.Skip, b.sequencesOf(l.Inputs[0]))
		})},
		nn.Neighbours{}.Kind(): {refusal: "neighbours vote, which has no gradient; train a head of another kind"},
	}
}

// made is for nodes that can always be made.
func made(node func(b *building, l layer) *graph.Node) func(*building, layer) (*graph.Node, error) {
	return func(b *building, l layer) (*graph.Node, error) { return node(b, l), nil }
}

// layer is a layer of the network with what its node is made of.
type layer struct {
	nn.Layer
	frozen     bool
	in         []*graph.Node
	parameter  map[nn.Role]*graph.Node // those that an optimizer may change
	statistics map[nn.Role][]float32   // the others
}

// building is a program's graph under construction.
type building struct {
	*graph.Graph
	net     *nn.Network
	weights nn.Weights
	options Options
	batch   int
	ids     map[string][]int32           // by input
	varying map[string]bool              // layers of which an axis varies
	tokens  graph.Sequences              // of the axis that varies; nil if none does
	rows    map[string]lowering          // by kind of layer
	nodes   map[string]*graph.Node       // by layer
	fused   map[string]kernel.Activation // by layer: the rectifier that it applies itself
	normed  map[string]*normed           // by convolution, and by the batch-norm computed with it

	reversal *graph.Node // factor on the gradient reversals
	norms    []float64   // of the gradients through the probes

	rounding map[string]quantise.Steps // by layer whose values are rounded
}

// sequencesOf are the tokens of a layer: those of the axis that varies, some of which are padding, or all that there are.
func (b *building) sequencesOf(layer string) graph.Sequences {
	if b.varying[layer] {
		return b.tokens
	}
	return graph.NewSequences(b.batch, b.net.Shape(layer)[0])
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

// usesOf begins the count of who takes a layer's values with the outputs: what is read there must be the layer's own.
func usesOf(net *nn.Network) map[string]int {
	uses := map[string]int{}
	if outputs := net.Outputs(); len(outputs) > 1 {
		for _, l := range outputs {
			uses[l.Name]++
		}
	}
	return uses
}

// fusedActivations finds the layers that lead into a rectifier and nowhere else, and can apply it as
// they store their output.
func fusedActivations(net *nn.Network, rows map[string]lowering) map[string]kernel.Activation {
	uses, takes := usesOf(net), map[string]bool{}
	for _, l := range net.Layers() {
		takes[l.Name] = rows[l.Op.Kind()].rectifies
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
	if o.Rounding != nil {
		return nil // a convolution's own values may be rounded
	}
	uses, convs := usesOf(net), map[string]nn.Conv{}
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
	row := b.rows[l.Op.Kind()]
	if row.node == nil {
		return nil, fmt.Errorf("a layer of kind %q cannot be trained: %s", l.Op.Kind(), cmp.Or(row.refusal, "its gradient is not known"))
	}
	full := layer{Layer: l, frozen: b.options.Freeze(l.Name), parameter: map[nn.Role]*graph.Node{}, statistics: map[nn.Role][]float32{}}
	for _, name := range l.Inputs {
		full.in = append(full.in, b.nodes[name])
	}
	if at := slices.Index(b.options.Probes, l.Name); at >= 0 && b.Learns(full.in[0]) {
		full.in[0] = b.Probe(full.in[0], &b.norms[at])
	}
	for _, q := range b.net.LayerParameters(l) {
		data := b.weights[q.Name()].Data
		switch {
		case !q.Role.Trained():
			full.statistics[q.Role] = data
		case full.frozen || b.options.Keeps(q):
			full.parameter[q.Role] = b.Fixed(q.Name(), q.Shape, data)
		default:
			full.parameter[q.Role] = b.Learned(q.Name(), q.Shape, data)
		}
		if q.Role == nn.Weight {
			full.parameter[q.Role] = b.roundedWeight(l, full.parameter[q.Role])
		}
	}
	node, err := row.node(b, full)
	if err != nil {
		return nil, err
	}
	return b.rounded(l.Name, node), nil
}

// lowerConv adds a convolution, or leaves it to the batch-norm that it is computed with.
func lowerConv(b *building, l layer) (*graph.Node, error) {
	weight := l.parameter[nn.Weight]
	if n := b.normed[l.Name]; n != nil {
		n.weight = weight
		return l.in[0], nil
	}
	geometry := l.Op.(nn.Conv).Geometry(l.in[0].Shape()[3])
	return b.Conv(l.in[0], weight, l.parameter[nn.Bias], geometry, b.fused[l.Name]), nil
}

// lowerActivation adds a function, unless the layer below applies it itself.
func lowerActivation(b *building, l layer) (*graph.Node, error) {
	if b.fused[l.Inputs[0]] != kernel.None {
		return l.in[0], nil
	}
	return b.Activate(l.in[0], l.Op.(nn.Activation).Function), nil
}

// lowerBatchNorm adds a batch-norm. What it takes is what the convolution takes that is computed with it,
// if there is one.
func lowerBatchNorm(b *building, l layer) (*graph.Node, error) {
	op, x := l.Op.(nn.BatchNorm), l.in[0]
	mean, variance := l.statistics[nn.Mean], l.statistics[nn.Variance]
	gamma, beta, act := l.parameter[nn.Gamma], l.parameter[nn.Beta], b.fused[l.Name]
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

package head

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Head describes the classifier from features to classes. YAML spells it tutorial, linear, the name of a classifier that is
// fitted to its end, or a mapping.
type Head struct {
	Kind string `yaml:"kind" doc:"network, trained by gradient descent (the default), or, on features, a classical classifier: logistic or another of those above"`
	shallow.Settings
	Hidden     []int     `yaml:"hidden" min:"1" max:"65536" doc:"of network: widths of the hidden layers, first to last"`
	Dropout    []float64 `yaml:"dropout" min:"0" max:"0.99" doc:"dropout probability after each hidden layer: one for all layers, or one each"`
	BatchNorm  bool      `yaml:"batch_norm" doc:"normalise each hidden layer before its activation"`
	Activation string    `yaml:"activation" enum:"relu,relu6,silu,hardswish,sigmoid,tanh,gelu" doc:"of the hidden layers"`
}

// Tutorial is the head of the transfer-learning tutorial, with the dropout
// rates that such heads commonly have.
func Tutorial() Head {
	return Head{Kind: network, Hidden: []int{256, 128}, Dropout: []float64{0.5, 0.3}, BatchNorm: true, Activation: "relu"}
}

func Linear() Head { return Head{Kind: network, Activation: "relu"} }

// Fitted is a classifier that is fitted to its end.
func Fitted(kind string) Head { return Head{Kind: kind, Activation: "relu"} }

// Converges tells whether the head is fitted to its end, without a rate and epochs.
func (h Head) Converges() bool { return h.Kind != network }

// Words for heads.
const (
	tutorial = "tutorial"
	linear   = "linear"
	network  = "network"
)

func words() []string { return append([]string{tutorial, linear}, shallow.Names()...) }

// DecodeParam implements params.Decoder.
func (h *Head) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		_, fitted := shallow.Find(node.Value)
		switch {
		case node.Value == tutorial:
			*h = Tutorial()
		case node.Value == linear:
			*h = Linear()
		case fitted:
			*h = Fitted(node.Value)
		default:
			d.Errorf(node, params.DidYouMean(node.Value, words()), "%q is no head", node.Value)
		}
		return
	}
	type plain Head
	p := plain{Kind: network, BatchNorm: true, Activation: "relu"}
	d.Into(node, &p)
	kind, fitted := shallow.Find(p.Kind)
	if !fitted && p.Kind != network {
		d.At("kind", func() {
			d.Errorf(params.Locate(node, "kind"), params.DidYouMean(p.Kind, append([]string{network}, shallow.Names()...)), "%q is no kind of head", p.Kind)
		})
		return
	}
	if fitted {
		if len(p.Hidden) > 0 || len(p.Dropout) > 0 {
			d.Errorf(node, "leave hidden and dropout out", "%s has no hidden layers", p.Kind)
		}
		p.BatchNorm = false
	}
	for _, setting := range p.Given() {
		if !slices.Contains(kind.Takes, setting) {
			d.At(setting, func() {
				d.Errorf(params.Locate(node, setting), takers(setting), "a head of kind %s has no %s", p.Kind, setting)
			})
		}
	}
	if n := len(p.Dropout); n > 1 && n != len(p.Hidden) {
		d.At("dropout", func() {
			d.Errorf(params.Locate(node, "dropout"), "give one for all, or one each", "%d rates for %d hidden layers", n, len(p.Hidden))
		})
	}
	*h = Head(p)
}

// takers tells which kinds have a setting.
func takers(setting string) string {
	var names []string
	for _, k := range shallow.Kinds() {
		if slices.Contains(k.Takes, setting) {
			names = append(names, k.Name)
		}
	}
	return "kind: " + strings.Join(names, " or ") + " has it"
}

// ParamSchema implements params.Schemer.
func (Head) ParamSchema(inner map[string]any) map[string]any {
	if properties, ok := inner["properties"].(map[string]any); ok {
		if kind, ok := properties["kind"].(map[string]any); ok {
			kind["enum"] = append([]string{network}, shallow.Names()...)
		}
	}
	return map[string]any{"anyOf": []any{map[string]any{"enum": words()}, inner}}
}

// Initialise gives the weights that the layers of a head begin with, in a network that ends in one.
// Unless start says that it is drawn, the last layer of each output is 0, so that the first answer is that all classes are equally probable and the
// first step does not depend on chance (as in Big Transfer, Kolesnikov et al. 2019,
// arXiv:1912.11370, and fine-tuned vision transformers): with more features than rows, random
// weights stay where no row says anything. Other weights are drawn from the seed as Keras
// draws them, uniform with variance 2/(fan-in + fan-out) (Glorot and Bengio 2010); biases are 0.
func Initialise(net *nn.Network, seed uint64, start Start) nn.Weights {
	below := slices.ContainsFunc(net.Layers(), func(l nn.Layer) bool { return Contains(l.Name) }) // or else all is the head's
	out := net.InitialiseSomeGlorot(seed, func(p nn.Parameter) bool { return !below || Contains(p.Layer) })
	if start.Drawn() {
		return out
	}
	for _, o := range net.Outputs() { // also that of a discriminator
		alone, err := net.Cut(o.Name)
		if err != nil {
			panic(err) // the output is one of the network's layers
		}
		last := alone.Layers()[0]
		for _, l := range alone.Layers() {
			if _, ok := l.Op.(nn.Dense); ok {
				last = l
			}
		}
		clearLayer(net, last, out)
	}
	return out
}

// InitialiseTasks is [Initialise] of a network each output of which is the answer of a task: the last layers of all tasks
// begin at 0.
func InitialiseTasks(net *nn.Network, seed uint64) nn.Weights {
	out := net.InitialiseGlorot(seed)
	for _, last := range net.Outputs() {
		for {
			if _, dense := last.Op.(nn.Dense); dense || len(last.Inputs) != 1 {
				break
			}
			last, _ = net.Find(last.Inputs[0])
		}
		clearLayer(net, last, out)
	}
	return out
}

func clearLayer(net *nn.Network, l nn.Layer, weights nn.Weights) {
	for _, p := range net.LayerParameters(l) {
		clear(weights[p.Name()].Data)
	}
}

// dropout is the rate after hidden layer i.
func (h Head) dropout(i int) float64 {
	switch len(h.Dropout) {
	case 0:
		return 0
	case 1:
		return h.Dropout[0]
	}
	return h.Dropout[i]
}

// Scope is where the layers of a head stand in a network that has a backbone.
const Scope = "classifier"

// Contains tells whether a layer of a network with a backbone belongs to its head.
func Contains(layer string) bool { return nn.InScope(layer, Scope) }

// StandardiseLayer is the layer that standardises features.
const StandardiseLayer = "standardise"

// standardiseEpsilon is added to variances, so that features that hardly vary
// are not blown up.
const standardiseEpsilon = 1e-5

// Network builds the head for features of the given shape. Batch-norms are as
// in Keras, but that the running statistics move by a tenth at each step, as in
// PyTorch, instead of a hundredth: small trainings have few steps. Dense layers
// before a batch-norm have no bias, which it would take off.
func (h Head) Network(features nn.Shape, a Answer, standardise bool) (*nn.Network, error) {
	b := nn.NewBuilder()
	x := b.Input("features", features...)
	if len(features) != 1 {
		x = b.Layer("flatten", nn.Flatten{}, x)
	}
	if standardise {
		x = b.Layer(StandardiseLayer, nn.BatchNorm{Epsilon: standardiseEpsilon, Momentum: 0.9}, x)
	}
	for i, width := range h.Hidden {
		s := b.Scope(fmt.Sprintf("hidden%d", i+1))
		x = s.Layer("dense", nn.Dense{Out: width, Bias: !h.BatchNorm}, x)
		if h.BatchNorm {
			x = s.Layer("norm", nn.BatchNorm{Epsilon: 1e-3, Momentum: 0.9}, x)
		}
		x = s.Layer("activation", nn.Activation{Function: activation(h.Activation)}, x)
		if rate := h.dropout(i); rate > 0 {
			x = s.Layer("dropout", nn.Dropout{Rate: float32(rate)}, x)
		}
	}
	a.layers(b, x)
	net, err := b.Network()
	if err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	return net, nil
}

// activation returns the function of that name.
func activation(name string) kernel.Activation {
	for f := kernel.ReLU; f <= kernel.GELU; f++ {
		if f.String() == name {
			return f
		}
	}
	return kernel.None
}

// Upon puts the head upon a backbone.
func (h Head) Upon(trunk *nn.Network, a Answer) (*nn.Network, error) {
	top := trunk.Output().Name
	alone, err := h.Network(trunk.Shape(top), a, false)
	if err != nil {
		return nil, err
	}
	features := alone.Inputs()[0].Name
	layers := trunk.Layers()
	for _, l := range alone.Layers() {
		if l.Name == features {
			continue
		}
		above := nn.Layer{Name: Scope + "." + l.Name, Op: l.Op}
		for _, input := range l.Inputs {
			if input == features {
				above.Inputs = append(above.Inputs, top)
			} else {
				above.Inputs = append(above.Inputs, Scope+"."+input)
			}
		}
		layers = append(layers[:len(layers):len(layers)], above)
	}
	var outputs []string
	for _, l := range alone.Outputs() {
		outputs = append(outputs, Scope+"."+l.Name)
	}
	return nn.New(layers, outputs...)
}

package method

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
)

// Network is what learns by gradient descent.
type Network struct {
	Hidden        []int   `yaml:"hidden" min:"1" max:"65536" doc:"widths of the layers up to the features that are aligned, the last of which is the bottleneck; [] aligns the features that the backbone gives, some layers of which must learn then"`
	Task          []int   `yaml:"task" min:"1" max:"65536" doc:"widths of the hidden layers from there to the classes"`
	Discriminator []int   `yaml:"discriminator" min:"1" max:"65536" doc:"of dann and cdan: widths of the hidden layers of the discriminator"`
	Dropout       float64 `yaml:"dropout" min:"0" max:"0.99" doc:"probability after each hidden layer but the bottleneck"`
	BatchNorm     bool    `yaml:"batch_norm" doc:"normalise the hidden layers below the bottleneck"`
}

// OnFeatures is the network of the domain-adaptation tutorial: 128, 64 and 50 with batch-norm and dropout between them, a
// task head and a discriminator of 32 each.
func OnFeatures() Network {
	return Network{Hidden: []int{128, 64, 50}, Task: []int{32}, Discriminator: []int{32}, Dropout: 0.3, BatchNorm: true}
}

// OnBackbone is what stands upon a backbone: a bottleneck of 256, and a discriminator of 256 (Transfer-Learning-Library's
// is of 1024 twice).
func OnBackbone() Network {
	return Network{Hidden: []int{256}, Discriminator: []int{256}, Dropout: 0.5, BatchNorm: true}
}

// Complete takes from another network what is not among the keys that were given.
func (n *Network) Complete(from Network, given map[string]bool) {
	if !given["hidden"] {
		n.Hidden = from.Hidden
	}
	if !given["task"] {
		n.Task = from.Task
	}
	if !given["discriminator"] {
		n.Discriminator = from.Discriminator
	}
	if !given["dropout"] {
		n.Dropout = from.Dropout
	}
	if !given["batch_norm"] {
		n.BatchNorm = from.BatchNorm
	}
}

// Names of layers, in the scope of the head where there is a backbone.
const (
	probabilities = "probabilities"
	logits        = "logits"
	discriminator = "discriminator."
	domainLayer   = discriminator + probabilities
)

// mostProducts is how wide the products of features and answers may be.
const mostProducts = 1 << 16

// Upon builds the network for a method upon a backbone, nil for features of a shape as they are. Its first output has the
// classes' probabilities, the second, of adversarial methods, those of the domains.
func (n Network) Upon(trunk *nn.Network, features nn.Shape, classes int, m Method, standardise bool) (*nn.Network, error) {
	b := nn.NewBuilder()
	x := b.Input("features", features...)
	if len(features) != 1 {
		x = b.Layer("flatten", nn.Flatten{}, x)
	}
	if standardise && trunk == nil {
		x = b.Layer(head.StandardiseLayer, nn.BatchNorm{Epsilon: 1e-5, Momentum: 0.9}, x)
	}
	x = n.layers(b, "hidden", x, n.Hidden, true)
	bottleneck := x
	task := n.layers(b, "task", bottleneck, n.Task, false)
	var told nn.Value
	if m.Kind == DANN || m.Kind == CDAN {
		told = bottleneck
		if m.Kind == CDAN {
			// The answers are computed once more, from the same layer: it is laid out before the discriminator.
			if width := bottleneck.Shape.Size() * classes; width > mostProducts {
				return nil, fmt.Errorf("cdan: %d features times %d classes are too many for a discriminator: make the last of hidden narrower", bottleneck.Shape.Size(), classes)
			}
		}
	}
	answers := b.Layer(logits, nn.Dense{Out: classes, Bias: true}, task)
	p := b.Layer(probabilities, nn.Softmax{}, answers)
	outputs := []nn.Value{p}
	if told.Name != "" {
		s := b.Scope("discriminator")
		if m.Kind == CDAN {
			constant := s.Layer("answers", nn.GradientReversal{}, p) // a reversal times 0: no gradient flows to the answers
			column := s.Layer("column", nn.Reshape{Shape: []int{bottleneck.Shape.Size(), 1}}, bottleneck)
			row := s.Layer("row", nn.Reshape{Shape: []int{1, classes}}, constant)
			told = s.Layer("flat", nn.Flatten{}, s.Layer("products", nn.MatMul{}, column, row))
		}
		x := s.Layer("reversal", nn.GradientReversal{Lambda: 1}, told)
		for i, width := range n.Discriminator {
			x = s.Layer(fmt.Sprintf("dense%d", i+1), nn.Dense{Out: width, Bias: true}, x)
			x = s.Layer(fmt.Sprintf("relu%d", i+1), nn.Activation{Function: kernel.ReLU}, x)
			if n.Dropout > 0 {
				x = s.Layer(fmt.Sprintf("dropout%d", i+1), nn.Dropout{Rate: float32(n.Dropout)}, x)
			}
		}
		outputs = append(outputs, s.Layer(probabilities, nn.Softmax{}, s.Layer(logits, nn.Dense{Out: 2, Bias: true}, x)))
	}
	b.Outputs(outputs...)
	alone, err := b.Network()
	if err != nil {
		return nil, fmt.Errorf("network of %s: %w", m.Kind, err)
	}
	if trunk == nil {
		return alone, nil
	}
	return graft(trunk, alone)
}

// layers adds hidden layers. The last one is the bottleneck if bottleneck is set: without dropout, and on its own
// without batch-norm.
func (n Network) layers(b *nn.Builder, name string, x nn.Value, widths []int, bottleneck bool) nn.Value {
	for i, width := range widths {
		last := bottleneck && i == len(widths)-1
		norm := n.BatchNorm && bottleneck && (!last || len(widths) == 1)
		s := b.Scope(fmt.Sprintf("%s%d", name, i+1))
		x = s.Layer("dense", nn.Dense{Out: width, Bias: !norm}, x)
		if norm {
			x = s.Layer("norm", nn.BatchNorm{Epsilon: 1e-3, Momentum: 0.9}, x)
		}
		x = s.Layer("activation", nn.Activation{Function: kernel.ReLU}, x)
		if n.Dropout > 0 && !last {
			x = s.Layer("dropout", nn.Dropout{Rate: float32(n.Dropout)}, x)
		}
	}
	return x
}

// graft puts a network upon a backbone, in the scope of the head.
func graft(trunk, above *nn.Network) (*nn.Network, error) {
	top, features := trunk.Output().Name, above.Inputs()[0].Name
	rename := func(name string) string {
		if name == features {
			return top
		}
		return head.Scope + "." + name
	}
	layers := append([]nn.Layer{}, trunk.Layers()...)
	for _, l := range above.Layers() {
		if l.Name == features {
			continue
		}
		own := nn.Layer{Name: rename(l.Name), Op: l.Op}
		for _, input := range l.Inputs {
			own.Inputs = append(own.Inputs, rename(input))
		}
		layers = append(layers, own)
	}
	var outputs []string
	for _, l := range above.Outputs() {
		outputs = append(outputs, rename(l.Name))
	}
	return nn.New(layers, outputs...)
}

// Layers are the names that a network's parts have, in the scope of the head if it stands upon a backbone.
type Layers struct {
	Features      string // that are aligned; the input if there is no hidden layer
	Penultimate   string // that the last layer takes
	Logits        string
	Probabilities string
	Domain        string // "" without a discriminator
}

// LayersOf finds the parts of a network of this package, or of one that ends in a dense layer and a softmax.
func LayersOf(net *nn.Network) Layers {
	l := Layers{Probabilities: net.Output().Name}
	end, _ := net.Find(l.Probabilities)
	l.Logits = l.Probabilities
	if _, votes := end.Op.(nn.Neighbours); votes {
		l.Penultimate, l.Features = end.Inputs[0], end.Inputs[0]
		return l
	}
	for { // down to the last dense layer
		if _, dense := end.Op.(nn.Dense); dense || len(end.Inputs) == 0 {
			break
		}
		end, _ = net.Find(end.Inputs[0])
	}
	if len(end.Inputs) > 0 {
		l.Logits, l.Penultimate = end.Name, end.Inputs[0]
	}
	l.Features = l.Penultimate
	prefix := ""
	if head.Contains(l.Probabilities) {
		prefix = head.Scope + "."
	}
	for i := 1; ; i++ { // the bottleneck, if the network is of this package
		name := fmt.Sprintf("%shidden%d.activation", prefix, i)
		if at, ok := net.Find(name); !ok || at.Name != name {
			break
		}
		l.Features = name
	}
	if at, ok := net.Find(prefix + domainLayer); ok && at.Name == prefix+domainLayer {
		l.Domain = at.Name
	}
	return l
}

package deploy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/fold"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Model is a network ready to be written for other programs.
type Model struct {
	Network *nn.Network // one input and one output, folded
	Weights nn.Weights
	// Trained is the network before it was folded, with its batch-norms.
	Trained struct {
		Network *nn.Network
		Weights nn.Weights
	}
	Pixels *Pixels     // nil: the input is made of no picture
	Tokens *Tokens     // nil: the input is made of no text's tokens
	Head   record.Head // what the output tells
	// Description is that of the stored model; of a backbone, its input and origin.
	Description record.Description
	Scheme      *quantise.Scheme // by which the model computes with bytes; nil: it does not
	Notes       []string         // for people: in what the file differs from what tlpipe runs
}

// Pixels tell how the network's input is made.
type Pixels struct {
	Height, Width int
	Scale, Shift  [3]float32 // of each channel of the input: Scale·v + Shift, of v in 0 … 255
	BGR           bool       // the input's channels are blue, green, red
}

// pixelsOf are those of a normalisation, for pictures of a size.
func pixelsOf(n record.NormaliseStep, height, width int) *Pixels {
	p := &Pixels{Height: height, Width: width, BGR: n.Channels == "bgr"}
	for c := range 3 {
		p.Scale[c] = float32(1 / (n.Divisor * float64(n.Std[c])))
		p.Shift[c] = float32(-float64(n.Mean[c]) / float64(n.Std[c]))
	}
	return p
}

// Stored makes a model of a stored one. weights is the file of the backbone's weights, for models of features that were
// made with weights from a file; "" if there is none.
func Stored(stored *classifier.Classifier, weights string) (*Model, error) {
	m := &Model{Network: stored.Network, Weights: stored.Weights, Head: stored.Head(), Description: stored.Description, Scheme: stored.Scheme()}
	steps := stored.Input().Transforms
	if u := steps.Unknown(); u != nil {
		return nil, fmt.Errorf("the model's input is made by the transform %q, which this version of tlpipe does not know", u.Name)
	}
	var err error
	if m.Network, m.Weights, err = adapter.Merge(m.Network, m.Weights); err != nil {
		return nil, err
	}
	if texts, err := stored.Transforms(); err != nil {
		return nil, err
	} else if texts.OnTexts() {
		if err := m.onTexts(texts, weights); err != nil {
			return nil, err
		}
		return m, m.fold()
	}
	if made, ok := steps.Extraction(); ok {
		if m.Scheme != nil {
			m.Scheme = nil
			m.Notes = append(m.Notes, "only the head is quantised: the backbone of its features is in float32, and so is the file")
		}
		if err := m.putBelow(made, steps.WithoutFeatures(), weights); err != nil {
			return nil, fmt.Errorf("put the backbone of the model's features below it: %w", err)
		}
	}
	shape := m.Network.Shape(m.Network.Inputs()[0].Name)
	for _, step := range steps.WithoutFeatures() {
		if n, ok := step.(record.NormaliseStep); ok && len(shape) == 3 && shape[2] == 3 {
			m.Pixels = pixelsOf(n, shape[0], shape[1])
		}
	}
	switch {
	case m.Pixels != nil:
	case len(shape) == 1:
		m.Notes = append(m.Notes, "the file takes rows of numbers as they are, float32")
	default:
		m.Notes = append(m.Notes, "the model does not tell how its input is made of pictures: the file takes the input as it is, float32")
	}
	return m, m.fold()
}

// NeedsWeights tells whether a stored model may be a head on features, whose backbone, encoder or word vectors it does not hold.
func NeedsWeights(stored *classifier.Classifier) bool {
	if _, features := stored.Input().Transforms.Extraction(); features {
		return true
	}
	steps, err := stored.Transforms()
	_, features := steps.Extraction()
	return err != nil || features || steps.OnTexts()
}

// putBelow puts the backbone that made the features below the network.
func (m *Model) putBelow(made record.Extraction, steps record.Transforms, file string) error {
	if made.Flip {
		return errors.New("its features are averaged over the picture and its mirror image, which is not one network")
	}
	var height, width int
	for _, step := range steps {
		switch s := step.(type) {
		case record.ResizeStep:
			height, width = s.Height, s.Width
		case record.CropStep:
			height, width = s.Height, s.Width
		case record.PadStep:
			height, width = s.Height, s.Width
		}
	}
	b, err := backbone.Find(made.Backbone)
	if err != nil {
		return err
	}
	choice, err := b.Recall(made, file)
	if err != nil {
		return err
	}
	below, err := choice.Network(height, width)
	if err != nil {
		return err
	}
	if below, err = below.Cut(made.Layer); err != nil {
		return err
	}
	belowWeights, err := choice.Load(below, made.Seed)
	if err != nil {
		return err
	}
	if made.Precision != "" && made.Precision != "fp32" {
		m.Notes = append(m.Notes, notComputedIn(made.Precision))
	}
	return m.join(below, belowWeights)
}

// notComputedIn tells that a file computes features in another precision than the model learned from.
func notComputedIn(precision string) string {
	return fmt.Sprintf("the features were computed in %s; the file computes them in the precision that was asked for", precision)
}

// BackbonePrefix stands before the names of a backbone's layers that were put below those of a head.
const BackbonePrefix = "backbone."

// join puts a network below the model's, whose input has as many numbers as its output.
func (m *Model) join(below *nn.Network, weights nn.Weights) error {
	layers, joined := []nn.Layer{}, nn.Weights{}
	rename := func(name string) string { return BackbonePrefix + name }
	renamed, err := below.Rename(rename)
	if err != nil {
		return err
	}
	layers = append(layers, renamed.Layers()...)
	for name, t := range weights {
		joined[rename(name)] = t
	}
	maps.Copy(joined, m.Weights)
	input := m.Network.Inputs()[0]
	from, to := renamed.Shape(renamed.Output().Name), m.Network.Shape(input.Name)
	names := map[string]string{input.Name: renamed.Output().Name}
	if !slices.Equal(from, to) {
		if from.Size() != to.Size() {
			return fmt.Errorf("it gives %v numbers, the model takes %v", from, to)
		}
		name := BackbonePrefix + "features"
		layers = append(layers, nn.Layer{Name: name, Op: nn.Reshape{Shape: to}, Inputs: []string{renamed.Output().Name}})
		names[input.Name] = name
	}
	for _, l := range m.Network.Layers() {
		if l.Name == input.Name {
			continue
		}
		inputs := slices.Clone(l.Inputs)
		for i, name := range inputs {
			if other, ok := names[name]; ok {
				inputs[i] = other
			}
		}
		layers = append(layers, nn.Layer{Name: l.Name, Op: l.Op, Inputs: inputs})
	}
	net, err := nn.New(layers, m.Network.Output().Name)
	if err != nil {
		return err
	}
	m.Network, m.Weights = net, joined
	return nil
}

// Backbone makes a model of a backbone with its own classifier, or of its features where it has none. size is the height
// and width of pictures in pixels, 0 for that of its weights.
func Backbone(b backbone.Backbone, choice *backbone.ResolvedWeights, size int) (*Model, error) {
	p, err := choice.Preprocessing()
	if err != nil {
		return nil, err
	}
	if size != 0 {
		p.Height, p.Width = size, size
	}
	net, err := choice.Network(p.Height, p.Width)
	if err != nil {
		return nil, err
	}
	weights, err := choice.Load(net, 1)
	if err != nil {
		return nil, err
	}
	m := &Model{Network: net, Weights: weights, Pixels: pixelsOf(p.Normalisation(), p.Height, p.Width)}
	n := net.Shape(net.Output().Name).Size()
	names := choice.Classes()
	if len(names) != n {
		names = make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("%d", i)
		}
	}
	if b.Logits != "" {
		layers := append(slices.Clone(net.Layers()), nn.Layer{Name: "probabilities", Op: nn.Softmax{}, Inputs: []string{net.Output().Name}})
		if m.Network, err = nn.New(layers); err != nil {
			return nil, err
		}
		m.Head = record.SingleLabelHead("label", distinct(names))
	} else {
		m.Head = record.RegressionHead("features", names)
	}
	stored := classifier.New(m.Network, weights, m.Head, p.Transforms())
	m.Description = stored.Description
	origin, err := choice.Origin()
	if err != nil {
		return nil, err
	}
	m.Description.Origins = []record.Origin{origin}
	return m, m.fold()
}

// distinct makes names that are there twice tell their places.
func distinct(names []string) []string {
	seen := map[string]bool{}
	out := slices.Clone(names)
	for i, name := range out {
		if seen[name] {
			out[i] = fmt.Sprintf("%s (%d)", name, i)
		}
		seen[out[i]] = true
	}
	return out
}

// fold leaves what the output needs, and folds it.
func (m *Model) fold() (err error) {
	if m.Network, err = m.Network.Cut(m.Network.Output().Name); err != nil {
		return err
	}
	m.Weights = m.Weights.Select(m.Network)
	m.Trained.Network, m.Trained.Weights = m.Network, m.Weights
	m.Network, m.Weights, err = fold.Fold(m.Network, m.Weights)
	return err
}

// Compile makes the program by which tlpipe computes the model, by a scheme or, for nil, in float32.
func (m *Model) Compile(s *quantise.Scheme) (*frozen.Program, error) {
	return frozen.By(s).Compile(m.Network, m.Weights)
}

// Input is the layer that takes the examples.
func (m *Model) Input() nn.Layer { return m.Network.Inputs()[0] }

// OutputName is the name of the output for people and files.
func (m *Model) OutputName() string {
	if m.Head.Task == record.Regression {
		return "numbers"
	}
	return "probabilities"
}

// Input makes the network's input of the pixels of a picture, RGB.
func (p *Pixels) Input(pixels []uint8) []float32 {
	out := make([]float32, len(pixels))
	for i, v := range pixels {
		c := i % 3
		at := i
		if p.BGR {
			at, c = i-c+2-c, 2-c
		}
		out[at] = p.Scale[c]*float32(v) + p.Shift[c]
	}
	return out
}

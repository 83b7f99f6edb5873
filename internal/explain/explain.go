package explain

import (
	"errors"
	"fmt"
	"image"
	"slices"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Method says how a heat map was made.
type Method string

// The methods.
const (
	GradCAM   Method = "Grad-CAM"
	Occlusion Method = "occlusion"
)

// Map is a heat map: Values are [Height][Width], from 0 to 1. All are 0 where nothing speaks for the output.
type Map struct {
	Height, Width int
	Values        []float32
	Method        Method
}

// Explainer makes heat maps for one model. One goroutine may use it at a time.
type Explainer struct {
	head    record.Head
	prepare *picture.Preparation
	size    nn.Shape // of a picture
	mirror  bool     // features are the mean of those of the picture and of its mirror image

	// For Grad-CAM: what makes the last feature map, and what follows it.
	trunk   *frozen.Session
	feature nn.Shape
	tail    chain

	// For occlusion: the backbone, if there is one, and the network that the model is.
	stages []*frozen.Session
	shapes []nn.Shape // of what each gives
	cost   int64      // multiply-adds of a picture
}

// New makes an explainer of a stored model of pictures. weights is the file of the backbone's weights, for models of
// features that were made with weights from a file; "" if there is none.
func New(stored *classifier.Classifier, weights string) (*Explainer, error) {
	net, w, err := adapter.Merge(stored.Network, stored.Weights)
	if err != nil {
		return nil, err
	}
	parts := []part{{net, w}}
	e := &Explainer{head: stored.Head()}
	steps := stored.Input().Transforms
	if len(steps.WithoutFeatures()) == 0 {
		return nil, errors.New("the model does not say how its pictures were prepared")
	}
	if e.prepare, err = picture.Prepare(steps.WithoutFeatures()); err != nil {
		return nil, fmt.Errorf("how the model's pictures were prepared: %w", err)
	}
	if made, ok := steps.Extraction(); ok {
		trunk, err := backbonePart(e.prepare, made, weights)
		if err != nil {
			return nil, err
		}
		e.mirror = made.Flip
		parts = []part{trunk, parts[0]}
	}
	e.size = parts[0].net.Shape(parts[0].net.Inputs()[0].Name)
	if len(e.size) != 3 || e.size[2] != 3 {
		return nil, fmt.Errorf("the model takes inputs of shape %v: no pictures", e.size)
	}
	for _, p := range parts {
		e.cost += p.net.MultiplyAdds()
	}
	layer, tail, err := follow(parts)
	if err != nil {
		return e, e.occlude(parts)
	}
	program, err := frozen.Compile(parts[0].net, parts[0].weights, layer)
	if err != nil {
		return nil, err
	}
	e.trunk, e.feature, e.tail = program.NewSession(1), program.OutputShape(0), tail
	return e, nil
}

// part is a network of the one or two that a model is made of.
type part struct {
	net     *nn.Network
	weights nn.Weights
}

// backbonePart is the backbone up to the layer whose values are the features.
func backbonePart(prepare *picture.Preparation, made record.Extraction, file string) (part, error) {
	b, err := backbone.Find(made.Backbone)
	if err != nil {
		return part{}, err
	}
	resolved, err := b.Recall(made, file)
	if err != nil {
		return part{}, err
	}
	net, err := resolved.Network(prepare.Height(), prepare.Width())
	if err == nil {
		net, err = net.Cut(made.Layer)
	}
	if err != nil {
		return part{}, err
	}
	w, err := resolved.Load(net, made.Seed)
	return part{net, w}, err
}

// Cost is the number of multiply-adds that the heat map of a picture takes, about.
func (e *Explainer) Cost() int64 {
	n := int64(1)
	if e.trunk == nil {
		n = occlusions + 1
	}
	if e.mirror {
		n *= 2
	}
	return n * e.cost
}

// Map makes the heat map for one output, by the place of its name in the head, of a prepared and normalised picture, [height, width,
// 3].
func (e *Explainer) Map(pixels []float32, output int) (Map, error) {
	if len(pixels) != e.size.Size() {
		return Map{}, fmt.Errorf("the model takes pictures of %d numbers, and not %d", e.size.Size(), len(pixels))
	}
	if output < 0 || output >= len(e.head.Names()) {
		return Map{}, fmt.Errorf("output %d of %d", output, len(e.head.Names()))
	}
	if e.trunk == nil {
		return e.occlusion(pixels, output)
	}
	features := make([]float32, e.feature.Size())
	if err := e.trunk.Run(nil, pixels, 1, features); err != nil {
		return Map{}, err
	}
	if e.mirror { // the mean of both, as the features are
		mirrored := make([]float32, len(features))
		if err := e.trunk.Run(nil, mirrorOf(pixels, e.size), 1, mirrored); err != nil {
			return Map{}, err
		}
		for i, v := range mirrorOf(mirrored, e.feature) {
			features[i] = (features[i] + v) / 2
		}
	}
	x := make([]float64, len(features))
	for i, v := range features {
		x[i] = float64(v)
	}
	gradient := e.tail.gradient(x, output)
	height, width, channels := e.feature[0], e.feature[1], e.feature[2]
	weights := make([]float64, channels)
	for i, g := range gradient {
		weights[i%channels] += g / float64(height*width)
	}
	heat := make([]float64, height*width)
	for i, v := range x {
		heat[i/channels] += weights[i%channels] * v
	}
	return scaled(heat, height, width, GradCAM), nil
}

// Picture makes the heat map for a picture as the network sees it before normalisation, such as a table of images holds it.
func (e *Explainer) Picture(seen *image.NRGBA, output int) (Map, error) {
	bounds := seen.Bounds()
	if bounds.Dx() != e.size[1] || bounds.Dy() != e.size[0] {
		return Map{}, fmt.Errorf("the model takes pictures of %d×%d pixels, and not %d×%d", e.size[1], e.size[0], bounds.Dx(), bounds.Dy())
	}
	bytes := make([]uint8, 0, e.size.Size())
	for y := range e.size[0] {
		for x := range e.size[1] {
			c := seen.NRGBAAt(bounds.Min.X+x, bounds.Min.Y+y)
			bytes = append(bytes, c.R, c.G, c.B)
		}
	}
	pixels := make([]float32, len(bytes))
	e.prepare.Normalise(pixels, bytes)
	return e.Map(pixels, output)
}

// File makes the heat map for a picture file, given by its bytes, and returns the picture as the network sees it too. A file that is
// no picture is an error with a reason for people.
func (e *Explainer) File(file []byte, output int) (*image.NRGBA, Map, error) {
	bytes := make([]uint8, e.prepare.Size())
	if err := e.prepare.Pixels(picture.NewDecoder(), bytes, file); err != nil {
		return nil, Map{}, err
	}
	seen := image.NewNRGBA(image.Rect(0, 0, e.prepare.Width(), e.prepare.Height()))
	for i := range len(bytes) / 3 {
		copy(seen.Pix[4*i:4*i+3], bytes[3*i:3*i+3])
		seen.Pix[4*i+3] = 255
	}
	m, err := e.Picture(seen, output)
	return seen, m, err
}

// scaled cuts off what is below zero and makes the greatest 1.
func scaled(heat []float64, height, width int, method Method) Map {
	m := Map{height, width, make([]float32, len(heat)), method}
	if top := slices.Max(heat); top > 0 {
		for i, v := range heat {
			m.Values[i] = float32(max(v, 0) / top)
		}
	}
	return m
}

func mirrorOf(x []float32, shape nn.Shape) []float32 {
	out := make([]float32, len(x))
	width, channels := shape[1], shape[2]
	for i := range len(x) / channels {
		row, column := i/width, i%width
		to := row*width + width - 1 - column
		copy(out[to*channels:(to+1)*channels], x[i*channels:(i+1)*channels])
	}
	return out
}

// follow goes back from the output over layers that are known, to the last feature map: a layer of the first part.
func follow(parts []part) (layer string, tail chain, err error) {
	for i := len(parts) - 1; i >= 0; i-- {
		p := parts[i]
		name := p.net.Output().Name
		for {
			if shape := p.net.Shape(name); len(shape) == 3 && shape[0]*shape[1] > 1 {
				if i > 0 { // the second part takes maps, which it goes on from
					break
				}
				slices.Reverse(tail)
				return name, tail, nil
			}
			l, ok := p.net.Find(name)
			if _, input := l.Op.(nn.Input); !ok || input {
				break
			}
			if len(l.Inputs) != 1 {
				return "", nil, errNoChain
			}
			s := step{op: l.Op, in: p.net.Shape(l.Inputs[0]), out: p.net.Shape(name), weights: func(r nn.Role) []float32 {
				return p.weights[nn.Parameter{Layer: l.Name, Role: r}.Name()].Data
			}}
			if !s.known() {
				return "", nil, errNoChain
			}
			tail = append(tail, s)
			name = l.Inputs[0]
		}
	}
	return "", nil, errNoChain
}

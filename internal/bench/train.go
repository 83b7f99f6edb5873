package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
)

// Train says how to measure steps of training a backbone with a new head: forward, backward, and
// the optimizer's change of the weights, by gradient descent with momentum. The weights are random, the
// pixels decoded and normalised.
type Train struct {
	Backbone string // a name of the zoo
	Size     int    // height and width of the pictures in pixels; 0 for that of the backbone's weights
	Classes  int    // of the head, at least 2
	Trained  string // "head", "all", or "top:N": the head and the N last layers below it, of any kind
	// Precision is that of the products; see [train.Options].
	Precision frozen.Precision
	// FixedNorms lets the batch-norms that learn keep their statistics.
	FixedNorms bool
	// Cached starts steps from the activations below the lowest layer that learns, at the last passage
	// there; see [nn.Network.Above].
	Cached  bool
	Batch   int // pictures a step, at least 2
	Threads int // at least 1
	WarmUp  int // steps that do not count
	Repeat  int // steps, at least 1
}

// Training is the measurement.
type Training struct {
	Backbone        string  `json:"backbone"`
	Trained         string  `json:"train"`
	Precision       string  `json:"precision"`
	FixedNorms      bool    `json:"fixed_norms,omitempty"`
	From            string  `json:"from,omitempty"` // the layer whose cached activations steps start from
	Batch           int     `json:"batch"`
	Threads         int     `json:"threads"`
	Height          int     `json:"height"`
	Width           int     `json:"width"`
	Instructions    string  `json:"instructions"`   // set in use
	Note            string  `json:"note,omitempty"` // what is computed where they have none for the precision
	Repeat          int     `json:"repeat"`
	Parameters      int64   `json:"trained_parameters"`
	ImagesPerSecond float64 `json:"images_per_second"` // of the best step
	Median          float64 `json:"median_images_per_second"`
	GFLOPS          float64 `json:"gflops"` // 10⁹ operations a second by the definition of the layers and their gradients, of the best step
}

// Measure takes the steps. A mistake in what was asked for is a *[RequestError].
func (t Train) Measure(ctx context.Context) (_ *Training, err error) {
	if t.Batch < 2 || t.Classes < 2 || t.Threads < 1 || t.Repeat < 1 || t.WarmUp < 0 {
		return nil, &RequestError{fmt.Errorf("batch %d, classes %d, threads %d, repeat %d, warm-up %d: want 2, 2, 1, 1, 0 or more",
			t.Batch, t.Classes, t.Threads, t.Repeat, t.WarmUp)}
	}
	if t.Precision != frozen.Float32 && t.Precision != frozen.BFloat16 {
		return nil, &RequestError{fmt.Errorf("precision %v: want fp32 or bf16", t.Precision)}
	}
	net, weights, err := t.network()
	if err != nil {
		return nil, err
	}
	learning, err := t.learning(net)
	if err != nil {
		return nil, err
	}
	instructions, err := kernel.InstructionSet()
	if err != nil {
		return nil, &RequestError{err}
	}
	shape := net.Shape(net.Inputs()[0].Name)
	from := ""
	if t.Cached {
		if from, net, err = aboveCache(net, learning); err != nil {
			return nil, err
		}
		weights = weights.Select(net)
	}
	out := &Training{
		Backbone: t.Backbone, Trained: t.Trained, Precision: t.Precision.String(), FixedNorms: t.FixedNorms, Batch: t.Batch, Threads: t.Threads,
		Height: shape[0], Width: shape[1], Instructions: instructions, Note: train.PrecisionNote(t.Precision), Repeat: t.Repeat, From: from,
	}
	for _, p := range net.Parameters() {
		if p.Role.Trained() && learning(p.Layer) {
			out.Parameters += int64(p.Shape.Size())
		}
	}
	trainer, err := train.New(net, weights, train.Options{
		Epochs: 1, BatchSize: t.Batch, Threads: t.Threads,
		Rule: optimizer.SGD{Momentum: 0.9}, Rate: 1e-6, // so small that random weights do not run away
		Precision: t.Precision,
		Freeze:    func(layer string) bool { return !learning(layer) },
		BatchNorm: func(string) train.BatchNormMode {
			if t.FixedNorms {
				return train.FixedStatistics
			}
			return train.BatchStatistics
		},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, trainer.Close()) }()
	clock := &clockedExamples{
		pixels: pixels(t.Batch * net.Shape(net.Inputs()[0].Name).Size()), classes: t.Classes,
		count: t.Batch * (t.WarmUp + t.Repeat + 1),
	}
	if err := trainer.Run(ctx, clock, nil, nil); err != nil {
		return nil, err
	}
	times := clock.steps()[t.WarmUp:]
	slices.Sort(times)
	out.ImagesPerSecond = float64(t.Batch) / times[0]
	out.Median = float64(t.Batch) / times[len(times)/2]
	out.GFLOPS = out.ImagesPerSecond * 2e-9 * float64(stepMultiplyAdds(net, learning))
	return out, nil
}

// network is the backbone up to its feature vector, with a new head.
func (t Train) network() (*nn.Network, nn.Weights, error) {
	b, err := backbone.Find(t.Backbone)
	if err != nil {
		return nil, nil, &RequestError{err}
	}
	if b.AnyPixels {
		return nil, nil, &RequestError{fmt.Errorf("%s is no network", b.Name)}
	}
	height, width := t.Size, t.Size
	if t.Size == 0 {
		p := b.Preprocessing()
		height, width = p.Height, p.Width
	}
	whole, err := b.Network(height, width)
	if err != nil {
		return nil, nil, &RequestError{err}
	}
	trunk, err := whole.Cut(b.Pooled)
	if err != nil {
		return nil, nil, err
	}
	net, err := nn.New(append(slices.Clone(trunk.Layers()), nn.Layer{
		Name: head, Op: nn.Dense{Out: t.Classes, Bias: true}, Inputs: []string{trunk.Output().Name},
	}))
	if err != nil {
		return nil, nil, err
	}
	weights := net.Initialise(1)
	for name, tensor := range b.Random(trunk, 1) {
		weights[name] = tensor
	}
	return net, weights, nil
}

// head is the layer that is put on a backbone.
const head = "new_head"

// learning tells which layers learn.
func (t Train) learning(net *nn.Network) (func(layer string) bool, error) {
	layers := net.Layers()
	first := 0
	number, top := strings.CutPrefix(t.Trained, "top:")
	switch {
	case t.Trained == "all":
	case t.Trained == "head":
		first = len(layers) - 1
	case top:
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n >= len(layers)-1 { // the head and the input are no layers to count
			return nil, &RequestError{fmt.Errorf("train %q: want top:N for N from 0 to %d, the layers of %s", t.Trained, len(layers)-2, t.Backbone)}
		}
		first = len(layers) - 1 - n
	default:
		return nil, &RequestError{fmt.Errorf("train %q: want head, top:N or all", t.Trained)}
	}
	learns := map[string]bool{}
	for _, l := range layers[first:] {
		learns[l.Name] = true
	}
	return func(layer string) bool { return learns[layer] }, nil
}

// aboveCache returns the last passage below all layers that learn, and the network above it.
func aboveCache(net *nn.Network, learning func(layer string) bool) (from string, above *nn.Network, err error) {
	index := map[string]int{}
	first := len(net.Layers())
	for i, l := range net.Layers() {
		index[l.Name] = i
		if learning(l.Name) && len(net.LayerParameters(l)) > 0 {
			first = min(first, i)
		}
	}
	for _, cut := range net.Cuts() {
		if index[cut.Layer] < first {
			from = cut.Layer
		}
	}
	above, err = net.Above(from)
	return from, above, err
}

// stepMultiplyAdds counts those of a step for one example: of the layers, of the gradients of the
// weights that learn, and of the gradients that flow on to layers below.
func stepMultiplyAdds(net *nn.Network, learning func(layer string) bool) int64 {
	var total int64
	flows := map[string]bool{}
	for _, l := range net.Layers() {
		times := int64(1)
		below := slices.ContainsFunc(l.Inputs, func(name string) bool { return flows[name] })
		own := learning(l.Name) && len(net.LayerParameters(l)) > 0
		if own {
			times++
		}
		if below {
			times++
		}
		flows[l.Name] = own || below
		total += times * net.LayerMultiplyAdds(l)
	}
	return total
}

// clockedExamples are a batch of pictures over and over. The time between two readings is that of a
// step.
type clockedExamples struct {
	pixels         []float32
	classes, count int
	read           []time.Time
}

func (c *clockedExamples) Len() int { return c.count }

func (c *clockedExamples) Read(positions []int, into train.Batch) error {
	c.read = append(c.read, time.Now())
	for _, input := range into.Inputs {
		copy(input.Float32, c.pixels)
	}
	classes := into.Targets[objective.Class].Int32
	for i := range classes {
		classes[i] = int32(i % c.classes)
	}
	return nil
}

// steps returns the seconds of each step but the last.
func (c *clockedExamples) steps() []float64 {
	var out []float64
	for i := range c.read[1:] {
		out = append(out, c.read[i+1].Sub(c.read[i]).Seconds())
	}
	return out
}

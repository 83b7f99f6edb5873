package check

import (
	"context"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/npy"
)

// Check says what to hold against what.
type Check struct {
	Backbone  string // a name of the zoo
	Weights   backbone.WeightsReference
	Layer     string  // as [backbone.Backbone.Layer] takes it
	Layout    string  // of arrays whose shapes fit both: NCHW or NHWC; "" to be told by the shapes
	Tolerance float64 // of the largest absolute value expected
	Plain     bool    // no Winograd
	Threads   int     // at least 1
}

// Result is what came of it. Numbers that are not finite differ infinitely from all others.
type Result struct {
	Backbone  string      `json:"backbone"`
	Variant   string      `json:"variant"` // in which it was built
	Weights   string      `json:"weights"` // a weight set's name, random or file
	SHA256    string      `json:"sha256,omitempty"`
	Layer     string      `json:"layer"`
	Shape     nn.Shape    `json:"shape"` // of the layer's output for one picture, maps [height, width, channels]
	Pictures  int         `json:"pictures"`
	Texts     int         `json:"texts,omitempty"`     // of a text encoder, in the place of pictures
	Largest   Measurement `json:"largest_expected"`    // absolute value
	Absolute  Measurement `json:"absolute_difference"` // the largest
	Relative  Measurement `json:"relative_difference"` // Absolute of Largest
	Tolerance float64     `json:"tolerance"`
	Agrees    bool        `json:"agrees"`

	// Where the largest difference is, as indices of Shape after the picture's, and both numbers there.
	At       []int       `json:"at"`
	Expected Measurement `json:"expected"`
	Computed Measurement `json:"computed"`

	// Probabilities tells that logits were computed, but probabilities expected.
	Probabilities bool `json:"expects_probabilities,omitempty"`
}

// Measurement is a number that JSON may write as null: if it is not finite.
type Measurement float64

// MarshalJSON implements json.Marshaler.
func (m Measurement) MarshalJSON() ([]byte, error) {
	if x := float64(m); math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte("null"), nil
	}
	return fmt.Appendf(nil, "%g", float64(m)), nil
}

// Run runs the backbone on a batch and compares. say tells of weights that have to be fetched.
func (c Check) Run(ctx context.Context, input, expect npy.Array, say func(format string, args ...any)) (*Result, error) {
	pictures, layout, err := c.pictures(input)
	if err != nil {
		return nil, fmt.Errorf("the input: %w", err)
	}
	b, err := backbone.Find(c.Backbone)
	if err != nil {
		return nil, err
	}
	choice, err := b.Resolve(c.Weights)
	if err != nil {
		return nil, err
	}
	if err := choice.Fetch(ctx, say); err != nil {
		return nil, err
	}
	whole, err := choice.Network(pictures.height, pictures.width)
	if err != nil {
		return nil, err
	}
	layer, err := b.Layer(whole, c.Layer)
	if err != nil {
		return nil, err
	}
	net, err := whole.Cut(layer)
	if err != nil {
		return nil, err
	}
	r := &Result{
		Backbone: b.Name, Weights: choice.Name, Layer: layer, Shape: net.Shape(layer),
		Pictures: pictures.count, Tolerance: c.Tolerance,
	}
	want, err := c.outputs(expect, pictures.count, r.Shape, layout)
	if err != nil {
		err = fmt.Errorf("what is expected: %w", err)
		for _, word := range []string{"pooled", "last", b.Logits} {
			other, unknown := b.Layer(whole, word)
			if _, misfit := c.outputs(expect, pictures.count, whole.Shape(other), layout); unknown == nil && misfit == nil {
				return nil, fmt.Errorf("%w (it fits --layer %s)", err, word)
			}
		}
		return nil, err
	}
	if r.SHA256, err = choice.Digest(); err != nil {
		return nil, err
	}
	if r.Variant, err = choice.Variant(); err != nil {
		return nil, err
	}
	if r.Variant == "" {
		r.Variant = b.Variants()[0]
	}
	weights, err := choice.Load(net, 0)
	if err != nil {
		return nil, err
	}
	got, err := c.compute(ctx, net, weights, pictures)
	if err != nil {
		return nil, err
	}
	r.compare(got, want)
	r.Probabilities = !r.Agrees && layer == b.Logits && probabilities(want, r.Pictures)
	return r, nil
}

// batchSize is how many pictures are computed at once.
const batchSize = 8

// compute returns the output of net for all pictures.
func (c Check) compute(ctx context.Context, net *nn.Network, weights nn.Weights, in batch) ([]float32, error) {
	options := frozen.Options{}
	if c.Plain {
		options.Algorithm = kernel.Plain
	}
	program, err := options.Compile(net, weights)
	if err != nil {
		return nil, err
	}
	pool := kernel.NewPool(c.Threads)
	defer pool.Close()
	session := program.NewSession(min(batchSize, in.count))
	takes, gives := program.InputShape().Size(), program.OutputShape(0).Size()
	out := make([]float32, in.count*gives)
	for from := 0; from < in.count; from += batchSize {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to := min(from+batchSize, in.count)
		if err := session.Run(pool, in.data[from*takes:to*takes], to-from, out[from*gives:to*gives]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// compare fills in how far apart the outputs are.
func (r *Result) compare(got, want []float32) {
	worst, largest, at := -1.0, 0.0, 0
	for i := range want {
		expected, computed := float64(want[i]), float64(got[i])
		largest = max(largest, math.Abs(expected))
		difference := math.Abs(expected - computed)
		if math.IsNaN(difference) {
			difference = math.Inf(1)
		}
		if difference > worst {
			worst, at = difference, i
		}
	}
	r.Largest, r.Absolute = Measurement(largest), Measurement(worst)
	if worst > 0 {
		r.Relative = Measurement(worst / largest)
	}
	r.Agrees = worst <= r.Tolerance*largest && !math.IsInf(largest, 1)
	r.Expected, r.Computed = Measurement(want[at]), Measurement(got[at])
	r.At = make([]int, len(r.Shape)+1)
	for axis := len(r.Shape); axis > 0; axis-- {
		r.At[axis] = at % r.Shape[axis-1]
		at /= r.Shape[axis-1]
	}
	r.At[0] = at
}

// probabilities tells whether every row adds up to 1.
func probabilities(x []float32, rows int) bool {
	for row := range rows {
		sum := 0.0
		for _, v := range x[row*len(x)/rows : (row+1)*len(x)/rows] {
			if v < 0 {
				return false
			}
			sum += float64(v)
		}
		if math.Abs(sum-1) > 1e-3 {
			return false
		}
	}
	return true
}

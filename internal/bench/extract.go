package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/calibration"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

// Extract says how to measure the extraction of pooled features, from pixels that are decoded and
// normalised.
type Extract struct {
	Backbone  string // a name of the zoo
	Size      int    // height and width of the pictures in pixels; 0 for that of the backbone's weights
	Batch     int    // pictures at once, at least 1
	Threads   int    // at least 1
	Precision frozen.Precision
	Weights   string  // a word that backbone.Choose takes
	Plain     bool    // no Winograd
	WarmUp    int     // runs that do not count
	Repeat    int     // runs, at least 1
	Seconds   float64 // go on for so long if the runs take less
	Profile   bool    // also measure each step
}

// Extraction is the measurement.
type Extraction struct {
	Backbone        string  `json:"backbone"`
	Precision       string  `json:"precision"`
	Weights         string  `json:"weights"`
	Batch           int     `json:"batch"`
	Threads         int     `json:"threads"`
	Height          int     `json:"height"`
	Width           int     `json:"width"`
	Instructions    string  `json:"instructions"`   // set in use
	Note            string  `json:"note,omitempty"` // what is computed where they have none for the precision
	Repeat          int     `json:"repeat"`
	ImagesPerSecond float64 `json:"images_per_second"` // of the best run
	Median          float64 `json:"median_images_per_second"`
	GFLOPS          float64 `json:"gflops"`                      // 10⁹ operations a second by the definition of the layers, of the best run
	Processor       float64 `json:"processor_seconds,omitempty"` // of the run that took the least of it, in all threads; 0 where it is not known
	Load            float64 `json:"load_seconds"`                // to read or draw the weights, compile the network and get memory
	First           float64 `json:"first_seconds"`               // of the first run
	WeightBytes     int     `json:"weight_bytes"`
	ArenaBytes      int     `json:"arena_bytes"` // of the activations, and of the kernels' workspace
	*Profile
}

// Measure runs the backbone on pictures of a formula. A mistake in what was asked for is a
// *[RequestError].
func (e Extract) Measure(ctx context.Context) (*Extraction, error) {
	if e.Batch < 1 || e.Threads < 1 || e.Repeat < 1 || e.WarmUp < 0 {
		return nil, &RequestError{fmt.Errorf("batch %d, threads %d, repeat %d, warm-up %d: want 1, 1, 1, 0 or more", e.Batch, e.Threads, e.Repeat, e.WarmUp)}
	}
	began := time.Now()
	program, net, err := e.compile(ctx)
	if err != nil {
		return nil, err
	}
	instructions, err := kernel.InstructionSet()
	if err != nil {
		return nil, &RequestError{err}
	}
	in := net.Inputs()[0]
	shape := net.Shape(in.Name)
	out := &Extraction{
		Backbone: e.Backbone, Precision: e.Precision.String(), Weights: e.Weights,
		Batch: e.Batch, Threads: e.Threads, Height: shape[0], Width: shape[1],
		Instructions: instructions, Note: e.Precision.Note(),
		WeightBytes: program.WeightBytes(),
	}
	pool := kernel.NewPool(e.Threads)
	defer pool.Close()
	session := program.NewSession(e.Batch)
	x := pixels(e.Batch * shape.Size())
	y := make([]float32, e.Batch*program.OutputShape(0).Size())
	out.Load = time.Since(began).Seconds()

	var times []float64
	var measured time.Duration
	for i := 0; i < e.WarmUp+e.Repeat || measured.Seconds() < e.Seconds; i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start, spent := time.Now(), processorTime()
		if err := session.Run(pool, x, e.Batch, y); err != nil {
			return nil, err
		}
		took := time.Since(start)
		spent = processorTime() - spent
		if i == 0 {
			out.First = took.Seconds()
		}
		if i >= e.WarmUp {
			times = append(times, took.Seconds())
			measured += took
			if out.Processor == 0 || spent.Seconds() < out.Processor {
				out.Processor = spent.Seconds()
			}
		}
	}
	out.ArenaBytes = session.Bytes()
	slices.Sort(times)
	out.Repeat = len(times)
	out.ImagesPerSecond = float64(e.Batch) / times[0]
	out.Median = float64(e.Batch) / times[len(times)/2]
	out.GFLOPS = out.ImagesPerSecond * 2e-9 * float64(net.MultiplyAdds())
	if e.Profile {
		out.Profile, err = profile(ctx, program, session, pool, x, e.Batch, y, e.Repeat)
	}
	return out, err
}

// compile makes the program, and the part of the backbone that it computes.
func (e Extract) compile(ctx context.Context) (*frozen.Program, *nn.Network, error) {
	b, err := backbone.Find(e.Backbone)
	if err != nil {
		return nil, nil, &RequestError{err}
	}
	if b.AnyPixels {
		return nil, nil, &RequestError{fmt.Errorf("%s is no network", b.Name)}
	}
	choice, err := b.Resolve(backbone.WeightsReference(e.Weights))
	if err != nil {
		return nil, nil, &RequestError{err}
	}
	if err := choice.Fetch(ctx, func(string, ...any) {}); err != nil {
		return nil, nil, err
	}
	p, err := choice.Preprocessing()
	if err != nil {
		return nil, nil, &RequestError{err}
	}
	if e.Size != 0 {
		p.Height, p.Width = e.Size, e.Size
	}
	net, err := choice.Network(p.Height, p.Width)
	if err != nil {
		return nil, nil, &RequestError{err}
	}
	if net, err = net.Cut(b.Pooled); err != nil {
		return nil, nil, err
	}
	weights, err := choice.Load(net, 1)
	if err != nil {
		return nil, nil, &RequestError{err}
	}
	o, err := calibration.Options(e.Precision, net, weights, p, e.Threads)
	if err != nil {
		return nil, nil, err
	}
	if e.Plain {
		o.Algorithm = kernel.Plain
	}
	program, err := o.Compile(net, weights)
	return program, net, err
}

// pixels draws n numbers of about the size of normalised pixels.
func pixels(n int) []float32 {
	random := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = 4*random.Float32() - 2
	}
	return x
}

// RequestError is a measurement that cannot be made as it was asked for.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
)

// Latency says how to measure a stored model as a program uses it: from the bytes of a picture file to what the model
// tells, by its description alone.
type Latency struct {
	Model   string                                                // what it is called in the result
	Read    func(context.Context) (*classifier.Classifier, error) // reads the model; called once
	Weights string                                                // the file of the backbone's weights, for models of features made with weights from a file
	Picture []byte                                                // of a file; nil for a JPEG of 640×480 pixels, made by a formula
	Threads int                                                   // at least 1
	WarmUp  int                                                   // pictures that do not count
	Repeat  int                                                   // pictures, at least 1
	Seconds float64                                               // go on for so long if they take less

	// Of Fastest alone.
	Series     int     // at least 1
	Percentile float64 // of the times of a series, above 0 to 100
}

// LatencyResult is the measurement. Times are in seconds.
type LatencyResult struct {
	Model        string `json:"model"`
	Task         string `json:"task"`
	Outputs      int    `json:"outputs"` // classes or numbers
	Height       int    `json:"height"`  // of the prepared picture, in pixels
	Width        int    `json:"width"`
	FileBytes    int    `json:"file_bytes"` // of the picture
	Threads      int    `json:"threads"`
	Instructions string `json:"instructions"` // set in use
	Repeat       int    `json:"repeat"`

	Load        float64     `json:"load_seconds"`       // to read the model, and the backbone that it needs, and to compile it
	Cold        float64     `json:"cold_start_seconds"` // Load and the first picture
	Whole       Percentiles `json:"latency_seconds"`    // one picture after the other, from the bytes of the file to the answer
	Preparation Percentiles `json:"preparation_seconds"`
	Network     Percentiles `json:"network_seconds"`                     // from the prepared pixels to the answer
	Processor   float64     `json:"network_processor_seconds,omitempty"` // of the picture that took the least of it, in all threads, from the prepared pixels to the answer; 0 where it is not known

	ImagesPerSecond float64 `json:"images_per_second"` // pictures side by side, one on each thread, as `predict` does
	GFLOPS          float64 `json:"gflops"`            // 10⁹ operations a second by the definition of the layers, of the median Network
	WeightBytes     int     `json:"weight_bytes"`
	ActivationBytes int     `json:"activation_bytes"` // of one picture
}

// Percentiles of times, in seconds: the least time that so many per cent of the runs do not exceed.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// Measure runs the model. A mistake in what was asked for is a *[RequestError].
func (l Latency) Measure(ctx context.Context) (_ *LatencyResult, err error) {
	if l.Threads < 1 || l.Repeat < 1 || l.WarmUp < 0 {
		return nil, &RequestError{fmt.Errorf("threads %d, repeat %d, warm-up %d: want 1, 1, 0 or more", l.Threads, l.Repeat, l.WarmUp)}
	}
	instructions, err := kernel.InstructionSet()
	if err != nil {
		return nil, &RequestError{err}
	}
	file := l.Picture
	if file == nil {
		if file, err = photograph(); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	model, pictures, err := l.load(ctx)
	if err != nil {
		return nil, err
	}
	defer pictures.Close()
	pictures.UseThreads(l.Threads)
	shape := pictures.PixelShape()
	out := &LatencyResult{
		Model: l.Model, Task: string(model.Head().Task), Outputs: len(model.Head().Names()), Height: shape[0], Width: shape[1], FileBytes: len(file),
		Threads: l.Threads, Instructions: instructions, Load: time.Since(began).Seconds(),
		WeightBytes: pictures.WeightBytes(), ActivationBytes: pictures.ActivationBytes(),
	}
	answer, pixels := make([]float32, out.Outputs), make([]float32, shape.Size())
	if err := pictures.File(file, answer); err != nil {
		return nil, &RequestError{fmt.Errorf("the picture: %w", err)}
	}
	out.Cold = time.Since(began).Seconds()

	var times []float64
	whole := func() error { return pictures.File(file, answer) }
	if times, _, err = l.time(ctx, whole); err != nil {
		return nil, err
	}
	out.Whole, out.Repeat = percentiles(times), len(times)
	if times, _, err = l.time(ctx, func() error { return pictures.Prepare(file, pixels) }); err != nil {
		return nil, err
	}
	out.Preparation = percentiles(times)
	if times, out.Processor, err = l.time(ctx, func() error { return pictures.Pixels(pixels, answer) }); err != nil {
		return nil, err
	}
	out.Network = percentiles(times)
	out.GFLOPS = 2e-9 * float64(pictures.MultiplyAdds()) / out.Network.P50
	out.ImagesPerSecond, err = l.sideBySide(ctx, model, file, out.Repeat)
	return out, err
}

// Fastest measures several series of pictures and returns the least percentile of the time for one, in seconds, and that of its
// network alone: other work on the machine only makes a series slower.
func (l Latency) Fastest(ctx context.Context) (whole, network float64, err error) {
	file := l.Picture
	if file == nil {
		if file, err = photograph(); err != nil {
			return 0, 0, err
		}
	}
	model, pictures, err := l.load(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer pictures.Close()
	pictures.UseThreads(l.Threads)
	answer, pixels := make([]float32, len(model.Head().Names())), make([]float32, pictures.PixelShape().Size())
	if err := pictures.Prepare(file, pixels); err != nil {
		return 0, 0, fmt.Errorf("the picture: %w", err)
	}
	fastest := func(run func() error) (float64, error) {
		least := math.Inf(1)
		for range l.Series {
			times, _, err := l.time(ctx, run)
			if err != nil {
				return 0, err
			}
			slices.Sort(times)
			least = min(least, percentile(times, l.Percentile/100))
		}
		return least, nil
	}
	if whole, err = fastest(func() error { return pictures.File(file, answer) }); err != nil {
		return 0, 0, err
	}
	network, err = fastest(func() error { return pictures.Pixels(pixels, answer) })
	return whole, network, err
}

// load reads the model and makes it ready for pictures.
func (l Latency) load(ctx context.Context) (*inference.Model, *inference.Pictures, error) {
	stored, err := l.Read(ctx)
	if err != nil {
		return nil, nil, err
	}
	model, err := inference.New(stored)
	if err != nil {
		return nil, nil, err
	}
	pictures, err := model.OnPictures(l.Weights)
	return model, pictures, err
}

// time runs something again and again and returns how long it took, without the warm-up, and the least processor time of a run.
func (l Latency) time(ctx context.Context, run func() error) (times []float64, processor float64, err error) {
	processor = math.Inf(1)
	var measured time.Duration
	for i := 0; i < l.WarmUp+l.Repeat || measured.Seconds() < l.Seconds; i++ {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		start, spent := time.Now(), processorTime()
		if err := run(); err != nil {
			return nil, 0, err
		}
		spent = processorTime() - spent
		if took := time.Since(start); i >= l.WarmUp {
			times = append(times, took.Seconds())
			processor = min(processor, spent.Seconds())
			measured += took
		}
	}
	return times, processor, nil
}

// sideBySide runs n pictures on each thread and returns how many were done in a second.
func (l Latency) sideBySide(ctx context.Context, model *inference.Model, file []byte, n int) (float64, error) {
	pictures, err := model.OnPictures(l.Weights)
	if err != nil {
		return 0, err
	}
	defer pictures.Close()
	answers := len(model.Head().Names())
	all := func(n int) error {
		var group conc.WaitGroup
		var mu sync.Mutex
		var errs []error
		for range l.Threads {
			group.Go(func() {
				out := make([]float32, answers)
				for range n {
					err := ctx.Err()
					if err == nil {
						err = pictures.File(file, out)
					}
					if err != nil {
						mu.Lock()
						defer mu.Unlock()
						errs = append(errs, err)
						return
					}
				}
			})
		}
		group.Wait()
		return errors.Join(errs...)
	}
	if err := all(max(l.WarmUp, 1)); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := all(n); err != nil {
		return 0, err
	}
	return float64(n*l.Threads) / time.Since(start).Seconds(), nil
}

// percentiles by the nearest rank.
func percentiles(times []float64) Percentiles {
	slices.Sort(times)
	return Percentiles{percentile(times, 0.50), percentile(times, 0.95), percentile(times, 0.99)}
}

// percentile of sorted times.
func percentile(times []float64, share float64) float64 {
	return times[max(int(math.Ceil(share*float64(len(times))))-1, 0)]
}

// photograph is a JPEG that takes about as long to decode as a photograph of its size: smooth areas, edges and a little noise.
func photograph() ([]byte, error) {
	const width, height = 640, 480
	random := rand.New(rand.NewPCG(3, 4))
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	level := func(x float64) uint8 { return uint8(min(max(x+8*random.NormFloat64(), 0), 255)) }
	for y := range height {
		for x := range width {
			u, v := float64(x)/width, float64(y)/height
			edge := 0.0
			if math.Hypot(u-0.5, v-0.5) < 0.3 {
				edge = 60
			}
			img.SetRGBA(x, y, color.RGBA{level(120 + 80*math.Sin(7*u) + edge), level(110 + 70*math.Cos(5*v)), level(90 + 60*math.Sin(9*u*v) - edge), 255})
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: 90}); err != nil {
		return nil, fmt.Errorf("make a picture to measure with: %w", err)
	}
	return out.Bytes(), nil
}

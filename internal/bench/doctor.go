package bench

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/machine"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Doctor says how to examine this machine.
type Doctor struct {
	Threads int // at least 1
	Size    int // height and width of the networks' pictures in pixels; 0: 224, or less on slow machines
}

// Examination is what a machine has, how fast it is with it, and what slows it down.
type Examination struct {
	Processor    string           `json:"processor"`
	Cores        int              `json:"cores"` // logical ones that the program may use
	Threads      int              `json:"threads"`
	Memory       int64            `json:"memory_bytes,omitempty"` // that the program may use; 0 if it is not known
	Load         *float64         `json:"load,omitempty"`         // threads that computed before, of the whole machine
	Instructions string           `json:"instructions"`           // set in use
	Best         string           `json:"best_instructions"`      // that the processor has
	Features     []kernel.Feature `json:"features"`
	Peak         float64          `json:"peak_gflops"` // of multiply-adds in registers, float32
	Work         []Speed          `json:"work"`
	Findings     []string         `json:"findings"` // what makes it slower than it could be; empty if nothing was found
}

// Speed is how fast some work was.
type Speed struct {
	Work   string  `json:"work"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	GFLOPS float64 `json:"gflops,omitempty"`
	Share  float64 `json:"share,omitempty"` // of the peak of float32; 0 for work that does not multiply matrices
}

// networks are those that are measured: of plain convolutions, and of depthwise ones.
var networks = [...]string{"resnet18", "mobilenet_v2"}

// slowest is the peak, in 10⁹ operations a second, below which smaller work is measured.
const slowest = 20

// Examine measures for some seconds. tell is told of each piece of work before it begins.
func (d Doctor) Examine(ctx context.Context, tell func(work string)) (*Examination, error) {
	if d.Threads < 1 || d.Size < 0 {
		return nil, &RequestError{fmt.Errorf("threads %d, size %d: want 1 and 0 or more", d.Threads, d.Size)}
	}
	instructions, err := kernel.InstructionSet()
	if err != nil {
		return nil, &RequestError{err}
	}
	e := &Examination{
		Processor: cpuid.CPU.BrandName, Cores: runtime.GOMAXPROCS(0), Threads: d.Threads, Memory: machine.Memory(),
		Instructions: instructions, Best: kernel.BestInstructionSet(), Features: kernel.Features(),
	}
	if load, ok := machine.Load(); ok {
		e.Load = &load
	}
	pool := kernel.NewPool(d.Threads)
	defer pool.Close()
	tell("multiply-adds in registers")
	e.Peak = registerPeak(pool)
	e.products("float32 product, in the caches", peak(pool))
	for _, work := range []struct {
		name string
		of   func() (Speed, error)
	}{
		{"copying memory", func() (Speed, error) { return copying(pool), nil }},
		{"reading JPEG", reading},
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		tell(work.name)
		s, err := work.of()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", work.name, err)
		}
		s.Work = work.name
		e.Work = append(e.Work, s)
	}
	for _, name := range networks {
		for _, precision := range []frozen.Precision{frozen.Float32, frozen.BFloat16, frozen.Int8} {
			tell(name + ", " + precision.String())
			x := Extract{Backbone: name, Size: cmp.Or(d.Size, 224), Batch: 8, Threads: d.Threads, Precision: precision, Weights: "random", WarmUp: 1, Repeat: 3}
			if e.Peak < slowest {
				x.Size, x.Batch, x.WarmUp, x.Repeat = cmp.Or(d.Size, 96), 1, 0, 1
			}
			r, err := x.Measure(ctx)
			if err != nil {
				return nil, err
			}
			s := Speed{Work: fmt.Sprintf("%s at %d pixels, %s", name, x.Size, precision), Value: r.ImagesPerSecond, Unit: "images/s", GFLOPS: r.GFLOPS, Share: r.GFLOPS / e.Peak}
			e.Work = append(e.Work, s)
		}
	}
	e.find()
	return e, nil
}

// products adds work that multiplies matrices at so many 10⁹ operations a second.
func (e *Examination) products(work string, gflops float64) {
	e.Work = append(e.Work, Speed{Work: work, Value: gflops, Unit: "GFLOP/s", GFLOPS: gflops, Share: gflops / e.Peak})
}

// registerPeak measures multiply-adds in registers, in 10⁹ operations a second: the best of some tenths of a second.
func registerPeak(pool *kernel.Pool) float64 {
	const rounds = 1 << 15
	pieces := 8 * pool.Threads()
	best := time.Duration(math.MaxInt64)
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
		start := time.Now()
		kernel.Peak(pool, pieces, rounds)
		best = min(best, time.Since(start))
	}
	return float64(int64(pieces)*kernel.PeakFLOPs(rounds)) / float64(best.Nanoseconds())
}

// copying measures how fast memory that no cache holds is copied.
func copying(pool *kernel.Pool) Speed {
	const size, piece = 64 << 20, 1 << 18 // of float32
	from, to := make([]float32, size), make([]float32, size)
	for i := range from {
		from[i], to[i] = 1, 2 // so that the memory is there
	}
	best := time.Duration(math.MaxInt64)
	for range 5 {
		start := time.Now()
		pool.Each(size/piece, func(_, i int) { copy(to[i*piece:(i+1)*piece], from[i*piece:]) })
		best = min(best, time.Since(start))
	}
	return Speed{Value: 2 * 4 * size / float64(best.Nanoseconds()), Unit: "GB/s"}
}

// reading measures how fast one thread makes 224 × 224 pixels of a JPEG of 640 × 480.
func reading() (Speed, error) {
	const width, height = 640, 480
	drawn := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			wave := func(a, b float64) uint8 { return uint8(127 + 100*math.Sin(float64(x)/a)*math.Cos(float64(y)/b)) }
			drawn.SetRGBA(x, y, color.RGBA{wave(9, 14) ^ uint8(x*y)&15, wave(31, 7), wave(5, 40), 255})
		}
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, drawn, &jpeg.Options{Quality: 90}); err != nil {
		return Speed{}, err
	}
	d := picture.NewDecoder()
	dst := make([]uint8, 224*224*3)
	fit := picture.Fit{Height: 224, Width: 224, Rule: record.ResizeShortest, Short: 256, Filter: record.FilterBilinear}
	best := time.Duration(math.MaxInt64)
	for range 20 {
		start := time.Now()
		if err := d.Fit(dst, file.Bytes(), fit); err != nil {
			return Speed{}, err
		}
		best = min(best, time.Since(start))
	}
	return Speed{Value: 1 / best.Seconds(), Unit: "images/s a thread"}, nil
}

// find says what slows this machine down.
func (e *Examination) find() {
	tell := func(format string, args ...any) { e.Findings = append(e.Findings, fmt.Sprintf(format, args...)) }
	switch {
	case e.Instructions != e.Best:
		tell("%s=%s is set: the program computes with %s instructions, but the processor has %s", kernel.EnvironmentVariable, e.Instructions, e.Instructions, e.Best)
	case len(e.Features) == 0:
		tell("there are no kernels for %s processors yet: everything runs in portable Go, about thirty times slower than with instructions for vectors", runtime.GOARCH)
	case e.Best == "portable":
		tell("the processor, or the virtual machine, offers no AVX2 and FMA: everything runs in portable Go, about thirty times slower")
	}
	if e.Load != nil && *e.Load > 0.3*float64(e.Cores) {
		tell("other work was running before this (load %.1f, cores %d): everything is slower than it could be, and the figures vary", *e.Load, e.Cores)
	}
	if all := runtime.NumCPU(); e.Cores < all {
		tell("the program may use %d of the machine's %d cores: a container's limit, or GOMAXPROCS", e.Cores, all)
	}
	if product := e.Work[0]; product.Share < 0.6 && e.Instructions != "portable" {
		tell("products in the caches reach %.0f %% of the peak, 80 to 95 %% are usual: two threads share a core, the clock falls under load, or other work runs", 100*product.Share)
	}
	for _, reduced := range []struct {
		precision frozen.Precision
		least     float64 // times float32's speed
		without   string
	}{{frozen.Int8, 1.2, "it makes models smaller, not faster"}, {frozen.BFloat16, 0.9, "it halves the weights' memory alone"}} {
		if times := e.times(reduced.precision); times < reduced.least {
			tell("%s runs at %.1f times the speed of fp32 here: %s", reduced.precision, times, reduced.without)
		}
	}
}

// times is how many times faster the first network is in a precision than in float32.
func (e *Examination) times(p frozen.Precision) float64 {
	of := func(p frozen.Precision) float64 {
		for _, s := range e.Work {
			if strings.HasPrefix(s.Work, networks[0]) && strings.HasSuffix(s.Work, ", "+p.String()) {
				return s.Value
			}
		}
		return math.NaN()
	}
	return of(p) / of(frozen.Float32)
}

package features

import (
	"sync"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/calibration"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Extractor is a backbone compiled up to a layer, for pictures of one size. It may be used by several goroutines. What it
// makes of a picture depends neither on the batch that the picture is in nor on the threads.
type Extractor struct {
	program      *frozen.Program
	multiplyAdds int64
	flip         bool

	mu   sync.Mutex
	idle []*Worker
	all  []*Worker
}

// New loads the weights and compiles the backbone for pictures of height × width pixels. threads are those to find the
// ranges with that a precision may need.
func New(made record.Extraction, weights *backbone.ResolvedWeights, height, width, threads int) (*Extractor, error) {
	precision, err := frozen.ParsePrecision(made.Precision)
	if err != nil {
		return nil, err
	}
	net, err := weights.Network(height, width)
	if err == nil {
		net, err = net.Cut(made.Layer)
	}
	if err != nil {
		return nil, err
	}
	w, err := weights.Load(net, made.Seed)
	if err != nil {
		return nil, err
	}
	prepared, err := weights.Preprocessing()
	if err != nil {
		return nil, err
	}
	prepared.Height, prepared.Width = height, width
	options, err := calibration.Options(precision, net, w, prepared, threads)
	if err != nil {
		return nil, err
	}
	program, err := options.Compile(net, w)
	if err != nil {
		return nil, err
	}
	return &Extractor{program: program, multiplyAdds: net.MultiplyAdds(), flip: made.Flip}, nil
}

// InputShape is that of a picture: [height, width, 3].
func (e *Extractor) InputShape() nn.Shape { return e.program.InputShape() }

// Shape is that of a picture's features.
func (e *Extractor) Shape() nn.Shape { return e.program.OutputShape(0) }

// WeightBytes is the memory that the backbone's weights take.
func (e *Extractor) WeightBytes() int { return e.program.WeightBytes() }

// ActivationBytes is the memory that the activations of one picture take.
func (e *Extractor) ActivationBytes() int { return e.program.ArenaBytes() }

// MultiplyAdds counts those of one picture, by the definition of the layers; a picture and its mirror image are two.
func (e *Extractor) MultiplyAdds() int64 {
	if e.flip {
		return 2 * e.multiplyAdds
	}
	return e.multiplyAdds
}

// Take lends a worker for batches of up to batch pictures that no other goroutine has. GiveBack takes it again.
func (e *Extractor) Take(batch, threads int) *Worker {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, w := range e.idle {
		if w.threads == threads && w.batch >= batch {
			e.idle = append(e.idle[:i], e.idle[i+1:]...)
			return w
		}
	}
	w := &Worker{extractor: e, batch: batch, threads: threads, session: e.program.NewSession(batch)}
	w.Input = make([]float32, batch*e.InputShape().Size())
	if threads > 1 {
		w.pool = kernel.NewPool(threads)
	}
	if e.flip {
		w.mirrored = make([]float32, batch*e.Shape().Size())
	}
	e.all = append(e.all, w)
	return w
}

// GiveBack takes a worker that Take lent.
func (e *Extractor) GiveBack(w *Worker) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = append(e.idle, w)
}

// Close frees the workers' threads; none may be at work.
func (e *Extractor) Close() {
	for _, w := range e.all {
		w.pool.Close()
	}
}

// Worker computes batches.
type Worker struct {
	Input []float32 // the pictures to come, normalised: [batch, height, width, 3]

	extractor *Extractor
	batch     int
	threads   int
	pool      *kernel.Pool // nil for one thread
	session   *frozen.Session
	mirrored  []float32
}

// Run computes the features of the first n pictures of Input, which it may change.
func (w *Worker) Run(n int, features []float32) error {
	in, shape := w.extractor.InputShape(), w.extractor.Shape()
	input := w.Input[:n*in.Size()]
	if err := w.session.Run(w.pool, input, n, features); err != nil {
		return err
	}
	if !w.extractor.flip {
		return nil
	}
	mirror(input, n, in)
	mirrored := w.mirrored[:n*shape.Size()]
	if err := w.session.Run(w.pool, input, n, mirrored); err != nil {
		return err
	}
	if len(shape) == 3 {
		mirror(mirrored, n, shape) // so that places correspond
	}
	for i, v := range mirrored {
		features[i] = (features[i] + v) / 2
	}
	return nil
}

// mirror exchanges left and right in n maps [height, width, channels], which are lines one below the other.
func mirror(x []float32, n int, shape nn.Shape) {
	width, channels := shape[1], shape[2]
	for y := range n * shape[0] {
		line := x[y*width*channels : (y+1)*width*channels]
		for l, r := 0, width-1; l < r; l, r = l+1, r-1 {
			a, b := line[l*channels:(l+1)*channels], line[r*channels:(r+1)*channels]
			for c := range a {
				a[c], b[c] = b[c], a[c]
			}
		}
	}
}

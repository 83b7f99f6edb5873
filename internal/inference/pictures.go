package inference

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/features"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Pictures runs a model on pictures. It may be used by several goroutines.
type Pictures struct {
	model    *Model
	prepare  *picture.Preparation
	features *features.Extractor // nil: the network takes pixels
	threads  int                 // for each picture

	mu   sync.Mutex
	idle []*worker
}

// OnPictures prepares a model to run on pictures. weights is the file of the backbone's weights, for models of
// features that were made with weights from a file; "" if there is none. What the model's transforms do not tell, or this
// version of the program does not know, is an error.
func (m *Model) OnPictures(weights string) (*Pictures, error) {
	steps := m.Input().Transforms
	if u := steps.Unknown(); u != nil {
		return nil, fmt.Errorf("the model's input is made by the transform %q, which this version of tlpipe does not know: a newer one does", u.Name)
	}
	if m.OnText() {
		return nil, errors.New("the model takes texts instead of pictures")
	}
	if len(steps.WithoutFeatures()) == 0 {
		return nil, errors.New("the model does not say how its pictures were prepared, or how its input was made of texts")
	}
	p := &Pictures{model: m, threads: 1}
	var err error
	if p.prepare, err = picture.Prepare(steps.WithoutFeatures()); err != nil {
		return nil, fmt.Errorf("how the model's pictures were prepared: %w", err)
	}
	takes := p.prepare.Size()
	if made, ok := steps.Extraction(); ok {
		if p.features, err = p.extractor(made, weights); err != nil {
			return nil, fmt.Errorf("make features as the model's were made: %w", err)
		}
		takes = p.features.Shape().Size()
	}
	if m.Size() != takes {
		return nil, fmt.Errorf("the model takes %d numbers a picture, but there are %d", m.Size(), takes)
	}
	return p, nil
}

// UseThreads computes each picture with so many threads, at least 1, in place of one; none may be at work. What the model
// tells is the same.
func (p *Pictures) UseThreads(threads int) {
	p.free()
	p.threads = max(threads, 1)
}

// Close frees the threads; none may be at work.
func (p *Pictures) Close() {
	p.free()
	if p.features != nil {
		p.features.Close()
	}
}

func (p *Pictures) free() {
	for _, w := range p.idle {
		w.session.pool.Close()
		if w.features != nil {
			p.features.GiveBack(w.features)
		}
	}
	p.idle = nil
}

// WeightBytes is the memory that the weights take, those of the backbone among them.
func (p *Pictures) WeightBytes() int {
	n := p.model.program.WeightBytes()
	if p.features != nil {
		n += p.features.WeightBytes()
	}
	return n
}

// ActivationBytes is the memory that the activations of one picture take.
func (p *Pictures) ActivationBytes() int {
	n := p.model.program.ArenaBytes()
	if p.features != nil {
		n += p.features.ActivationBytes()
	}
	return n
}

// MultiplyAdds counts those of one picture, by the definition of the layers.
func (p *Pictures) MultiplyAdds() int64 {
	n := p.model.stored.Network.MultiplyAdds()
	if p.features != nil {
		n += p.features.MultiplyAdds()
	}
	return n
}

// extractor finds the backbone that made the model's features, and its weights.
func (p *Pictures) extractor(made record.Extraction, file string) (*features.Extractor, error) {
	b, err := backbone.Find(made.Backbone)
	if err != nil {
		return nil, err
	}
	weights, err := b.Recall(made, file)
	if err != nil {
		return nil, err
	}
	return features.New(made, weights, p.prepare.Height(), p.prepare.Width(), runtime.NumCPU())
}

// File computes what the model tells of a picture, given as the bytes of its file: one number for each name of the head. A file
// that is no picture is an error with a reason for people.
func (p *Pictures) File(file []byte, out []float32) error {
	w := p.take()
	defer p.giveBack(w)
	if err := p.prepare.Pixels(w.decoder, w.pixels, file); err != nil {
		return err
	}
	p.prepare.Normalise(w.normalised(), w.pixels)
	return w.run(out)
}

// PixelShape is that of a prepared picture: [height, width, channels].
func (p *Pictures) PixelShape() nn.Shape {
	return nn.Shape{p.prepare.Height(), p.prepare.Width(), p.prepare.Size() / (p.prepare.Height() * p.prepare.Width())}
}

// Prepare makes of the bytes of a picture file what Pixels takes.
func (p *Pictures) Prepare(file []byte, pixels []float32) error {
	w := p.take()
	defer p.giveBack(w)
	if err := p.prepare.Pixels(w.decoder, w.pixels, file); err != nil {
		return err
	}
	p.prepare.Normalise(pixels, w.pixels)
	return nil
}

// Pixels is File for a picture that was prepared already: normalised, [height, width, channels].
func (p *Pictures) Pixels(pixels, out []float32) error {
	if len(pixels) != p.prepare.Size() {
		return fmt.Errorf("the model takes pictures of %d×%d pixels, %d numbers, and not %d", p.prepare.Width(), p.prepare.Height(), p.prepare.Size(), len(pixels))
	}
	w := p.take()
	defer p.giveBack(w)
	copy(w.normalised(), pixels)
	return w.run(out)
}

// worker is the memory for one picture.
type worker struct {
	decoder  *picture.Decoder
	pixels   []uint8
	input    []float32        // of the network
	features *features.Worker // nil without a backbone
	session  *Session
}

func (p *Pictures) take() *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return w
	}
	var pool *kernel.Pool
	if p.threads > 1 {
		pool = kernel.NewPool(p.threads)
	}
	w := &worker{decoder: picture.NewDecoder(), pixels: make([]uint8, p.prepare.Size()), input: make([]float32, p.model.Size()), session: p.model.NewSession(pool, 1)}
	if p.features != nil {
		w.features = p.features.Take(1, p.threads)
	}
	return w
}

func (p *Pictures) giveBack(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, w)
}

// normalised is where the picture's numbers go.
func (w *worker) normalised() []float32 {
	if w.features != nil {
		return w.features.Input
	}
	return w.input
}

func (w *worker) run(out []float32) error {
	if w.features != nil {
		if err := w.features.Run(1, w.input); err != nil {
			return err
		}
	}
	return w.session.Run(w.input, 1, out)
}

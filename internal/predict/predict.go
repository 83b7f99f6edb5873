package predict

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/sourcegraph/conc/stream"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Prediction is a class and its probability, 0…1.
type Prediction struct {
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
}

// Predictor runs one model on pictures. It may be used by several goroutines.
type Predictor struct {
	classes    []string
	prepared   record.Preprocessing
	background picture.Colour
	features   *extractor      // nil: the model takes pixels
	head       *frozen.Program // from features, or pixels, to probabilities

	mu   sync.Mutex
	idle []*worker
}

// New makes a predictor of a model. weights is the file of the backbone's
// weights, for models whose features were made with weights from a file.
func New(model *classifier.Classifier, weights string) (*Predictor, error) {
	text, ok := model.Metadata[record.PreprocessingKey]
	if !ok {
		return nil, fmt.Errorf("the model does not say how its pictures were prepared (no %s in its metadata)", record.PreprocessingKey)
	}
	prepared, err := record.ParsePreprocessing(text)
	if err != nil {
		return nil, err
	}
	p := &Predictor{classes: model.Classes, prepared: prepared, background: picture.White}
	if prepared.Background != "" {
		p.background, err = picture.ParseColour(prepared.Background)
	}
	if err == nil {
		err = picture.FitOf(prepared, p.background).Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("how the model's pictures were prepared: %w", err)
	}
	if p.head, err = model.Compile(); err != nil {
		return nil, err
	}
	takes := 3 * prepared.Height * prepared.Width
	if text, ok := model.Metadata[record.ExtractionKey]; ok {
		made, err := record.ParseExtraction(text)
		if err != nil {
			return nil, err
		}
		if p.features, err = newExtractor(made, prepared, weights); err != nil {
			return nil, fmt.Errorf("make features as the model's were made: %w", err)
		}
		takes = p.features.program.OutputShape(0).Size()
	}
	if want := p.head.InputShape().Size(); want != takes {
		return nil, fmt.Errorf("the model takes %d numbers a picture, but there are %d", want, takes)
	}
	return p, nil
}

// Classes lists the model's classes.
func (p *Predictor) Classes() []string { return p.classes }

// Picture predicts the classes of a picture, given as the bytes of its file:
// every class, the most probable first. A file that is no picture is an error
// with a reason for people.
func (p *Predictor) Picture(file []byte) ([]Prediction, error) {
	w := p.take()
	defer p.giveBack(w)
	if err := w.run(file); err != nil {
		return nil, err
	}
	out := make([]Prediction, len(p.classes))
	for i, class := range p.classes {
		out[i] = Prediction{Label: class, Probability: float64(w.probabilities[i])}
	}
	slices.SortStableFunc(out, func(a, b Prediction) int { return cmp.Compare(b.Probability, a.Probability) })
	return out, nil
}

// Files predicts the classes of picture files, several at a time, and hands
// each to done in the order of paths.
func (p *Predictor) Files(ctx context.Context, paths []string, jobs int, done func(path string, all []Prediction, err error)) error {
	s := stream.New().WithMaxGoroutines(max(jobs, 1))
	for _, path := range paths {
		s.Go(func() stream.Callback {
			if ctx.Err() != nil {
				return func() {}
			}
			var all []Prediction
			file, err := readPicture(path)
			if err == nil {
				all, err = p.Picture(file)
			}
			return func() { done(path, all, err) }
		})
	}
	s.Wait()
	return ctx.Err()
}

// maxFile is the length of the longest file that is read, in bytes.
const maxFile = 1 << 30

func readPicture(path string) (_ []byte, err error) {
	// Asked before it is opened: opening a pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	file, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(file) > maxFile {
		err = errors.New("the file is longer than a picture can be")
	}
	return file, err
}

// worker is the memory to predict one picture.
type worker struct {
	p             *Predictor
	decoder       *picture.Decoder
	fit           picture.Fit
	pixels        []uint8
	input         []float32
	mirrored      []float32 // features of the mirror image
	features      []float32
	probabilities []float32
	backbone      *frozen.Session
	head          *frozen.Session
}

func (p *Predictor) take() *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return w
	}
	size := 3 * p.prepared.Height * p.prepared.Width
	w := &worker{
		p: p, decoder: picture.NewDecoder(), fit: picture.FitOf(p.prepared, p.background),
		pixels: make([]uint8, size), input: make([]float32, size),
		probabilities: make([]float32, len(p.classes)), head: p.head.NewSession(1),
	}
	w.decoder.Background = p.background
	w.features = w.input
	if p.features != nil {
		w.features = make([]float32, p.features.program.OutputShape(0).Size())
		w.mirrored = make([]float32, len(w.features))
		w.backbone = p.features.program.NewSession(1)
	}
	return w
}

func (p *Predictor) giveBack(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, w)
}

func (w *worker) run(file []byte) error {
	if err := w.decoder.Fit(w.pixels, file, w.fit); err != nil {
		return err
	}
	picture.Normalise(w.input, w.pixels, w.p.prepared)
	if w.p.features != nil {
		if err := w.p.features.run(w); err != nil {
			return err
		}
	}
	return w.head.Run(nil, w.features, 1, w.probabilities)
}

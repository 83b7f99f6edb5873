package predict

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/sourcegraph/conc/stream"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/features"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Prediction is a class and its probability, 0…1, or a number that the model tells.
type Prediction struct {
	Label       string // the class, or the name of the number
	Probability float64
	Value       float64
	IsNumber    bool
}

// MarshalJSON implements json.Marshaler: {"label": …, "probability": …}, or {"number": …, "value": …}.
func (p Prediction) MarshalJSON() ([]byte, error) {
	if p.IsNumber {
		return json.Marshal(struct {
			Number string  `json:"number"`
			Value  float64 `json:"value"`
		}{p.Label, p.Value})
	}
	return json.Marshal(struct {
		Label       string  `json:"label"`
		Probability float64 `json:"probability"`
	}{p.Label, p.Probability})
}

// Predictor runs one model on pictures. It may be used by several goroutines.
type Predictor struct {
	target   record.Head
	prepare  *picture.Preparation
	features *features.Extractor // nil: the model takes pixels
	head     *frozen.Program     // from features, or pixels, to probabilities or numbers

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
	p := &Predictor{target: model.Head()}
	if p.prepare, err = picture.Prepare(prepared.Transforms()); err != nil {
		return nil, fmt.Errorf("how the model's pictures were prepared: %w", err)
	}
	if p.head, err = model.Compile(); err != nil {
		return nil, err
	}
	takes := p.prepare.Size()
	if text, ok := model.Metadata[record.ExtractionKey]; ok {
		made, err := record.ParseExtraction(text)
		if err != nil {
			return nil, err
		}
		if p.features, err = p.extractor(made, weights); err != nil {
			return nil, fmt.Errorf("make features as the model's were made: %w", err)
		}
		takes = p.features.Shape().Size()
	}
	if want := p.head.InputShape().Size(); want != takes {
		return nil, fmt.Errorf("the model takes %d numbers a picture, but there are %d", want, takes)
	}
	return p, nil
}

// extractor finds the backbone that made the model's features, and its weights.
func (p *Predictor) extractor(made record.Extraction, file string) (*features.Extractor, error) {
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

// Target is what the model tells of a picture.
func (p *Predictor) Target() record.Head { return p.target }

// Picture predicts what the model tells of a picture, given as the bytes of its file: every class, the most
// probable first, or every number, in the model's order. A file that is no picture is an error with a reason
// for people.
func (p *Predictor) Picture(file []byte) ([]Prediction, error) {
	w := p.take()
	defer p.giveBack(w)
	if err := w.run(file); err != nil {
		return nil, err
	}
	out := make([]Prediction, len(w.answers))
	for i, name := range p.target.Names() {
		if p.target.Task == record.Regression {
			out[i] = Prediction{Label: name, Value: float64(w.answers[i]), IsNumber: true}
			continue
		}
		out[i] = Prediction{Label: name, Probability: float64(w.answers[i])}
	}
	if p.target.Task == record.Regression {
		return out, nil
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
	p        *Predictor
	decoder  *picture.Decoder
	pixels   []uint8
	input    []float32 // of the head
	answers  []float32 // of the head
	features *features.Worker
	head     *frozen.Session
}

func (p *Predictor) take() *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return w
	}
	w := &worker{
		p: p, decoder: picture.NewDecoder(), pixels: make([]uint8, p.prepare.Size()),
		input:   make([]float32, p.head.InputShape().Size()),
		answers: make([]float32, len(p.target.Names())), head: p.head.NewSession(1),
	}
	if p.features != nil {
		w.features = p.features.Take(1, 1)
	}
	return w
}

func (p *Predictor) giveBack(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, w)
}

func (w *worker) run(file []byte) error {
	if err := w.p.prepare.Pixels(w.decoder, w.pixels, file); err != nil {
		return err
	}
	if w.features == nil {
		w.p.prepare.Normalise(w.input, w.pixels)
	} else {
		w.p.prepare.Normalise(w.features.Input, w.pixels)
		if err := w.features.Run(1, w.input); err != nil {
			return err
		}
	}
	return w.head.Run(nil, w.input, 1, w.answers)
}

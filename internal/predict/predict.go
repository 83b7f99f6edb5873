package predict

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sourcegraph/conc/stream"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/domain/drift"
	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
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

// Predictor runs one model on pictures, or on texts. It may be used by several goroutines.
type Predictor struct {
	Format document.Format // of texts: what all files are; "": their names tell; of those that are not named as mail or web page, the first bytes, as [document.Recognise] reads them

	target    record.Head
	pictures  *inference.Pictures // nil: it takes texts
	texts     *inference.Texts    // nil: it takes pictures
	sounds    bool                // whose spectrograms are the pictures
	reference *record.Reference
}

// New makes a predictor of a model. weights is the file of the backbone's
// weights, for models whose features were made with weights from a file; of models on texts that of word vectors, or the folder of
// an encoder or a tokenizer.
func New(stored *classifier.Classifier, weights string) (*Predictor, error) {
	model, err := inference.New(stored)
	if err != nil {
		return nil, err
	}
	p := &Predictor{target: model.Head(), reference: stored.Description.Reference, sounds: model.Input().Transforms.OfSound()}
	if model.OnText() {
		p.texts, err = model.OnTexts(weights)
	} else {
		p.pictures, err = model.OnPictures(weights)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// OnTexts tells whether the model takes texts.
func (p *Predictor) OnTexts() bool { return p.texts != nil }

// OnSounds tells whether the model takes files of sound.
func (p *Predictor) OnSounds() bool { return p.sounds }

// Target is what the model tells of a picture.
func (p *Predictor) Target() record.Head { return p.target }

// Picture predicts what the model tells of a picture, given as the bytes of its file: every class, the most
// probable first, or every number, in the model's order. A file that is no picture is an error with a reason
// for people.
func (p *Predictor) Picture(file []byte) ([]Prediction, error) {
	answers, err := p.answers("", file)
	if err != nil {
		return nil, err
	}
	return p.predictions(answers), nil
}

// answers are what the model tells of a file, in its order.
func (p *Predictor) answers(name string, file []byte) ([]float32, error) {
	answers := make([]float32, len(p.target.Names()))
	format, named := document.FormatOf(name)
	if p.texts == nil {
		err := p.pictures.File(file, answers)
		if err != nil && named {
			err = fmt.Errorf("the model takes pictures, and this is named as a text: %w", err)
		}
		return answers, err
	}
	if p.Format != "" {
		format = p.Format
	} else if format == document.Plain {
		format = "" // its first bytes tell, as of files whose names tell nothing
	}
	return answers, p.texts.File(file, format, answers)
}

func (p *Predictor) predictions(answers []float32) []Prediction {
	out := make([]Prediction, len(answers))
	for i, name := range p.target.Names() {
		if p.target.Task == record.Regression {
			out[i] = Prediction{Label: name, Value: float64(answers[i]), IsNumber: true}
			continue
		}
		out[i] = Prediction{Label: name, Probability: float64(answers[i])}
	}
	if p.target.Task == record.Regression {
		return out
	}
	slices.SortStableFunc(out, func(a, b Prediction) int { return cmp.Compare(b.Probability, a.Probability) })
	return out
}

// Files predicts the classes of files, several at a time, and hands
// each to done in the order of paths. A few pictures have several threads each. It tells what it found if all together are
// shifted against the rows that the model was validated on; nil if not, or if that is not known.
func (p *Predictor) Files(ctx context.Context, paths []string, jobs int, done func(path string, all []Prediction, err error)) (*drift.Finding, error) {
	most := int64(MaxFile)
	if p.texts != nil {
		most = textinput.MostFile
	} else {
		p.pictures.UseThreads(jobs / max(len(paths), 1))
	}
	return p.each(ctx, paths, jobs, func(i int) ([]float32, error) {
		file, err := budget.ReadFile(paths[i], most)
		if err != nil {
			return nil, err
		}
		return p.answers(paths[i], file)
	}, done)
}

// Texts is Files for texts that were read already, each with a name.
func (p *Predictor) Texts(ctx context.Context, names, texts []string, jobs int, done func(name string, all []Prediction, err error)) (*drift.Finding, error) {
	if p.texts == nil {
		return nil, errors.New("the model takes pictures instead of texts")
	}
	return p.each(ctx, names, jobs, func(i int) ([]float32, error) {
		answers := make([]float32, len(p.target.Names()))
		return answers, p.texts.File([]byte(texts[i]), p.Format, answers)
	}, done)
}

// each answers what has these names, several at a time.
func (p *Predictor) each(ctx context.Context, names []string, jobs int, answer func(i int) ([]float32, error), done func(name string, all []Prediction, err error)) (*drift.Finding, error) {
	var profiles []uint16
	s := stream.New().WithMaxGoroutines(max(jobs, 1))
	for i, name := range names {
		s.Go(func() stream.Callback {
			if ctx.Err() != nil {
				return func() {}
			}
			answers, err := answer(i)
			return func() {
				if err != nil {
					done(name, nil, err)
					return
				}
				if p.reference != nil {
					profiles = drift.Profile(profiles, answers)
				}
				done(name, p.predictions(answers), nil)
			}
		})
	}
	s.Wait()
	if err := ctx.Err(); err != nil || p.reference == nil {
		return nil, err
	}
	finding, ok, err := drift.Compare(p.reference, profiles)
	if err != nil || !ok || !finding.Shifted() {
		return nil, err
	}
	return &finding, nil
}

// MaxFile is the length of the longest file of a picture that is read, in bytes, as for sources of pictures.
const MaxFile = 512 << 20

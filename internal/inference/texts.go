package inference

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/sourcegraph/conc/pool"

	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
)

// Texts runs a model on texts. It may be used by several goroutines.
type Texts struct {
	model   *Model
	prepare *textinput.Preparation
	formats []document.Format

	mu   sync.Mutex
	idle []*textWorker
}

// OnText tells whether the model says how its input is made of texts.
func (m *Model) OnText() bool {
	steps, err := m.stored.Transforms()
	return err == nil && steps.OnTexts()
}

// OnTexts prepares a model to run on texts. weights is what its transforms name by a digest: the file of word vectors, or the folder
// of an encoder or a tokenizer; "" if there is none. What the transforms do not tell, or this version of the program does not know, is an error.
func (m *Model) OnTexts(weights string) (*Texts, error) {
	steps, err := m.stored.Transforms()
	if err != nil {
		return nil, err
	}
	if u := steps.Unknown(); u != nil {
		return nil, fmt.Errorf("the model's input is made by the transform %q, which this version of tlpipe does not know: a newer one does", u.Name)
	}
	t := &Texts{model: m, formats: steps.Formats()}
	if t.prepare, err = textinput.Prepare(steps, weights); err != nil {
		return nil, fmt.Errorf("prepare texts as the model's were: %w", err)
	}
	width, err := t.prepare.Width()
	switch {
	case err != nil:
		return nil, err
	case m.takesIDs() != (width == 0):
		return nil, errors.New("the model's network and its description disagree on whether it takes tokens")
	case width > 0 && m.Size() != width:
		return nil, fmt.Errorf("the model takes %d numbers a text, but there are %d", m.Size(), width)
	}
	return t, nil
}

// File computes what the model tells of a text, given as the bytes of its file: one number for each name of the head. A file that is
// no text is an error with a reason for people. Where format is "", the first bytes may tell that it is of a format which training texts had;
// else it is plain text.
func (t *Texts) File(file []byte, format document.Format, out []float32) error {
	if format == "" {
		format = document.Recognise(file, t.formats)
	}
	text, err := textinput.Read(file, format)
	if err != nil {
		return err
	}
	return t.Text(text, out)
}

// Text is File for what was read already.
func (t *Texts) Text(text string, out []float32) error {
	w, err := t.take()
	if err != nil {
		return err
	}
	defer t.giveBack(w)
	if w.cutter == nil {
		w.features.Vector(w.input, text)
		return w.session.Run(w.input, 1, out)
	}
	ids, _, _ := w.cutter.Cut(text)
	if len(ids) == 0 {
		return errors.New("there are no words")
	}
	if w.tokens == nil {
		if err := t.prepare.Embed(w.input, ids); err != nil {
			return err
		}
		return w.session.Run(w.input, 1, out)
	}
	network := t.model.stored.Network
	return w.tokens.RunSequences(nil, []int{len(ids)}, nn.Batch{network.Inputs()[0].Name: {Int32: ids}}, nn.Batch{network.Output().Name: {Float32: out}})
}

// Query is Text for what is searched for: a text of which the vectors know no word is an error, since what it finds means nothing.
func (t *Texts) Query(text string, out []float32) error {
	w, err := t.take()
	if err != nil {
		return err
	}
	if w.cutter == nil {
		w.features.Vector(w.input, text)
		if !slices.ContainsFunc(w.input, func(x float32) bool { return x != 0 }) {
			t.giveBack(w)
			return errors.New("no word of it is known to the word vectors")
		}
	}
	t.giveBack(w)
	return t.Text(text, out)
}

// textWorker is the memory for one text.
type textWorker struct {
	cutter   *textinput.Cutter     // nil: features are made without tokens
	features *textinput.Vectoriser // nil: of tokens
	input    []float32
	session  *Session        // on features
	tokens   *frozen.Session // on tokens; nil: on features
}

func (t *Texts) take() (*textWorker, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.idle); n > 0 {
		w := t.idle[n-1]
		t.idle = t.idle[:n-1]
		return w, nil
	}
	w := &textWorker{}
	var err error
	if w.cutter, w.features, err = t.prepare.NewWorker(); err != nil {
		return nil, err
	}
	if w.cutter != nil && !t.prepare.Encodes() {
		w.tokens = t.model.program.NewSession(t.prepare.MostTokens())
		return w, nil
	}
	w.input, w.session = make([]float32, t.model.Size()), t.model.NewSession(nil, 1)
	return w, nil
}

func (t *Texts) giveBack(w *textWorker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = append(t.idle, w)
}

// runTexts is Run for rows with a text.
func (r *Rows) runTexts(ctx context.Context, rec arrow.Record, threads int) (answers []float32, reasons []string, err error) {
	texts, err := record.ColumnAs[*array.String](rec, record.Text)
	if err != nil {
		return nil, nil, err
	}
	names, rows := len(r.model.Head().Names()), int(rec.NumRows())
	answers, reasons = make([]float32, rows*names), make([]string, rows)
	tasks := pool.New().WithErrors().WithMaxGoroutines(max(threads, 1))
	for i := range rows {
		if texts.IsNull(i) {
			reasons[i] = "there is no text"
			continue
		}
		tasks.Go(func() error {
			own := answers[i*names : (i+1)*names]
			if err := r.texts.Text(texts.Value(i), own); err != nil {
				reasons[i] = err.Error()
			} else if slices.ContainsFunc(own, notFinite) {
				reasons[i] = "the model's answer is not finite: the weights are no good"
			}
			return ctx.Err()
		})
	}
	return answers, reasons, tasks.Wait()
}

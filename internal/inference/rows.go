package inference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/sourcegraph/conc/pool"

	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Rows runs a model on the rows of tables: features, pictures or tokens that the network takes as they are, pictures whose
// features a frozen backbone makes first, or texts. It may be used by several goroutines. What a row gives depends neither on the
// rows beside it nor on the number of threads.
type Rows struct {
	model    *Model
	pictures *Pictures // nil if the network takes the rows as they are
	texts    *Texts    // nil if the network takes the rows as they are
	column   string

	mu   sync.Mutex
	idle []*rowWorker
}

// OnRows prepares a model to run on tables of a schema, and refuses one whose rows were prepared in another way than the
// model's. weights is as for [Model.OnPictures].
func (m *Model) OnRows(schema *arrow.Schema, weights string) (*Rows, error) {
	steps := m.Input().Transforms
	if u := steps.Unknown(); u != nil {
		return nil, fmt.Errorf("the model's input is made by the transform %q, which this version of tlpipe does not know: a newer one does", u.Name)
	}
	r := &Rows{model: m, column: record.Feature}
	if record.OnTokens(schema) {
		r.column = record.Tokens
		if err := m.takesTokens(schema); err == nil || !m.OnText() || !schema.HasField(record.Text) {
			return r, err
		}
	}
	if schema.HasField(record.Text) && !schema.HasField(record.Feature) && !schema.HasField(record.Image) {
		r.column = record.Text
		if !m.OnText() {
			return nil, errors.New("the rows are texts, and the model does not say how its input is made of texts")
		}
		var err error
		r.texts, err = m.OnTexts(weights)
		return r, err
	}
	if record.OnPictures(schema) {
		r.column = record.Image
		if m.OnText() {
			return nil, errors.New("the rows are pictures, and the model takes texts")
		}
		if prepared, ok := schema.Metadata().GetValue(record.PreprocessingKey); ok {
			if err := CheckPrepared(steps, prepared); err != nil {
				return nil, err
			}
		}
		if _, onFeatures := steps.Extraction(); onFeatures {
			var err error
			r.pictures, err = m.OnPictures(weights)
			return r, err
		}
	}
	return r, m.Takes(schema)
}

// CheckPrepared refuses pictures that were not prepared, as the text under [record.PreprocessingKey] tells, as a model's
// transforms do it. Transforms that tell nothing refuse nothing.
func CheckPrepared(steps record.Transforms, prepared string) error {
	want := steps.WithoutFeatures()
	if len(want) == 0 {
		return nil
	}
	has, err := record.ParsePreprocessing(prepared)
	if err != nil {
		return err
	}
	same, err := equalSteps(has.Transforms(), want)
	if err != nil || same {
		return err
	}
	for i, step := range want {
		if now := stepAt(has.Transforms(), i); now != fmt.Sprint(step) {
			return fmt.Errorf("the pictures are not prepared as those that the model learned from: %s, where the model has: %s", now, step)
		}
	}
	return fmt.Errorf("the pictures are prepared with a step that the model has not: %s", stepAt(has.Transforms(), len(want)))
}

func stepAt(steps record.Transforms, i int) string {
	if i < len(steps) {
		return fmt.Sprint(steps[i])
	}
	return "nothing"
}

func equalSteps(a, b record.Transforms) (bool, error) {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return string(x) == string(y), errors.Join(err, err2)
}

// togetherRows is how many rows of features a network computes at once, at most.
const togetherRows = 32

// Run computes what the model tells of each row of a record, on so many threads: one number for each name of the head, row
// by row, and for each row why there is no answer, or "".
func (r *Rows) Run(ctx context.Context, rec arrow.Record, threads int) (answers []float32, reasons []string, err error) {
	switch r.column {
	case record.Tokens:
		return r.runTokens(ctx, rec, threads)
	case record.Text:
		return r.runTexts(ctx, rec, threads)
	}
	read, size, err := r.reader(rec)
	if err != nil {
		return nil, nil, err
	}
	together := togetherRows
	if r.column == record.Image {
		together = 1
	}
	rows, names := int(rec.NumRows()), len(r.model.Head().Names())
	answers, reasons = make([]float32, rows*names), make([]string, rows)
	tasks := pool.New().WithErrors().WithMaxGoroutines(max(threads, 1))
	for from := 0; from < rows; from += together {
		n := min(together, rows-from)
		tasks.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			w := r.take(size * n)
			defer r.giveBack(w)
			for i := range n {
				if reasons[from+i] = read(w.input[i*size:(i+1)*size], from+i); reasons[from+i] != "" {
					clear(w.input[i*size : (i+1)*size])
				}
			}
			return r.answer(w, n, size, answers[from*names:(from+n)*names])
		})
	}
	if err := tasks.Wait(); err != nil {
		return nil, nil, err
	}
	for i := range reasons {
		if own := answers[i*names : (i+1)*names]; reasons[i] == "" && slices.ContainsFunc(own, notFinite) {
			reasons[i] = "the model's answer is not finite: the row's numbers are not, or the weights are no good"
		}
	}
	return answers, reasons, nil
}

func notFinite(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) }

// answer runs the model on the first n rows of a worker's input.
func (r *Rows) answer(w *rowWorker, n, size int, out []float32) error {
	if r.pictures != nil {
		return r.pictures.Pixels(w.input[:size], out)
	}
	return w.session.Run(w.input[:n*size], n, out)
}

// reader returns what reads the numbers of a row, and how many they are. It tells why a row has none.
func (r *Rows) reader(rec arrow.Record) (read func(dst []float32, row int) (reason string), size int, err error) {
	if r.column == record.Image {
		column, err := picture.NewColumn(rec)
		if err != nil {
			return nil, 0, err
		}
		return func(dst []float32, row int) string {
			if column.IsNull(row) {
				return "there is no picture"
			}
			column.Read(dst, row)
			return ""
		}, column.Size(), nil
	}
	column, err := record.TensorColumn(rec, r.column)
	if err != nil {
		return nil, 0, err
	}
	return func(dst []float32, row int) string {
		if column.IsNull(row) {
			return "there are no features"
		}
		column.AppendFloats(dst[:0], row)
		return ""
	}, column.Size(), nil
}

// rowWorker is the memory for the rows that are computed at once.
type rowWorker struct {
	input   []float32
	session *Session // nil where the model runs on pictures by way of features
}

func (r *Rows) take(numbers int) *rowWorker {
	r.mu.Lock()
	defer r.mu.Unlock()
	var w *rowWorker
	if n := len(r.idle); n > 0 {
		w, r.idle = r.idle[n-1], r.idle[:n-1]
	} else {
		w = &rowWorker{}
		switch {
		case r.pictures != nil:
		case r.column == record.Image:
			w.session = r.model.NewSession(nil, 1)
		default:
			w.session = r.model.NewSession(nil, togetherRows)
		}
	}
	if len(w.input) < numbers {
		w.input = make([]float32, numbers)
	}
	return w
}

// Close frees what the rows take; none may be at work.
func (r *Rows) Close() {
	if r.pictures != nil {
		r.pictures.Close()
	}
}

func (r *Rows) giveBack(w *rowWorker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = append(r.idle, w)
}

package evaluate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Baseline is the name of a baseline in parameters.
type Baseline string

// The baselines.
const (
	Majority        Baseline = "majority"         // answers with the shares of the classes in training
	NearestCentroid Baseline = "nearest_centroid" // the class whose mean features are nearest
)

// rival is a model or a baseline, and its answers.
type rival struct {
	name     string
	baseline bool
	table    *table
	known    []bool // by class of the evaluation
	answerer answerer

	probabilities []float32       // of all rows of the table, [rows, classes]
	scored        []int           // rows with a label that the rival knows
	sample        *metrics.Sample // of the scored rows
}

// answerer gives the probabilities of the evaluation's classes.
type answerer interface {
	// answer fills out, [n, classes], from features, [n, dimension].
	answer(features []float32, n int, out []float32) error
}

// enterModel adds a model to the rivals.
func (e *evaluation) enterModel(ctx context.Context, in pipeline.Input, t *table) error {
	c, err := classifier.Read(ctx, in)
	if err != nil {
		return err
	}
	if size := c.InputShape().Size(); size != t.dimension {
		return fmt.Errorf("model %s takes features of %d values, but those of %s have %d", in.Name(), size, t.input.Name(), t.dimension)
	}
	made, known := t.schema.Metadata().GetValue(record.ExtractionKey)
	if want := c.Metadata[record.ExtractionKey]; known && want != "" && made != want {
		return fmt.Errorf("model %s was trained on features made as %s, but those of %s are made as %s", in.Name(), want, t.input.Name(), made)
	}
	program, err := c.Compile()
	if err != nil {
		return fmt.Errorf("model %s: %w", in.Name(), err)
	}
	places := make([]int, len(c.Classes))
	for i, class := range c.Classes {
		if slices.Contains(c.Classes[:i], class) {
			return fmt.Errorf("model %s: class %q is named twice", in.Name(), class)
		}
		if e.classOf(class) < 0 {
			e.numbers[class] = len(e.classes)
			e.classes = append(e.classes, class)
		}
		places[i] = e.classOf(class)
	}
	e.rivals = append(e.rivals, &rival{name: in.Name(), table: t, answerer: &head{program: program, places: places}})
	return nil
}

// enterBaselines fits the baselines on the rows of split train of each table
// in use. They know the classes that occur there.
func (e *evaluation) enterBaselines(ctx context.Context) error {
	var tables []*table
	for _, r := range e.rivals {
		if !slices.Contains(tables, r.table) {
			tables = append(tables, r.table)
		}
	}
	var centroids, majorities []*rival
	for _, t := range tables {
		if len(e.Baselines) == 0 {
			break
		}
		prior := metrics.NewPrior(len(e.classes))
		nearest := metrics.NewCentroids(len(e.classes), t.dimension)
		known := make([]bool, len(e.classes))
		for batch, err := range t.examples(ctx, func(r rowView, i int) bool { return r.split.Value(i) == record.Train && !r.label.IsNull(i) }) {
			if err != nil {
				return err
			}
			for k, row := range batch.at {
				if class := e.classOf(batch.rows.label.Value(row)); class >= 0 {
					known[class] = true
					prior.Add(class)
					nearest.Add(class, batch.features[k*t.dimension:(k+1)*t.dimension])
				}
			}
		}
		if !slices.Contains(known, true) {
			e.task.Log("%s has no labelled row of split train: there are no baselines on it", t.input.Name())
			continue
		}
		nearest.Fit()
		majorities = append(majorities, &rival{name: baselineName("majority class", t, len(tables)), baseline: true, table: t, known: known, answerer: newPriorAnswers(prior, len(e.classes))})
		centroids = append(centroids, &rival{name: baselineName("nearest centroid", t, len(tables)), baseline: true, table: t, known: known, answerer: centroidAnswers{nearest, t.dimension, len(e.classes)}})
	}
	if slices.Contains(e.Baselines, NearestCentroid) {
		e.rivals = append(e.rivals, centroids...)
	}
	if slices.Contains(e.Baselines, Majority) {
		e.rivals = append(e.rivals, mergeMajorities(majorities)...)
	}
	return nil
}

// mergeMajorities keeps one of those that give the same answers to the same
// rows: on several features of the same pictures, which they do not look at.
func mergeMajorities(all []*rival) []*rival {
	if len(all) < 2 {
		return all
	}
	first := all[0]
	for _, r := range all[1:] {
		if !slices.Equal(r.table.ids, first.table.ids) || !slices.Equal(r.table.labels, first.table.labels) ||
			!slices.Equal(r.answerer.(priorAnswers), first.answerer.(priorAnswers)) {
			return all
		}
	}
	first.name = "majority class"
	return all[:1]
}

func baselineName(name string, t *table, tables int) string {
	if tables == 1 {
		return name
	}
	if at := t.input.Coordinates().String(); at != "" {
		return name + "[" + at + "]"
	}
	return name + "[" + t.input.Name() + "]"
}

// answerAll lets all rivals answer, and writes their answers.
func (e *evaluation) answerAll(ctx context.Context) error {
	pool := kernel.NewPool(max(e.task.Threads, 1))
	defer pool.Close()
	p, err := newPredictions(e)
	if err != nil {
		return err
	}
	for i, r := range e.rivals {
		if h, ok := r.answerer.(*head); ok {
			h.open(pool, len(e.classes))
			r.known = h.known(len(e.classes))
		}
		if err := e.answer(ctx, r, p); err != nil {
			return err
		}
		e.task.Progress(int64(i+1), int64(len(e.rivals)), "model")
	}
	return p.close()
}

// answer lets one rival answer the rows of its table.
func (e *evaluation) answer(ctx context.Context, r *rival, p *predictions) error {
	classes := len(e.classes)
	r.probabilities = make([]float32, 0, len(r.table.ids)*classes)
	passes := func(rows rowView, i int) bool { return rows.split.Value(i) == e.Split && !rows.copied(i) }
	for batch, err := range r.table.examples(ctx, passes) {
		if err != nil {
			return err
		}
		n := len(batch.at)
		from := len(r.probabilities)
		r.probabilities = append(r.probabilities, make([]float32, n*classes)...)
		out := r.probabilities[from:]
		if err := r.answerer.answer(batch.features, n, out); err != nil {
			return fmt.Errorf("model %s: %w", r.name, err)
		}
		for k, x := range out {
			if math.IsNaN(float64(x)) {
				return fmt.Errorf("model %s: the answer to %q is not a number: its weights or the features are not finite", r.name, batch.rows.id.Value(batch.at[k/classes]))
			}
		}
		if err := p.write(ctx, r, batch, out); err != nil {
			return err
		}
	}
	return e.score(r)
}

// score makes the sample of the rows whose class the rival knows.
func (e *evaluation) score(r *rival) error {
	classes := len(e.classes)
	var truth []int
	var probabilities []float32
	for row, label := range r.table.labels {
		if class := e.classOf(label); r.table.labelled[row] && class >= 0 && r.known[class] {
			truth = append(truth, class)
			r.scored = append(r.scored, row)
			probabilities = append(probabilities, r.probabilities[row*classes:(row+1)*classes]...)
		}
	}
	r.probabilities = nil // in the sample, and written
	if len(truth) == 0 {
		if r.baseline {
			return nil // it saw none of these classes; its lines say so
		}
		return fmt.Errorf("model %s: no row of split %s in %s is of a class that the model knows; rows: %s; classes: %s",
			r.name, e.Split, r.table.input.Name(), countsInWords(r.table.labelCounts()), strings.Join(e.classesOf(r), ", "))
	}
	var err error
	if r.sample, err = metrics.NewSample(truth, probabilities, classes); err != nil {
		return fmt.Errorf("model %s: %w", r.name, err)
	}
	return nil
}

func (e *evaluation) classesOf(r *rival) []string {
	var out []string
	for class, name := range e.classes {
		if r.known[class] {
			out = append(out, name)
		}
	}
	return out
}

// head answers with a trained classifier.
type head struct {
	program *frozen.Program
	places  []int // class of the evaluation, by class of the model

	pool    *kernel.Pool
	session *frozen.Session
	classes int
	own     []float32 // probabilities in the model's order
}

// sessionRows is how many rows a head computes at once.
const sessionRows = 256

func (h *head) open(pool *kernel.Pool, classes int) {
	h.pool, h.classes = pool, classes
	h.session = h.program.NewSession(sessionRows)
}

func (h *head) known(classes int) []bool {
	known := make([]bool, classes)
	for _, class := range h.places {
		known[class] = true
	}
	return known
}

func (h *head) answer(features []float32, n int, out []float32) error {
	h.own = slices.Grow(h.own[:0], n*len(h.places))[:n*len(h.places)]
	if err := h.session.Run(h.pool, features, n, h.own); err != nil {
		return err
	}
	for row := range n {
		for i, class := range h.places {
			out[row*h.classes+class] = h.own[row*len(h.places)+i]
		}
	}
	return nil
}

// priorAnswers are the same for every row.
type priorAnswers []float32

func newPriorAnswers(p *metrics.Prior, classes int) priorAnswers {
	out := make([]float32, classes)
	p.Probabilities(out)
	return out
}

func (p priorAnswers) answer(_ []float32, n int, out []float32) error {
	if len(out) != n*len(p) {
		return errors.New("the baseline was asked for other classes")
	}
	for row := range n {
		copy(out[row*len(p):], p)
	}
	return nil
}

// centroidAnswers are by distance.
type centroidAnswers struct {
	nearest            *metrics.Centroids
	dimension, classes int
}

func (c centroidAnswers) answer(features []float32, n int, out []float32) error {
	for row := range n {
		c.nearest.Probabilities(features[row*c.dimension:(row+1)*c.dimension], out[row*c.classes:(row+1)*c.classes])
	}
	return nil
}

func (t *table) labelCounts() map[string]int {
	counts := map[string]int{}
	for row, label := range t.labels {
		if !t.labelled[row] {
			label = "(no label)"
		}
		counts[label]++
	}
	return counts
}

// countsInWords lists at most a dozen: "bird 12, cat 30".
func countsInWords(counts map[string]int) string {
	var parts []string
	for i, name := range slices.Sorted(maps.Keys(counts)) {
		if i == 12 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

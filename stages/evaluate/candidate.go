package evaluate

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// candidate is a model or a baseline, and its answers.
type candidate struct {
	name     string
	baseline bool
	adapted  bool // a model that a stage adapt made: it was not trained on the table's labels, or on few of them
	bound    bool // a baseline that learned from labels which adapted models do without
	table    *table
	known    []bool // by class of the evaluation
	answerer answerer
	frozen   record.Origin // of the backbone that the training of a network on pictures started from; zero if there is none, or it is not known

	// What is kept of the answers:
	scored []int  // rows of the table with a label that the candidate knows
	truth  []int  // of the scored rows
	right  []bool // of the scored rows
}

// answerer gives the probabilities of the evaluation's classes.
type answerer interface {
	// answer fills out, [n, classes], from features, [n, dimension].
	answer(features []float32, n int, out []float32) error
}

// compile makes a model ready to run, and refuses one that does not take what the table has.
func compile(in pipeline.Input, c *classifier.Classifier, t *table) (*inference.Model, error) {
	m, err := inference.New(c)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", in.Name(), err)
	}
	if err := m.Takes(t.schema); err != nil {
		return nil, fmt.Errorf("model %s does not take the rows of %s: %w", in.Name(), t.input.Name(), err)
	}
	return m, nil
}

// enterModel adds a model to the candidates.
func (e *evaluation) enterModel(in pipeline.Input, c *classifier.Classifier, t *table) error {
	model, err := compile(in, c, t)
	if err != nil {
		return err
	}
	classes := model.Head().Classes
	places := make([]int, len(classes))
	for i, class := range classes {
		if e.classOf(class) < 0 {
			e.numbers[class] = len(e.classes)
			e.classes = append(e.classes, class)
		}
		places[i] = e.classOf(class)
	}
	entered := &candidate{name: in.Name(), table: t, answerer: &head{model: model, places: places}}
	entered.adapted, t.both = adaptedBy(c.Description.Recipe, t.both)
	if origins := c.Description.OwnOrigins(); t.pictures && len(origins) == 1 {
		entered.frozen = origins[0]
	}
	e.candidates = append(e.candidates, entered)
	return nil
}

// answer lets one candidate answer the rows of its table, writes the answers and
// returns the sample of those that can be scored; nil if a baseline has none.
func (e *evaluation) answer(ctx context.Context, r *candidate, pool *kernel.Pool, p *predictions) (*metrics.Sample, error) {
	classes := len(e.classes)
	if h, ok := r.answerer.(*head); ok {
		h.open(pool, classes)
		r.known = h.known(classes)
	}
	var probabilities, scored []float32
	row := 0 // of the table
	passes := func(rows rowView, i int) bool { return rows.Split(i) == e.Split && !rows.copied(i) }
	for batch, err := range r.table.examples(ctx, passes) {
		if err != nil {
			return nil, err
		}
		n := len(batch.at)
		probabilities = slices.Grow(probabilities[:0], n*classes)[:n*classes]
		clear(probabilities)
		if err := r.answerer.answer(batch.features, n, probabilities); err != nil {
			return nil, fmt.Errorf("model %s: %w", r.name, err)
		}
		for i, x := range probabilities {
			if math.IsNaN(float64(x)) {
				return nil, fmt.Errorf("model %s: the output for row %q is not a number: its weights or the features are not finite", r.name, batch.rows.ID(batch.at[i/classes]))
			}
		}
		if err := p.write(ctx, r, batch, probabilities); err != nil {
			return nil, err
		}
		for i := range n {
			if class := e.classOf(r.table.labels[row]); class >= 0 && r.known[class] {
				r.scored = append(r.scored, row)
				r.truth = append(r.truth, class)
				scored = append(scored, probabilities[i*classes:(i+1)*classes]...)
			}
			row++
		}
	}
	return e.score(r, scored)
}

// score makes the sample of a candidate's answers to the rows it knows the class
// of.
func (e *evaluation) score(r *candidate, probabilities []float32) (*metrics.Sample, error) {
	if len(r.scored) == 0 {
		if r.baseline {
			return nil, nil // it saw none of these classes; its lines say so
		}
		return nil, fmt.Errorf("model %s: no row of split %s in %s is of a class that the model knows; rows: %s; classes: %s",
			r.name, e.Split, r.table.input.Name(), countsInWords(r.table.labelCounts()), strings.Join(e.classesOf(r), ", "))
	}
	sample, err := metrics.NewSample(r.truth, probabilities, len(e.classes))
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", r.name, err)
	}
	r.right = make([]bool, len(r.scored))
	for i := range r.right {
		r.right[i] = sample.Right(i)
	}
	return sample, nil
}

func (e *evaluation) classesOf(r *candidate) []string {
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
	model  *inference.Model
	places []int // class of the evaluation, by class of the model

	session *inference.Session
	classes int
	own     []float32 // probabilities in the model's order
}

// mostRows is how many rows a model computes at once, at most.
const mostRows = 256

func (h *head) open(pool *kernel.Pool, classes int) {
	h.classes, h.session = classes, h.model.NewSession(pool, mostRows)
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
	if err := h.session.Run(features, n, h.own); err != nil {
		return err
	}
	for row := range n {
		for i, class := range h.places {
			out[row*h.classes+class] = h.own[row*len(h.places)+i]
		}
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

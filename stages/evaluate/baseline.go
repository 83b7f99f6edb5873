package evaluate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
)

// Baseline is the name of a baseline in parameters.
type Baseline string

// The baselines.
const (
	Majority        Baseline = "majority"         // answers with the shares of the classes in training
	NearestCentroid Baseline = "nearest_centroid" // the class whose mean features are nearest
	Logistic        Baseline = "logistic"         // logistic regression on the features, of pictures on those of the frozen backbone, its penalty chosen on split val
)

// enterBaselines fits the baselines on the rows of split train of each table
// in use. They know the classes that occur there.
func (e *evaluation) enterBaselines(ctx context.Context) error {
	var tables []*table
	for _, r := range e.candidates {
		if !slices.Contains(tables, r.table) {
			tables = append(tables, r.table)
		}
	}
	var logistics, centroids, majorities []*candidate
	for _, t := range tables {
		if len(e.Baselines) == 0 {
			break
		}
		prior := metrics.NewPrior(len(e.classes))
		var nearest *metrics.Centroids // means of pixels say nothing
		if t.hasFeatures() {
			nearest = metrics.NewCentroids(len(e.classes), t.dimension)
		}
		known := make([]bool, len(e.classes))
		regression := t.hasFeatures() && slices.Contains(e.Baselines, Logistic)
		training, validation := shallow.Rows{Width: t.dimension}, shallow.Rows{Width: t.dimension}
		var pictures groups
		for batch, err := range t.examples(ctx, func(r rowView, i int) bool {
			return !r.label.IsNull(i) && (r.Split(i) == record.Train || regression && r.Split(i) == record.Validation && !r.copied(i))
		}) {
			if err != nil {
				return err
			}
			for k, row := range batch.at {
				class, features := e.classOf(batch.rows.label.Value(row)), batch.features[k*t.dimension:(k+1)*t.dimension]
				if class < 0 {
					continue
				}
				into := &training
				if batch.rows.Split(row) == record.Validation {
					into = &validation
				}
				if regression {
					into.Values, into.Classes = append(into.Values, features...), append(into.Classes, class)
				}
				if into == &training {
					pictures.add(batch.rows.ID(row))
					known[class] = true
					prior.Add(class)
					if nearest != nil {
						nearest.Add(class, features)
					}
				}
			}
		}
		if !slices.Contains(known, true) {
			e.task.Log("%s has no labelled row of split train: no baselines are computed", t.input.Name())
			continue
		}
		if regression {
			answers, err := e.fitLogistic(ctx, training, pictures.of, validation, known)
			if err != nil {
				return fmt.Errorf("baseline on %s: %w", t.input.Name(), err)
			}
			if answers != nil {
				logistics = append(logistics, &candidate{name: baselineName(record.LogisticRegression+e.ofTarget(t, " "), t, len(tables)), baseline: true, bound: e.adaptedTo(t), table: t, known: known, answerer: answers})
			}
		}
		if t.pictures && slices.Contains(e.Baselines, Logistic) {
			frozen, err := e.enterFrozen(ctx, t, len(tables), known)
			if err != nil {
				return fmt.Errorf("baseline on %s: %w", t.input.Name(), err)
			}
			logistics = append(logistics, frozen...)
		}
		majorities = append(majorities, &candidate{name: baselineName("majority class", t, len(tables)), baseline: true, table: t, known: known, answerer: newPriorAnswers(prior, len(e.classes))})
		if nearest != nil {
			nearest.Fit()
			centroids = append(centroids, &candidate{name: baselineName("nearest centroid"+e.ofTarget(t, " "), t, len(tables)), baseline: true, bound: e.adaptedTo(t), table: t, known: known, answerer: centroidAnswers{nearest, t.dimension, len(e.classes)}})
		}
	}
	e.candidates = append(e.candidates, logistics...)
	if slices.Contains(e.Baselines, NearestCentroid) {
		e.candidates = append(e.candidates, centroids...)
	}
	if slices.Contains(e.Baselines, Majority) {
		e.candidates = append(e.candidates, mergeMajorities(majorities)...)
	}
	e.tellBounds()
	return nil
}

// fitLogistic fits logistic regression to the features as they are; nil if there is but one class. Classes without a training
// row are not among those it answers.
func (e *evaluation) fitLogistic(ctx context.Context, training shallow.Rows, pictures []int, validation shallow.Rows, known []bool) (answerer, error) {
	a := &logisticAnswers{classes: len(known), places: placesOf(known)}
	number := slices.Repeat([]int{-1}, len(known))
	for i, class := range a.places {
		number[class] = i
	}
	if len(a.places) < 2 {
		return nil, nil
	}
	chosen := shallow.Rows{Width: validation.Width}
	for i, class := range validation.Classes {
		if number[class] >= 0 {
			chosen.Values = append(chosen.Values, validation.Values[i*validation.Width:(i+1)*validation.Width]...)
			chosen.Classes = append(chosen.Classes, number[class])
		}
	}
	for i, class := range training.Classes {
		training.Classes[i] = number[class]
	}
	var err error
	a.linear, _, err = shallow.Logistic(ctx, training, chosen, len(a.places), shallow.Options{Threads: e.task.Threads, Groups: pictures})
	return a, err
}

// adaptedBy tells whether the recipe of a model is that of a stage adapt, and whether it took source and target from one table, or
// another model did.
func adaptedBy(r *record.Recipe, another bool) (adapted, both bool) {
	both = another
	if r == nil {
		return false, both
	}
	for _, f := range r.Fields {
		if f.Name == "stage" {
			adapted = f.Value == adaptKind
		}
	}
	return adapted, both || adapted && slices.ContainsFunc(r.Fields, func(f record.RecipeField) bool {
		return strings.HasPrefix(f.Name, "params.domains.") && f.Value != "" && f.Value != "[]"
	})
}

// adaptKind is the kind of the stage whose models are measured on labels that they did not learn from.
const adaptKind = "adapt"

// adaptedTo tells whether some model that is measured on a table was adapted: what learns from the labels of the table's rows is
// then an upper bound and no baseline.
func (e *evaluation) adaptedTo(t *table) bool {
	return slices.ContainsFunc(e.candidates, func(c *candidate) bool { return c.table == t && c.adapted })
}

// ofTarget is what the name of a baseline says of its labels, after a joint; "" where no model was adapted.
func (e *evaluation) ofTarget(t *table, joint string) string {
	switch {
	case !e.adaptedTo(t):
		return ""
	case t.both:
		return joint + record.WithTargetLabels
	default:
		return joint + record.OnTargetLabels
	}
}

// tellBounds logs which baselines are upper bounds, and why.
func (e *evaluation) tellBounds() {
	var names []string
	for _, c := range e.candidates {
		if c.bound {
			names = append(names, c.name)
		}
	}
	if len(names) > 0 {
		e.task.Log("upper bounds, which adapted models are not expected to beat: %s", strings.Join(names, "; "))
	}
}

// placesOf lists the classes that are known.
func placesOf(known []bool) (places []int) {
	for class, in := range known {
		if in {
			places = append(places, class)
		}
	}
	return places
}

// groups number the pictures that training rows are, or are copies of, wherever they stand.
type groups struct {
	of    []int
	known map[string]int // by id
}

func (g *groups) add(id string) {
	number, ok := g.known[id]
	if !ok {
		if g.known == nil {
			g.known = map[string]int{}
		}
		number = len(g.known)
		g.known[strings.Clone(id)] = number
	}
	g.of = append(g.of, number)
}

// logisticAnswers are those of a linear classifier.
type logisticAnswers struct {
	linear  *shallow.Linear
	places  []int // of its classes among those of the evaluation
	classes int
}

func (l *logisticAnswers) answer(features []float32, n int, out []float32) error {
	p := make([]float32, n*len(l.places))
	l.linear.Probabilities(features, p)
	for row := range n {
		for j, class := range l.places {
			out[row*l.classes+class] = p[row*len(l.places)+j]
		}
	}
	return nil
}

// mergeMajorities keeps one of those that give the same answers to the same
// rows: on several features of the same pictures, which they do not look at.
func mergeMajorities(all []*candidate) []*candidate {
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

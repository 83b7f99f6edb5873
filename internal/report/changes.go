package report

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// changesView shows what other models answer otherwise than one that they are
// held against.
type changesView struct {
	Reference, ReferenceFull string
	Why                      string // it is the reference
	Models                   []modelChanges
}

// modelChanges are the rows that one model has right and the reference wrong,
// and the reverse.
type modelChanges struct {
	Name, Full    string
	Fixed, Broken int
	Groups        []changeGroup
}

type changeGroup struct {
	Title string
	Class string
	Cards []changeCard
}

type changeCard struct {
	Picture       template.URL
	ID, Label     string
	Before, After string // answers
	BeforeShare   string // their probabilities
	AfterShare    string
	Fixed         bool
}

// maxChanges bounds how many rows of a kind are shown for a model.
const maxChanges = 6

// answer is what a model says to a row.
type answer struct {
	id, label, predicted string
	confidence           float64 // the probability of predicted
	probability          float64 // that of label
}

func (a answer) right() bool { return a.predicted == a.label }

// change is a row that two models answer differently, one of them rightly.
type change struct{ before, after answer }

// gain is how much more probable the true class became.
func (c change) gain() float64 { return c.after.probability - c.before.probability }

// newChanges compares the models shown in detail with the reference, whose
// answers come first in the table of predictions.
func newChanges(ctx context.Context, run Run, e *evaluation, trainings []*training) (*changesView, error) {
	in := outputWith(ctx, e.node, record.Probabilities)
	reference, why := e.reference(trainings)
	if in == nil || reference.name == "" {
		return nil, nil
	}
	changes := map[string][]change{}
	shown := map[string]bool{}
	for _, m := range e.detailed() {
		shown[m.name] = m.name != reference.name
	}
	before := map[string]answer{}
	err := eachAnswer(ctx, in, func(model string, a answer) {
		switch {
		case model == reference.name:
			before[a.id] = a
		case shown[model]:
			if b, ok := before[a.id]; ok && a.right() != b.right() {
				changes[model] = append(changes[model], change{b, a})
			}
		}
	}, func(model string) bool { return model == reference.name || shown[model] })
	if err != nil {
		return nil, fmt.Errorf("read the predictions of %s: %w", e.node.Name, err)
	}
	view := &changesView{Reference: reference.short, ReferenceFull: reference.name, Why: why}
	picked := map[string][][]change{}
	ids := map[string]bool{}
	for _, m := range e.detailed() {
		if len(changes[m.name]) == 0 {
			continue
		}
		var fixed, broken []change
		for _, c := range changes[m.name] {
			if c.after.right() {
				fixed = append(fixed, c)
			} else {
				broken = append(broken, c)
			}
		}
		view.Models = append(view.Models, modelChanges{Name: m.short, Full: m.name, Fixed: len(fixed), Broken: len(broken)})
		slices.SortStableFunc(fixed, func(a, b change) int { return cmp.Compare(b.gain(), a.gain()) })
		slices.SortStableFunc(broken, func(a, b change) int { return cmp.Compare(a.gain(), b.gain()) })
		picked[m.name] = [][]change{fixed[:min(len(fixed), maxChanges)], broken[:min(len(broken), maxChanges)]}
		for _, c := range slices.Concat(picked[m.name]...) {
			ids[c.after.id] = true
		}
	}
	if len(view.Models) == 0 {
		return nil, nil
	}
	pictures, err := picturesByID(ctx, run, e.node, ids)
	for i := range view.Models {
		m := &view.Models[i]
		m.Groups = newChangeGroups(*m, picked[m.Full], pictures)
	}
	return view, err
}

func newChangeGroups(m modelChanges, picked [][]change, pictures map[string]template.URL) []changeGroup {
	var out []changeGroup
	for i, group := range []changeGroup{
		{Title: "Fixed: " + shownOf(len(picked[0]), m.Fixed), Class: "fixed"},
		{Title: "Broken: " + shownOf(len(picked[1]), m.Broken), Class: "broken"},
	} {
		for _, c := range picked[i] {
			group.Cards = append(group.Cards, changeCard{
				Picture: pictures[c.after.id], ID: c.after.id, Label: c.after.label, Fixed: c.after.right(),
				Before: c.before.predicted, BeforeShare: percent(c.before.confidence),
				After: c.after.predicted, AfterShare: percent(c.after.confidence),
			})
		}
		if len(group.Cards) > 0 {
			out = append(out, group)
		}
	}
	return out
}

func shownOf(shown, all int) string {
	if shown == all {
		return plural(int64(all), "row")
	}
	return fmt.Sprintf("%d of %s", shown, plural(int64(all), "row"))
}

// reference is the model that the others are held against, and why: the first
// whose training left the backbone as it was, or the first of all.
func (e *evaluation) reference(trainings []*training) (model, string) {
	var first model
	for _, m := range e.models {
		if m.baseline {
			continue
		}
		if first.name == "" {
			first = m
		}
		if t := trainingOf(trainings, m.name); t != nil && t.headOnly() && !t.onFeatures {
			return m, "the first that trained its head alone"
		}
	}
	return first, "the first model of the evaluation"
}

// eachAnswer visits the answers of the models that are wanted, in the order of
// the table.
func eachAnswer(ctx context.Context, in pipeline.Input, visit func(model string, a answer), want func(model string) bool) error {
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return err
		}
		classes, err := classesOf(rec.Schema())
		if err != nil {
			return err
		}
		probabilities, err := record.TensorColumn(rec, record.Probabilities)
		if err != nil {
			return err
		}
		if probabilities.Size() != len(classes) {
			return fmt.Errorf("%d probabilities of %d classes", probabilities.Size(), len(classes))
		}
		var values []float32
		for i := range int(rec.NumRows()) {
			model := textAt(rec, "model", i)
			a := answer{id: textAt(rec, record.ID, i), label: textAt(rec, record.Label, i), predicted: textAt(rec, record.Predicted, i)}
			if !want(model) || a.label == "" {
				continue
			}
			values = probabilities.AppendFloats(values[:0], i)
			if at := slices.Index(classes, a.predicted); at >= 0 {
				a.confidence = float64(values[at])
			}
			if at := slices.Index(classes, a.label); at >= 0 {
				a.probability = float64(values[at])
			} else {
				continue // it was not scored
			}
			visit(model, a)
		}
	}
	return nil
}

func classesOf(schema *arrow.Schema) ([]string, error) {
	text, ok := schema.Metadata().GetValue(record.ClassesKey)
	if !ok {
		return nil, errors.New("the classes are not on record")
	}
	var classes []string
	if err := json.Unmarshal([]byte(text), &classes); err != nil {
		return nil, fmt.Errorf("read the classes: %w", err)
	}
	for i := range classes {
		classes[i] = cutText(classes[i], maxText)
	}
	return classes, nil
}

package evaluate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/confident"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/pipeline"
)

const (
	// maxLabelNumbers bounds the features held in memory for the search, 0.8 GB, and maxLabelWork rows times features times
	// classes: minutes of fitting on two cores.
	maxLabelNumbers = 2e8
	maxLabelWork    = 2e10
	labelOutput     = "label errors" // of the part
)

// labelRecipe is what decides the search but the data.
type labelRecipe struct {
	Folds      int    `yaml:"folds"`
	Cluster    string `yaml:"cluster"`
	Extraction string `yaml:"extraction"` // of pictures: how features are made of them
}

// labelErrors looks for likely label errors among the labelled rows of all splits, the copies of augmentation left out: on the
// features that the best of the candidates takes or, where there are but pictures, on those of the frozen backbone. The search is
// a part of the stage.
func (e *evaluation) labelErrors(ctx context.Context) ([]record.LabelError, *record.LabelSearch, error) {
	source, extraction, ok, err := e.labelSource(ctx)
	if err != nil || !ok {
		return nil, nil, err
	}
	part := pipeline.Part{Name: "label errors", Recipe: partOf(source.table, labelRecipe{max(e.LabelErrors, 2), e.Cluster, extraction}), Inputs: map[string]pipeline.Input{"data": source.table.input}, Numerics: kernel.Numerics()}
	result, err := e.task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error {
		issues, search, err := e.searchLabels(ctx, source)
		if err != nil {
			return err
		}
		return task.WriteRecord(labelOutput, record.Evaluated(issues, record.Evaluation{Labels: search}.Encode()))
	})
	if err != nil {
		return nil, nil, fmt.Errorf("search for label errors: %w", err)
	}
	schema, err := result[labelOutput].Schema(ctx)
	if err != nil {
		return nil, nil, err
	}
	if schema == nil { // what has no rows may have none
		return nil, nil, nil
	}
	text, _ := schema.Metadata().GetValue(record.EvaluationKey)
	about, err := record.ParseEvaluation(text)
	if err != nil {
		return nil, nil, err
	}
	issues, err := record.ReadRows[record.LabelError](result[labelOutput].Batches(ctx))
	if err == nil && len(issues) > 0 {
		e.task.Log("%d of %d labels are worth a second look: output label_errors lists the likely errors", len(issues), about.Labels.Rows)
	}
	return issues, about.Labels, err
}

// labelSource is the table to search, with what makes features of its pictures; ok is false if there is none.
type labelSource struct {
	table    *table
	name     string         // of what made the features
	features *frozenAnswers // nil where the rows are features
}

func (e *evaluation) labelSource(ctx context.Context) (s labelSource, extraction string, ok bool, err error) {
	if e.LabelErrors == 0 {
		return s, "", false, nil
	}
	best := -1.0
	for _, c := range e.candidates {
		right := 0.0
		for _, r := range c.right {
			if r {
				right++
			}
		}
		if c.table.hasFeatures() && right > best {
			best, s = right, labelSource{table: c.table, name: c.table.input.Name()}
		}
	}
	if s.table != nil {
		return s, "", true, nil
	}
	for _, c := range e.candidates {
		if !c.table.pictures || c.frozen.Backbone == "" {
			continue
		}
		extractor, made, work, err := e.frozenExtractor(ctx, c.table, c.frozen)
		if why := new(notHeldError); errors.As(err, &why) {
			continue
		}
		if err != nil {
			return s, "", false, err
		}
		e.closers = append(e.closers, extractor.Close)
		rows, err := c.table.count(ctx, searched)
		if err != nil {
			return s, "", false, err
		}
		if float64(work)*float64(rows) > frozenWork {
			e.task.Log("label errors are not looked for: the features of %d rows would take %.0f multiply-adds, more than %.0f", rows, float64(work)*float64(rows), float64(frozenWork))
			return s, "", false, nil
		}
		answers := &frozenAnswers{extractor: extractor, threads: max(e.task.Threads, 1)}
		return labelSource{c.table, made.Backbone, answers}, made.Encode(), true, nil
	}
	return s, "", false, nil
}

// searched tells whether the label of a row is looked at.
func searched(r rowView, i int) bool { return !r.label.IsNull(i) && !r.copied(i) }

// searchLabels answers each row by logistic regression fitted to others, and finds the labels that the answers speak against.
// Classes of a single row cannot be learned without it and are left out.
func (e *evaluation) searchLabels(ctx context.Context, s labelSource) ([]record.LabelError, *record.LabelSearch, error) {
	width := s.table.dimension
	if s.features != nil {
		width = s.features.extractor.Shape().Size()
	}
	counts := map[string]int{}
	for rec, err := range s.table.rows.Batches(ctx) {
		if err != nil {
			return nil, nil, err
		}
		rows, err := s.table.viewRows(rec)
		if err != nil {
			return nil, nil, err
		}
		for i := range rows.count {
			if searched(rows, i) {
				counts[rows.label.Value(i)]++
			}
		}
	}
	var classes []string
	total := 0
	for class, n := range counts {
		if n > 1 {
			classes = append(classes, strings.Clone(class))
			total += n
		}
	}
	slices.Sort(classes)
	if len(classes) < 2 {
		return nil, nil, nil
	}
	if numbers := float64(total) * float64(width); numbers > maxLabelNumbers || numbers*float64(len(classes)) > maxLabelWork {
		e.task.Log("label errors are not looked for: %d rows of %d features and %d classes would take too long", total, width, len(classes))
		return nil, nil, nil
	}
	rows := shallow.Rows{Width: width, Values: make([]float32, 0, total*width)}
	var found []record.LabelError // each row
	var groups []int
	clusters := map[string]int{}
	made := make([]float32, 0, batchRows*width)
	for batch, err := range s.table.examples(ctx, func(r rowView, i int) bool { return searched(r, i) && counts[r.label.Value(i)] > 1 }) {
		if err != nil {
			return nil, nil, err
		}
		values := batch.features
		if s.features != nil {
			made = slices.Grow(made[:0], len(batch.at)*width)[:len(batch.at)*width]
			if err := s.features.features(batch.features, len(batch.at), made); err != nil {
				return nil, nil, err
			}
			values = made
		}
		rows.Values = append(rows.Values, values...)
		for _, i := range batch.at {
			label := batch.rows.labelOf(i)
			class, _ := slices.BinarySearch(classes, label)
			rows.Classes = append(rows.Classes, class)
			found = append(found, record.LabelError{ID: strings.Clone(batch.rows.ID(i)), Split: strings.Clone(batch.rows.Split(i)), Label: label})
			if e.Cluster != "" {
				groups = append(groups, clusterOf(batch.rows.rec, e.Cluster, i, clusters))
			}
		}
	}
	folds := max(e.LabelErrors, 2)
	p, err := shallow.OutOfFold(ctx, rows, len(classes), shallow.Options{Folds: folds, Groups: groups, Threads: e.task.Threads})
	if err != nil {
		e.task.Log("label errors are not looked for: %v", err)
		return nil, nil, ctx.Err()
	}
	issues, err := confident.Find(rows.Classes, p, len(classes))
	if err != nil {
		return nil, nil, err
	}
	var out []record.LabelError
	for _, issue := range issues {
		row := found[issue.Row]
		row.Suggested, row.Probability, row.Confidence = classes[issue.Suggested], issue.Probability, issue.Confidence
		out = append(out, row)
	}
	right := 0.0
	for i, class := range rows.Classes {
		if metrics.MostProbable(p[i*len(classes):(i+1)*len(classes)]) == class {
			right++
		}
	}
	return out, &record.LabelSearch{Rows: len(found), Folds: folds, Accuracy: right / float64(len(found)), Features: s.name}, nil
}

package report

import (
	"context"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/record"
)

// maxLabelErrors bounds the rows shown.
const maxLabelErrors = 24

// labelsSection shows the rows whose label is probably wrong.
func labelsSection(ctx context.Context, r *reading, e *result) ([]block, error) {
	rows, schema, err := readTable[record.LabelError](ctx, e.node)
	if err != nil || schema == nil {
		return nil, err
	}
	text, _ := schema.Metadata().GetValue(record.EvaluationKey)
	about, err := record.ParseEvaluation(text)
	if err != nil || about.Labels == nil {
		return nil, err
	}
	search := about.Labels
	how := fmt.Sprintf("Every label is held against a logistic regression on %s that was not fitted to its row (%d-fold cross-validation, %s accurate); confident learning (Northcutt et al. 2021) estimates from this how many labels of each class are wrong, and which.", search.Features, search.Folds, percent(search.Accuracy))
	if len(rows) == 0 {
		return []block{paragraph(plain("None of %s looks wrong.", plural(int64(search.Rows), "label"))), note(how)}, nil
	}
	out := []block{
		paragraph(strong(fmt.Sprintf("%s of %s", count(int64(len(rows))), plural(int64(search.Rows), "label"))), plain(" (%s) are worth a second look: the label is wrong, or the picture shows several classes, or it is an unusual one of its class.", percent(float64(len(rows))/float64(search.Rows)))),
		note(how),
	}
	shown := rows[:min(len(rows), maxLabelErrors)]
	ids := map[string]bool{}
	for _, row := range shown {
		ids[row.ID] = true
	}
	pictures, err := picturesByID(ctx, r.run, e.node, ids)
	var all []card
	for _, row := range shown {
		all = append(all, card{
			Picture: pictures[row.ID], Alternative: fmt.Sprintf("%s: labelled %s, probably %s", row.ID, row.Label, row.Suggested), ID: row.ID,
			Lines: []cardLine{
				{Role: "labelled", Name: row.Label, Number: percent(row.Probability)},
				{Role: "suggested", Name: row.Suggested, Number: percent(row.Confidence)},
				{Role: "split", Name: row.Split},
			},
		})
	}
	out = append(out, cards(all))
	if rest := len(rows) - len(shown); rest > 0 {
		out = append(out, note(fmt.Sprintf("%s more are in the artifact: tlpipe show FILE:%s.label_errors --export labels.csv", count(int64(rest)), e.node.Name)))
	} else {
		out = append(out, note(fmt.Sprintf("As a table: tlpipe show FILE:%s.label_errors --export labels.csv", e.node.Name)))
	}
	return out, err
}

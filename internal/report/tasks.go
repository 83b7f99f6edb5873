package report

import (
	"context"
	"math"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// tasksSection compares, for each task of models that learn several, learning together with learning alone.
func tasksSection(_ context.Context, r *reading) ([]block, error) {
	t := numberTable{Caption: "What learning together gained or cost", Corner: "Evaluation", Columns: []numberColumn{
		{Name: "Model"}, {Name: "Measure"}, {Name: "Rows", Hint: "rows that both were measured on"},
		{Name: "Together"}, {Name: "Alone", Hint: "the task trained by itself with the same settings"},
		{Name: "Difference", Hint: "together less alone, with its 95 % interval over the rows"}, {Name: "Transfer"},
	}}
	for _, e := range r.evaluations {
		for _, c := range append(e.comparisons[:len(e.comparisons):len(e.comparisons)], e.ofNumbers...) {
			if together, ok := c.Together(); ok {
				t.Rows = append(t.Rows, gainRow(e.node.Name, together))
			}
		}
	}
	if len(t.Rows) == 0 {
		return nil, nil
	}
	return []block{
		paragraph(span{Text: "Models that learn several tasks, beside the same networks trained on one task each, on the same rows."}),
		tableOf(t),
		note("Transfer is positive or negative where the paired test, adjusted for the number of comparisons, and the 95 % interval of the difference agree that it is; elsewhere no difference is shown."),
	}, nil
}

func gainRow(evaluation string, c record.Comparison) numberRow {
	value, difference := percent, points
	name := strings.ReplaceAll(c.Metric, "_", " ")
	if c.Metric == record.MeanAbsoluteError {
		value, difference = inUnit, inUnit
		if c.Class != "" {
			name += " of " + c.Class
		}
	}
	interval := ""
	if !math.IsNaN(c.Low) {
		interval = difference(c.Low) + " to " + difference(c.High)
	}
	return numberRow{Name: evaluation, Full: evaluation, Cells: []numberCell{
		{Text: c.A}, {Text: name}, {Text: count(c.Rows)}, {Text: value(c.ValueA)}, {Text: value(c.ValueB)},
		{Text: difference(c.Difference), Interval: interval, Best: c.Decided()}, {Text: c.Transfer()},
	}}
}

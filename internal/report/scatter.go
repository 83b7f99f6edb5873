package report

import (
	"context"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/record"
)

// maxScattered bounds the points of a plot of predictions.
const maxScattered = 1500

// scatterSection draws what models of numbers predict over the truth.
func scatterSection(ctx context.Context, _ *reading, e *result) ([]block, error) {
	if e.by != record.R2 {
		return nil, nil
	}
	in := e.node.Outputs["predictions"]
	schema, err := schemaOf(ctx, e.node, "predictions")
	if err != nil || schema == nil {
		return nil, err
	}
	text, known := schema.Metadata().GetValue(record.HeadKey)
	if !known {
		return nil, nil
	}
	head, err := record.ParseHead(text)
	if err != nil {
		return nil, fmt.Errorf("plot predictions: %w", err)
	}
	type point struct {
		id              string
		truth, answered float64
	}
	type plot struct{ model, number string }
	points := map[plot][]point{}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, fmt.Errorf("plot predictions: %w", err)
		}
		truth, err := record.NewTargetColumnAs(rec, head.Name, record.Regression)
		if err != nil {
			return nil, fmt.Errorf("plot predictions: %w", err)
		}
		predicted, err := record.NewTargetColumn(rec, record.Predicted)
		if err != nil {
			return nil, fmt.Errorf("plot predictions: %w", err)
		}
		models, err := record.ColumnAs[*array.String](rec, "model")
		if err != nil {
			return nil, fmt.Errorf("plot predictions: %w", err)
		}
		for row := range int(rec.NumRows()) {
			if !truth.Known(row) {
				continue
			}
			right := map[string]float64{}
			for k, x := range truth.Numbers(row) {
				right[truth.Names[k]] = x
			}
			for k, x := range predicted.Numbers(row) {
				name := predicted.Names[k]
				y, ok := right[name]
				if !ok && len(truth.Names) == 1 {
					y, ok = right[truth.Names[0]], true
				}
				at := plot{string([]byte(models.Value(row))), name}
				if ok && !math.IsNaN(x) && !math.IsNaN(y) && len(points[at]) < maxScattered {
					points[at] = append(points[at], point{textAt(rec, record.ID, row), y, x})
				}
			}
		}
	}
	out := []block{paragraph(plain("On the dashed line, a prediction is right. What lies below it is predicted too small."))}
	for i, m := range e.detailed() {
		var all []chart
		for _, name := range head.Names() {
			of := points[plot{m.name, name}]
			if len(of) == 0 {
				continue
			}
			s := emptyScale()
			for _, p := range of {
				s = s.widen(p.truth).widen(p.answered)
			}
			s, ticks := s.round(4)
			p := panel{Square: true, XName: "true " + name, YName: "predicted " + name, XTicks: ticks, YTicks: ticks, Rules: []rule{{0, 0, 100, 100, "diagonal"}}}
			for _, v := range of {
				p.Marks = append(p.Marks, mark{X: s.at(v.truth), Y: s.at(v.answered), Class: "k0 one", Title: fmt.Sprintf("%s: true %.4g, predicted %.4g", v.id, v.truth, v.answered)})
			}
			summary := plural(int64(len(of)), "row")
			for _, c := range m.classes {
				if mae, ok := c.scores[record.MeanAbsoluteError]; ok && c.name == name {
					summary = fmt.Sprintf("%s; mean absolute error %.4g, R² %s.", summary, mae.Value, score(c.scores[record.R2].Value))
				}
			}
			p.Label = fmt.Sprintf("Predicted over true %s of %s: %s", name, m.name, summary)
			all = append(all, chart{Name: name, Full: name, Panel: p, Summary: summary})
		}
		if len(all) > 0 {
			out = append(out, folded(m.short, i == 0, charts(all...)))
		}
	}
	if len(out) == 1 {
		return nil, nil
	}
	return append(out, more(e.undetailed())), nil
}

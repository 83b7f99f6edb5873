package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// maxCurves bounds the curves of classes that are told apart by colour in a chart; the others are grey.
const maxCurves = 8

// rocSection draws the ROC and precision-recall curves: of all models together, then of each model class by class.
func rocSection(ctx context.Context, _ *reading, e *result) ([]block, error) {
	points, _, err := readTable[record.CurvePoint](ctx, e.node)
	if len(points) == 0 {
		return nil, err
	}
	var names []string
	shown := e.detailed()
	for _, b := range e.ranked(func(m model) bool { return m.baseline }) {
		shown = append(shown, b) // the best of them, to compare with
		break
	}
	for _, m := range shown {
		names = append(names, m.short)
	}
	roc, pr := newROCPanel(), newPrecisionPanel()
	var keys []key
	var rocWords, prWords []string
	for i, entry := range legend(names, "") {
		m := shown[i]
		name := m.short
		if role := m.role(); role != "" {
			name += ", " + role
		}
		keys = append(keys, key{Colour: entry.Colour, Line: true, Name: name})
		class := fmt.Sprintf("ln k%d", entry.Colour)
		roc.Lines = append(roc.Lines, straight(points, m.name, record.ROCCurve, record.MacroAverage, "", class))
		pr.Lines = append(pr.Lines, steps(points, m.name, record.MicroAverage, "", class))
		rocWords = append(rocWords, fmt.Sprintf("%s: area %s", name, score(m.overall[record.ROCAUC].Value)))
		prWords = append(prWords, fmt.Sprintf("%s: average precision %s", name, score(m.overall[record.MicroAP].Value)))
	}
	roc.Label = "ROC curves, mean over the classes. " + strings.Join(rocWords, "; ") + "."
	pr.Label = "Precision-recall curves of all answers together. " + strings.Join(prWords, "; ") + "."
	out := []block{
		paragraph(plain("Each class is told from the rest by its probability, at every cut-off. A curve that hugs the upper left (ROC) or the upper right (precision and recall) corner belongs to a model that ranks well, whatever the cut-off; the dashed diagonal is chance.")),
		keysOf(keys...),
		charts(
			chart{Name: "ROC", Full: "macro average: the mean of the classes' curves", Panel: roc, Summary: "Mean of the classes' curves (macro average)."},
			chart{Name: "Precision and recall", Full: "micro average: all answers together", Panel: pr, Summary: "All answers of all classes together (micro average)."},
		),
		tableOf(e.summary.metricsTable("Area under the curves", e.areaColumns())),
	}
	for _, m := range e.detailed() {
		if b, ok := e.classCurves(points, m); ok {
			out = append(out, b)
		}
	}
	return append(out, more(e.undetailed())), nil
}

func newROCPanel() panel {
	shares := percentTicks(scale{0, 1}, 0.25)
	return panel{
		Square: true, XName: "false-positive rate: other rows taken for the class", YName: "true-positive rate: rows of the class that are found",
		XTicks: shares, YTicks: shares, Rules: []rule{{0, 0, 100, 100, "diagonal"}},
	}
}

func newPrecisionPanel() panel {
	shares := percentTicks(scale{0, 1}, 0.25)
	return panel{
		Square: true, XName: "recall: rows of the class that are found", YName: "precision: rows taken for the class that are of it",
		XTicks: shares, YTicks: shares,
	}
}

func (e *result) areaColumns() []metricColumn {
	macro := metricColumn{record.MacroAP, "AP, macro", "average precision, mean over the classes", false, false}
	if !e.ofOneClass() {
		macro.metric = record.MeanAveragePrecision
	}
	return []metricColumn{
		{record.ROCAUC, "AUC, macro", "area under the ROC curve, mean over the classes: the chance that a row of the class is ranked above one of another", false, false},
		{record.MicroROCAUC, "AUC, micro", "area under the ROC curve of all answers together", false, false},
		macro,
		{record.MicroAP, "AP, micro", "average precision of all answers together", false, false},
	}
}

// classCurves draws a model's curves of each class against the rest.
func (e *result) classCurves(points []record.CurvePoint, m model) (block, bool) {
	var names []string
	for _, p := range points {
		if p.Model == m.name && p.Class != "" && (len(names) == 0 || names[len(names)-1] != p.Class) && !slices.Contains(names, p.Class) {
			names = append(names, p.Class)
		}
	}
	if len(names) < 2 {
		return block{}, false
	}
	area := func(class, metric string) (record.Metric, bool) {
		for _, c := range m.classes {
			if c.name == class {
				v, ok := c.scores[metric]
				return v, ok
			}
		}
		return record.Metric{}, false
	}
	// The classes that are told worst first: they are the ones to look at.
	slices.SortStableFunc(names, func(a, b string) int {
		x, _ := area(a, record.AveragePrecision)
		y, _ := area(b, record.AveragePrecision)
		return cmp.Compare(x.Value, y.Value)
	})
	roc, pr := newROCPanel(), newPrecisionPanel()
	var keys []key
	table := numberTable{Caption: "Each class against the rest, the hardest first", Corner: "Class", Columns: []numberColumn{
		{Name: "AUC", Hint: "area under the ROC curve"}, {Name: "Average precision", Hint: "area under the curve of precision and recall"}, {Name: "Rows"},
	}}
	for i, name := range slices.Backward(names) { // the coloured ones are drawn last, above the others
		class := "ln rest"
		if i < maxCurves {
			class = fmt.Sprintf("ln k%d", i)
		}
		roc.Lines = append(roc.Lines, straight(points, m.name, record.ROCCurve, "", name, class))
		pr.Lines = append(pr.Lines, steps(points, m.name, "", name, class))
	}
	for i, name := range names {
		if i < maxCurves {
			keys = append(keys, key{Colour: i, Line: true, Name: name})
		}
		row := numberRow{Name: name, Full: name}
		for _, metric := range []string{record.ROCAUC, record.AveragePrecision} {
			v, ok := area(name, metric)
			row.Cells = append(row.Cells, metricColumn{metric: metric}.cell(v, ok))
		}
		v, _ := area(name, record.ROCAUC)
		row.Cells = append(row.Cells, numberCell{Text: count(v.Rows)})
		if len(table.Rows) < maxCurveRows {
			table.Rows = append(table.Rows, row)
		}
	}
	roc.Label = fmt.Sprintf("ROC curves of %s of %s; their areas are in the table below.", plural(int64(len(names)), "class"), m.name)
	pr.Label = fmt.Sprintf("Precision-recall curves of %d classes of %s; their areas are in the table below.", len(names), m.name)
	if len(names) > maxCurves {
		keys = append(keys, key{Rest: true, Line: true, Name: fmt.Sprintf("the other %d", len(names)-maxCurves)})
	}
	return folded(m.short+", class by class", false, keysOf(keys...), charts(chart{Name: "ROC", Panel: roc}, chart{Name: "Precision and recall", Panel: pr}), tableOf(table)), true
}

// maxCurveRows bounds the table of classes below their curves.
const maxCurveRows = 30

// straight draws one of the curves.
func straight(points []record.CurvePoint, model, curve, average, class, style string) line {
	var path strings.Builder
	pen := "M"
	for _, p := range points {
		if p.Model == model && p.Curve == curve && p.Average == average && p.Class == class {
			path.WriteString(pen + decimal(100*p.X) + " " + decimal(100-100*p.Y))
			pen = "L"
		}
	}
	return line{path.String(), style}
}

// steps draws a precision-recall curve: up to each recall, the precision is that of the cut-off where it is reached.
func steps(points []record.CurvePoint, model, average, class, style string) line {
	var path strings.Builder
	for _, p := range points {
		if p.Model != model || p.Curve != record.PrecisionRecallCurve || p.Average != average || p.Class != class {
			continue
		}
		if path.Len() == 0 {
			path.WriteString("M0 " + decimal(100-100*p.Y))
		}
		path.WriteString("V" + decimal(100-100*p.Y) + "H" + decimal(100*p.X))
	}
	return line{path.String(), style}
}

package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// accuracyBar is a row of the chart of accuracies; places are percentages.
type accuracyBar struct {
	Name, Full   string
	Role         string // of what is no trained model: baseline or upper bound
	Best         bool
	Value        float64
	Text         string
	HasInterval  bool
	Low, High    float64
	IntervalText string
	Seeds        []float64 // of the instances that it is the mean of
}

// bars has one bar a model. Those of the instances of a mean are looked up in
// single.
func (e *evaluation) bars(single *evaluation) []accuracyBar {
	if e.by == record.R2 {
		return nil // it has no lower bound
	}
	var out []accuracyBar
	trained := e.trained()
	for _, m := range e.ranked(func(m model) bool { _, ok := m.metric(e.by); return ok }) {
		a := m.accuracy()
		b := accuracyBar{
			Name: m.short, Full: m.name, Role: m.role(), Best: m.name == trained[0].name,
			Value: 100 * a.Value, Text: percent(a.Value), IntervalText: percentRange(a.Low, a.High),
		}
		if b.IntervalText != "" {
			b.HasInterval, b.Low, b.High = true, 100*a.Low, 100*a.High
		}
		if m.seeds() > 0 {
			for _, name := range m.instances {
				instance, _ := single.model(name)
				b.Seeds = append(b.Seeds, 100*instance.accuracy().Value)
			}
		}
		out = append(out, b)
	}
	return out
}

// Width of the interval, for the style sheet.
func (b accuracyBar) Width() float64 { return b.High - b.Low }

// notes tells of rows that were not scored.
func (e *evaluation) notes() []string {
	out := e.targetNotes()
	if e.ofOneClass() {
		out = nil
	}
	for _, m := range e.models {
		if unlabelled, ok := m.metric(record.Unlabelled); ok && !m.baseline {
			out = append(out, fmt.Sprintf("%s: %s without a label, not scored.", m.short, plural(unlabelled.Rows, "row")))
		}
		if len(m.coverage.Unknown) > 0 {
			var classes []string
			for i, c := range m.coverage.Unknown {
				if i == 6 {
					classes = append(classes, "…")
					break
				}
				text := fmt.Sprintf("%s (%s)", c.Label, count(c.Rows))
				if c.Like != "" {
					text = fmt.Sprintf("%s (%s; did you mean %s?)", c.Label, count(c.Rows), c.Like)
				}
				classes = append(classes, text)
			}
			out = append(out, fmt.Sprintf("%s is scored on %s of %s with a label; it knows no class %s.", m.short, count(m.coverage.Scored), plural(m.coverage.Labelled, "row"), strings.Join(classes, ", ")))
		}
	}
	return out
}

// numberTable is a table of numbers, one row a model or class.
type numberTable struct {
	Caption string
	Corner  string
	Columns []numberColumn
	Rows    []numberRow
}

type numberColumn struct {
	Name, Note string
	Hint       string // what the number means
}

type numberRow struct {
	Name, Full string
	Note       string
	Role       string // of what is no trained model: baseline or upper bound
	Cells      []numberCell
}

type numberCell struct {
	Text, Interval string
	Best           bool
	HasBar         bool
	Bar            float64 // percentage
}

// metricColumn says how a metric is shown.
type metricColumn struct {
	metric, name, hint string
	share              bool // a share, shown in percent
	lower              bool // lower is better
}

func (e *evaluation) mainColumns() []metricColumn {
	if !e.ofOneClass() {
		return e.targetColumns()
	}
	columns := []metricColumn{{record.Accuracy, "Accuracy", "share of rows whose most probable class is the true one", true, false}}
	if len(e.models) > 0 {
		var tops []string
		for name := range e.models[0].overall {
			if strings.HasPrefix(name, "top_") {
				tops = append(tops, name)
			}
		}
		slices.Sort(tops)
		for _, name := range tops {
			k := strings.TrimSuffix(strings.TrimPrefix(name, "top_"), "_accuracy")
			if k != "1" {
				columns = append(columns, metricColumn{name, "Top " + k, "share of rows whose true class is among the " + k + " most probable", true, false})
			}
		}
	}
	return append(columns,
		metricColumn{record.BalancedAccuracy, "Balanced", "mean recall of the classes", true, false},
		metricColumn{record.MacroF1, "Macro F1", "mean over the classes of the harmonic mean of precision and recall", true, false},
		metricColumn{record.ROCAUC, "ROC-AUC", "mean over the classes of the probability that a row of the class is ranked above one of another", false, false},
		metricColumn{record.LogLoss, "Log-loss", "mean of −ln of the probability given to the true class; lower is better", false, true},
		metricColumn{record.Brier, "Brier", "mean squared distance of the probabilities from the truth, 0 to 2; lower is better", false, true},
		metricColumn{record.CalibrationError, "Calib. error", "mean distance of confidence from accuracy; lower is better", true, true},
	)
}

var averageColumns = []metricColumn{
	{record.MacroPrecision, "Macro precision", "mean over the classes", true, false},
	{record.MacroRecall, "Macro recall", "mean over the classes", true, false},
	{record.MacroF1, "Macro F1", "mean over the classes", true, false},
	{record.WeightedPrecision, "Weighted precision", "mean weighted by how often a class occurs", true, false},
	{record.WeightedRecall, "Weighted recall", "mean weighted by how often a class occurs", true, false},
	{record.WeightedF1, "Weighted F1", "mean weighted by how often a class occurs", true, false},
}

// averages are the metrics that are averages over the classes.
func (e *evaluation) averages() []metricColumn {
	if !e.ofOneClass() {
		return e.targetAverages()
	}
	return append(slices.Clone(averageColumns), e.agreements()...)
}

// agreements are the metrics that are measured where the pipeline asks for them.
func (e *evaluation) agreements() (columns []metricColumn) {
	if len(e.models) == 0 {
		return nil
	}
	if _, ok := e.models[0].metric(record.Kappa); ok {
		columns = append(columns,
			metricColumn{record.Kappa, "Kappa", "Cohen's kappa: agreement with the truth beyond chance, 1 at most", false, false},
			metricColumn{record.QuadraticKappa, "Quadratic kappa", "Cohen's kappa with squared distances, of classes in the order of their names", false, false})
	}
	before, after, _ := strings.Cut(record.SensitivityAt, "%v")
	for _, name := range slices.Sorted(maps.Keys(e.models[0].overall)) {
		if strings.HasPrefix(name, before) && strings.HasSuffix(name, after) {
			at := strings.TrimSuffix(strings.TrimPrefix(name, before), after)
			columns = append(columns, metricColumn{name, "Sensitivity at " + at, "mean over the classes of the sensitivity at a specificity of " + at + ", a point of the ROC curve of these rows", true, false})
		}
	}
	return columns
}

func (c metricColumn) cell(m record.Metric, measured bool) numberCell {
	if !measured {
		return numberCell{Text: dash}
	}
	if c.share {
		return numberCell{Text: percent(m.Value), Interval: percentRange(m.Low, m.High)}
	}
	if c.metric == record.MeanAbsoluteError || c.metric == record.RootMeanSquaredError {
		return inUnits(m) // three decimals would be none, or too many
	}
	return numberCell{Text: score(m.Value), Interval: scoreRange(m.Low, m.High)}
}

// metricsTable has one row a model, the most accurate first.
func (e *evaluation) metricsTable(caption string, columns []metricColumn) numberTable {
	t := numberTable{Caption: caption, Corner: "Model"}
	for _, c := range columns {
		t.Columns = append(t.Columns, numberColumn{Name: c.name, Hint: c.hint})
	}
	ranked := e.ranked(func(model) bool { return true })
	for _, m := range ranked {
		row := numberRow{Name: m.short, Full: m.name, Role: m.role()}
		if n := m.seeds(); n > 0 {
			row.Note = fmt.Sprintf("mean of %d seeds", n)
		}
		for _, c := range columns {
			value, measured := m.metric(c.metric)
			row.Cells = append(row.Cells, c.cell(value, measured))
		}
		t.Rows = append(t.Rows, row)
	}
	if len(e.trained()) > 1 {
		for k, c := range columns {
			markBest(t.Rows, ranked, k, c)
		}
	}
	return t
}

// markBest marks the best models of a column, not the baselines.
func markBest(rows []numberRow, models []model, k int, c metricColumn) {
	best := math.NaN()
	better := func(a, b float64) bool { return c.lower && a < b || !c.lower && a > b }
	for _, m := range models {
		if v, ok := m.metric(c.metric); ok && !m.baseline && (math.IsNaN(best) || better(v.Value, best)) {
			best = v.Value
		}
	}
	for i, m := range models {
		if v, ok := m.metric(c.metric); ok && !m.baseline && v.Value == best {
			rows[i].Cells[k].Best = true
		}
	}
}

var classColumns = []metricColumn{
	{record.Precision, "Precision", "of the images predicted as this class, the share that belongs to it", true, false},
	{record.Recall, "Recall", "of the images of this class, the share predicted as it", true, false},
	{record.F1, "F1", "harmonic mean of precision and recall", true, false},
	{record.ROCAUC, "ROC-AUC", "probability that a row of the class is ranked above one of another", false, false},
}

// modelTable is a table about one model.
type modelTable struct {
	Name, Full string
	Table      numberTable
}

// maxDetailed bounds how many models are shown in detail, the best first.
const maxDetailed = 6

func (e *evaluation) classTables() []modelTable {
	var out []modelTable
	for _, m := range e.detailed() {
		t := numberTable{Caption: "Classes of " + m.name, Corner: "Class"}
		columns, hint := classColumns, "rows of the class that were scored"
		if !e.ofOneClass() {
			columns, hint = e.targetClassColumns(), "rows that the class applies to"
		}
		if e.by == record.R2 {
			t.Caption, t.Corner, hint = "Numbers of "+m.name, "Number", "rows whose true number is known"
		}
		t.Columns = append(t.Columns, numberColumn{Name: "Rows", Hint: hint})
		for _, c := range columns {
			t.Columns = append(t.Columns, numberColumn{Name: c.name, Hint: c.hint})
		}
		for _, class := range m.classes {
			row := numberRow{Name: class.name, Full: class.name, Cells: []numberCell{{Text: count(class.rows)}}}
			for _, c := range columns {
				value, measured := class.scores[c.metric]
				cell := c.cell(value, measured)
				if measured && !math.IsNaN(value.Value) && e.by != record.R2 {
					cell.HasBar, cell.Bar = true, 100*value.Value
				}
				row.Cells = append(row.Cells, cell)
			}
			t.Rows = append(t.Rows, row)
		}
		if len(t.Rows) > 0 {
			out = append(out, modelTable{m.short, m.name, t})
		}
	}
	return out
}

// detailed lists the models that are shown in detail: of those that differ by
// their seed alone, the first.
func (e *evaluation) detailed() []model {
	first := map[string]string{}
	for _, m := range e.models {
		if name, _ := withoutSeed(m.name); first[name] == "" {
			first[name] = m.name
		}
	}
	models := e.ranked(func(m model) bool {
		name, _ := withoutSeed(m.name)
		return !m.baseline && first[name] == m.name
	})
	return models[:min(len(models), maxDetailed)]
}

// sliceTables has one table a sliced column, with the accuracies of all
// models.
func (e *evaluation) sliceTables() []numberTable {
	type key struct{ model, slice string }
	accuracies := map[key]record.Metric{}
	var columns []string
	values := map[string][]string{}
	for _, m := range e.slices {
		if m.Metric != e.by || m.Class != "" {
			continue
		}
		accuracies[key{m.Model, m.Slice}] = m
		column, value, _ := strings.Cut(m.Slice, "=")
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
		if !slices.Contains(values[column], value) {
			values[column] = append(values[column], value)
		}
	}
	var out []numberTable
	for _, column := range columns {
		t := numberTable{Caption: "Accuracy by " + column, Corner: "Model"}
		if !e.ofOneClass() {
			by := e.byInWords()
			t.Caption = strings.ToUpper(by[:1]) + by[1:] + " by " + column
		}
		ranked := e.ranked(func(model) bool { return true })
		for _, value := range values[column] {
			c := numberColumn{Name: value}
			for _, m := range ranked {
				if a, ok := accuracies[key{m.name, column + "=" + value}]; ok {
					c.Note = plural(a.Rows, "row")
					break
				}
			}
			t.Columns = append(t.Columns, c)
		}
		for _, m := range ranked {
			row := numberRow{Name: m.short, Full: m.name, Role: m.role()}
			if n := m.seeds(); n > 0 {
				row.Note = fmt.Sprintf("mean of %d seeds", n)
			}
			for _, value := range values[column] {
				a, measured := accuracies[key{m.name, column + "=" + value}]
				cell := metricColumn{share: e.by != record.R2}.cell(a, measured)
				if measured && e.by != record.R2 {
					cell.HasBar, cell.Bar = true, 100*a.Value
				}
				row.Cells = append(row.Cells, cell)
			}
			t.Rows = append(t.Rows, row)
		}
		out = append(out, t)
	}
	return out
}

// maxHeatClasses bounds the classes of a confusion matrix drawn whole.
const maxHeatClasses = 32

// heatMap is a confusion matrix, or, for many classes, the pairs most often
// confused.
type heatMap struct {
	Name, Full string
	Classes    []string
	Rows       []heatRow
	Pairs      []heatPair
	Summary    string
}

type heatRow struct {
	Class string
	Total int64
	Cells []heatCell
}

type heatCell struct {
	Rows     int64
	Share    float64 // of the class's rows, in percent
	Shade    float64 // how much of the accent colour, in percent
	Diagonal bool
	Dark     bool // the shade is so full that letters stand out only in light
	Title    string
}

type heatPair struct {
	Actual, Predicted string
	Rows, Of          int64
	Share             string
}

func (e *evaluation) heatMaps() []heatMap {
	var out []heatMap
	for _, m := range e.detailed() {
		h := heatMap{Name: m.short, Full: m.name}
		cells := map[[2]string]int64{}
		totals := map[string]int64{}
		for _, class := range m.classes {
			h.Classes = append(h.Classes, class.name)
		}
		var pairs []heatPair
		for _, c := range e.confusion {
			if c.Model != m.name {
				continue
			}
			cells[[2]string{c.Actual, c.Predicted}] += c.Rows
			totals[c.Actual] += c.Rows
			if c.Actual != c.Predicted {
				pairs = append(pairs, heatPair{Actual: c.Actual, Predicted: c.Predicted, Rows: c.Rows})
			}
		}
		if len(totals) == 0 {
			continue
		}
		slices.SortStableFunc(pairs, func(a, b heatPair) int { return cmp.Compare(b.Rows, a.Rows) })
		for i := range pairs {
			pairs[i].Of = totals[pairs[i].Actual]
			pairs[i].Share = percent(float64(pairs[i].Rows) / float64(pairs[i].Of))
		}
		h.Summary = pairsInWords(pairs)
		if len(h.Classes) > maxHeatClasses {
			h.Pairs = pairs[:min(len(pairs), 30)]
			out = append(out, h)
			continue
		}
		for _, actual := range h.Classes {
			row := heatRow{Class: actual, Total: totals[actual]}
			for _, predicted := range h.Classes {
				n := cells[[2]string{actual, predicted}]
				cell := heatCell{Rows: n, Diagonal: actual == predicted}
				if totals[actual] > 0 {
					cell.Share = 100 * float64(n) / float64(totals[actual])
				}
				cell.Shade, cell.Dark = shadeOf(cell.Share)
				cell.Title = fmt.Sprintf("%s predicted as %s: %s, %s", actual, predicted, plural(n, "row"), percent(cell.Share/100))
				row.Cells = append(row.Cells, cell)
			}
			h.Rows = append(h.Rows, row)
		}
		out = append(out, h)
	}
	return out
}

// shadeOf leaves out the middle shades, on which neither dark nor light letters
// have a contrast of 4.5 to 1.
func shadeOf(share float64) (shade float64, dark bool) {
	if share <= 50 {
		return share, false
	}
	return 77 + (share-50)*23/50, true
}

// pairsInWords names what is confused most.
func pairsInWords(pairs []heatPair) string {
	if len(pairs) == 0 {
		return "Nothing was confused."
	}
	var parts []string
	for _, p := range pairs[:min(len(pairs), 3)] {
		parts = append(parts, fmt.Sprintf("%s predicted as %s (%s of %s)", p.Actual, p.Predicted, count(p.Rows), count(p.Of)))
	}
	return "Most often: " + inWords(parts) + "."
}

// reliability compares confidence with accuracy, model by model.
func (e *evaluation) reliability() []chart {
	xName, yName, said, answer := "confidence of the prediction", "share that is right", "%s with confidence %s: %s right, 95%% interval %s", "row"
	if !e.ofOneClass() {
		xName, yName, said, answer = "probability of a class", "share to which it applies", "%s with probability %s: the class applies to %s, 95%% interval %s", "answer"
	}
	var out []chart
	for _, m := range e.detailed() {
		p := panel{
			Square: true, XName: xName, YName: yName,
			XTicks: percentTicks(scale{0, 1}, 0.25), YTicks: percentTicks(scale{0, 1}, 0.25),
			Rules: []rule{{0, 0, 100, 100, "diagonal"}},
		}
		most := int64(1)
		for _, b := range e.calibration {
			if b.Model == m.name {
				most = max(most, b.Rows)
			}
		}
		var words []string
		for _, b := range e.calibration {
			if b.Model != m.name || b.Rows == 0 {
				continue
			}
			text := fmt.Sprintf(said,
				plural(b.Rows, answer), percent(b.Confidence), percent(b.Accuracy), percentRange(b.AccuracyLow, b.AccuracyHigh))
			x := 100 * b.Confidence
			p.Bars = append(p.Bars, bar{X: 100 * b.Low, Width: 100 * (b.High - b.Low), Height: 18 * float64(b.Rows) / float64(most), Class: "rows", Title: text})
			p.Rules = append(p.Rules, rule{x, 100 * b.AccuracyLow, x, 100 * b.AccuracyHigh, "whisker"})
			p.Marks = append(p.Marks, mark{X: x, Y: 100 * b.Accuracy, Class: "validation", Title: text})
			words = append(words, text)
		}
		if len(p.Marks) == 0 {
			continue
		}
		p.Label = "Reliability of " + m.name + ". " + strings.Join(words, "; ") + "."
		view := chart{Name: m.short, Full: m.name, Panel: p}
		if error, ok := m.metric(record.CalibrationError); ok {
			view.Summary = "Expected calibration error " + percent(error.Value)
			if interval := percentRange(error.Low, error.High); interval != "" {
				view.Summary += " (" + interval + ")"
			}
			view.Summary += "."
		}
		out = append(out, view)
	}
	return out
}

// numberComparisonTable lists the paired tests of numbers.
func (e *evaluation) numberComparisonTable() numberTable {
	t := numberTable{Caption: "Paired comparisons of the errors", Corner: "Model", Columns: []numberColumn{{Name: "against"}}}
	several := slices.ContainsFunc(e.ofNumbers, func(c comparison) bool { return c.Class != "" })
	if several {
		t.Columns = append(t.Columns, numberColumn{Name: "Number"})
	}
	t.Columns = append(t.Columns,
		numberColumn{Name: "Rows", Hint: "rows whose true number is known"},
		numberColumn{Name: "Difference", Hint: "of the mean absolute errors, in the unit of the number; below 0, this model is more accurate"},
		numberColumn{Name: "This closer", Hint: "rows where this model is closer to the truth"}, numberColumn{Name: "Other closer", Hint: "rows where the other is closer to the truth"},
		numberColumn{Name: "p", Hint: "exact sign test"}, numberColumn{Name: "p adjusted", Hint: "by Holm, for the number of comparisons"})
	for _, c := range e.ofNumbers {
		cells := []numberCell{{Text: e.short(c.B)}}
		if several {
			cells = append(cells, numberCell{Text: c.Class})
		}
		difference := numberCell{Text: inUnit(c.Difference), Best: c.decided()}
		if !math.IsNaN(c.Low) {
			difference.Interval = inUnit(c.Low) + " to " + inUnit(c.High)
		}
		t.Rows = append(t.Rows, numberRow{Name: e.short(c.A), Full: c.A, Cells: append(cells,
			numberCell{Text: count(c.Rows)}, difference, numberCell{Text: count(c.OnlyA)}, numberCell{Text: count(c.OnlyB)},
			numberCell{Text: strings.TrimLeft(chance(c.P), "p=\u00a0")}, numberCell{Text: strings.TrimLeft(chance(c.PAdjusted), "p=\u00a0")})})
	}
	return t
}

// comparisonTable lists all paired tests.
func (e *evaluation) comparisonTable() numberTable {
	t := numberTable{Caption: "All paired comparisons", Corner: "Model", Columns: []numberColumn{
		{Name: "against"}, {Name: "Rows", Hint: "rows that both were scored on"}, {Name: "Difference", Hint: "of the accuracies, in points"},
		{Name: "Only this", Hint: "rows that only this model has right"}, {Name: "Only other", Hint: "rows that only the other has right"},
		{Name: "p", Hint: "exact McNemar test"}, {Name: "p adjusted", Hint: "by Holm, for the number of comparisons"},
	}}
	for _, c := range e.comparisons {
		interval := ""
		if !math.IsNaN(c.Low) {
			interval = points(c.Low) + " to " + points(c.High)
		}
		t.Rows = append(t.Rows, numberRow{Name: e.short(c.A), Full: c.A, Cells: []numberCell{
			{Text: e.short(c.B)}, {Text: count(c.Rows)}, {Text: points(c.Difference), Interval: interval, Best: c.decided()},
			{Text: count(c.OnlyA)}, {Text: count(c.OnlyB)}, {Text: strings.TrimLeft(chance(c.P), "p=\u00a0")},
			{Text: strings.TrimLeft(chance(c.PAdjusted), "p=\u00a0")},
		}})
	}
	return t
}

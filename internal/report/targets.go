package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Evaluations of models of any of several classes, or of numbers, are told here: they have other metrics than
// accuracy, and no confusion matrix.

// ofOneClass tells whether the models tell one class a row.
func (e *evaluation) ofOneClass() bool { return e.by == record.Accuracy }

// scoreInWords is the metric that a model is ranked by.
func (e *evaluation) scoreInWords(m model) string {
	if e.by == record.R2 {
		return score(m.accuracy().Value)
	}
	return percent(m.accuracy().Value)
}

func (e *evaluation) byInWords() string {
	switch {
	case e.by == record.R2:
		return "R²"
	case e.ofRetrieval():
		return recallInWords(e.by)
	}
	return "mean average precision"
}

// targetHeadline says in a sentence or two what was found.
func (e *evaluation) targetHeadline() []span {
	trained := e.trained()
	best := trained[0]
	out := []span{strong(best.short), plain(" has %s of ", e.withArticle()), strong(e.scoreInWords(best)), plain(" on %s", plural(best.accuracy().Rows, e.about.Split+" row"))}
	if n := best.seeds(); n > 0 {
		out = append(out, plain(" in the mean of %s", plural(int64(n), "seed")))
	}
	for _, other := range trained[1:min(len(trained), 3)] {
		out = append(out, plain("; %s has %s", other.short, e.scoreInWords(other)))
	}
	out = append(out, plain("."))
	if baselines := e.ranked(func(m model) bool { return m.baseline }); len(baselines) > 0 {
		out = append(out, plain(" The baseline, %s, has %s%s.", baselines[0].short, e.scoreInWords(baselines[0]), e.closer(best, baselines[0])))
	}
	return out
}

// closer says what the paired tests show of the errors of the best model beside those of a baseline; "" if there was none.
func (e *evaluation) closer(best, baseline model) string {
	tests, shown, reversed := 0, 0, 0
	for _, c := range e.ofNumbers {
		if c = c.turned(best.name); c.A != best.name || c.B != baseline.name {
			continue
		}
		tests++
		switch {
		case c.decided() && c.Difference < 0:
			shown++
		case c.decided():
			reversed++
		}
	}
	switch {
	case tests == 0:
		return ""
	case reversed > 0:
		return "; its errors are smaller"
	case shown == tests:
		return "; its errors are larger"
	case shown > 0:
		return fmt.Sprintf("; its errors are larger for %d of %d numbers", shown, tests)
	}
	return "; no difference shown between the errors"
}

// targetLead says how sure the number is.
func (e *evaluation) targetLead(best model) string {
	interval := percentRange(best.accuracy().Low, best.accuracy().High)
	if e.by == record.R2 {
		interval = scoreRange(best.accuracy().Low, best.accuracy().High)
	}
	if interval == "" {
		return "There is no interval: the bootstrap was off, or every resample gives the same number."
	}
	if n := best.seeds(); n > 0 {
		return fmt.Sprintf("95%% interval %s over the %d seeds, by Student's t.", interval, n)
	}
	text := fmt.Sprintf("95%% interval %s, from %s resamples", interval, count(int64(e.about.Resamples)))
	if e.about.Cluster != "" {
		text += fmt.Sprintf(" that draw all rows of one %s together", e.about.Cluster)
	}
	return text + "."
}

// targetNotes tell what was compared, and what a model does not know.
func (e *evaluation) targetNotes() []string {
	var out []string
	if len(e.comparisons) > 0 {
		out = append(out, "Models are compared by the share of rows of which every class is right.")
	}
	for _, m := range e.models {
		if len(m.unknown) == 0 || m.baseline {
			continue
		}
		var classes []string
		for _, u := range m.unknown[:min(len(m.unknown), 6)] {
			classes = append(classes, fmt.Sprintf("%s (%s)", u.Class, count(u.Rows)))
		}
		if len(m.unknown) > 6 {
			classes = append(classes, "…")
		}
		out = append(out, fmt.Sprintf("%s does not know classes that apply to some of the rows: %s.", m.short, strings.Join(classes, ", ")))
	}
	return out
}

// targetColumns are the main metrics.
func (e *evaluation) targetColumns() []metricColumn {
	if e.ofRetrieval() {
		return e.retrievalColumns()
	}
	if e.by == record.R2 {
		columns := []metricColumn{{record.R2, "R²", "share of the variance of the numbers that is explained, 1 at most; 0 is as good as their mean", false, false}}
		if _, ok := e.models[0].metric(record.MeanAbsoluteError); ok {
			columns = append(columns, errorColumns()...)
		}
		return columns
	}
	return []metricColumn{
		{record.MeanAveragePrecision, "Mean average precision", "mean over the classes of the area under the curve of precision and recall", true, false},
		{record.MicroF1, "Micro F1", "harmonic mean of precision and recall of all answers, of all rows to all classes", true, false},
		{record.MacroF1, "Macro F1", "mean over the classes of the harmonic mean of precision and recall", true, false},
		{record.SubsetAccuracy, "All classes right", "share of rows of which every class is right", true, false},
		{record.HammingLoss, "Hamming loss", "share of the answers, of all rows to all classes, that are wrong; lower is better", true, true},
		{record.ROCAUC, "ROC-AUC", "mean over the classes of the chance that a row that it applies to is ranked above one that it does not", false, false},
		{record.LogLoss, "Log-loss", "mean of −ln of the probability given to the truth; lower is better", false, true},
		{record.CalibrationError, "Calib. error", "mean difference between the probability of a class and how often it applies; lower is better", true, true},
		{record.Threshold, "Threshold", "the probability from which a class is taken to apply", false, false},
	}
}

func errorColumns() []metricColumn {
	return []metricColumn{
		{record.MeanAbsoluteError, "Mean absolute error", "in the unit of the number; lower is better", false, true},
		{record.RootMeanSquaredError, "Root mean squared error", "in the unit of the number; lower is better", false, true},
	}
}

// targetAverages are further averages; nil of numbers.
func (e *evaluation) targetAverages() []metricColumn {
	if e.by == record.R2 || e.ofRetrieval() {
		return nil
	}
	return []metricColumn{
		{record.MicroPrecision, "Micro precision", "of all answers", true, false},
		{record.MicroRecall, "Micro recall", "of all answers", true, false},
		{record.MacroPrecision, "Macro precision", "mean over the classes", true, false},
		{record.MacroRecall, "Macro recall", "mean over the classes", true, false},
	}
}

// targetClassColumns are the metrics of a class, or a number.
func (e *evaluation) targetClassColumns() []metricColumn {
	if e.by == record.R2 {
		return append([]metricColumn{{record.R2, "R²", "share of the variance that is explained", false, false}}, errorColumns()...)
	}
	return []metricColumn{
		{record.AveragePrecision, "Average precision", "area under the curve of precision and recall", true, false},
		{record.Precision, "Precision", "of the rows that the class is taken to apply to, the share that it does", true, false},
		{record.Recall, "Recall", "of the rows that the class applies to, the share that is found", true, false},
		{record.F1, "F1", "harmonic mean of precision and recall", true, false},
		{record.ROCAUC, "ROC-AUC", "chance that a row that the class applies to is ranked above one that it does not", false, false},
	}
}

func (e *evaluation) withArticle() string {
	if e.by == record.R2 {
		return "an R²"
	}
	return "a " + e.byInWords()
}

// inUnits is an error in the unit of a number, to four digits.
func inUnits(m record.Metric) numberCell {
	c := numberCell{Text: inUnit(m.Value)}
	if !math.IsNaN(m.Low) {
		c.Interval = inUnit(m.Low) + "–" + inUnit(m.High)
	}
	return c
}

// inUnit writes a number to four digits.
func inUnit(x float64) string { return strings.ReplaceAll(fmt.Sprintf("%.4g", x), "-", "−") }

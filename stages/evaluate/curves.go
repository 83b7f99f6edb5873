package evaluate

import (
	"context"
	"math"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
)

// ranked are a candidate's answers, class by class and all together, as questions of yes or no.
type ranked struct {
	names   []string
	rows    []int64 // of each class
	classes []*metrics.Detection
	micro   *metrics.Detection // nil where there are too many answers
}

const (
	// maxMicroAnswers is how many answers, rows times classes, are ranked together at most: 50 million take some 700 MB.
	maxMicroAnswers = 5e7
	// maxCurveWork is how many answers all resamples together may look at for intervals of the areas: half a minute on one core.
	maxCurveWork = 5e9
	// curveStep is the least distance of two points of a curve that is kept.
	curveStep = 0.005
	// macroPoints is where a macro-averaged ROC curve has points.
	macroPoints = 201
	// maxCurveClasses bounds the classes with curves of their own: more cannot be told apart in a drawing.
	maxCurveClasses = 100
)

// draw takes note of the curves of a candidate, and of the areas under them, on rows of its table. What several measures of the
// metrics table say already, the areas under the ROC curves, and for rows of several classes the average precision, is
// told by areas of one class a row alone.
func (e *evaluation) draw(ctx context.Context, r *candidate, answers ranked, rows []int, oneClass bool) error {
	var stats []statistic
	if answers.micro != nil {
		stats = append(stats, statistic{record.MicroROCAUC, "", int64(len(rows))}, statistic{record.MicroAP, "", int64(len(rows))})
	}
	if oneClass {
		stats = append(stats, statistic{record.MacroAP, "", int64(len(rows))})
		for c, name := range answers.names {
			stats = append(stats, statistic{record.AveragePrecision, name, answers.rows[c]})
		}
	}
	compute := func(weights []float64) (out []float64) {
		if answers.micro != nil {
			out = append(out, answers.micro.AUC(weights), answers.micro.AveragePrecision(weights))
		}
		if oneClass {
			precisions := make([]float64, len(answers.classes))
			for c, d := range answers.classes {
				precisions[c] = d.AveragePrecision(weights)
			}
			out = append(append(out, metrics.MeanOfKnown(precisions)), precisions...)
		}
		return out
	}
	var intervals []metrics.Interval
	if work := float64(len(rows)) * float64(len(answers.names)) * float64(e.Bootstrap) * 2; work <= maxCurveWork {
		var err error
		if intervals, err = e.bootstrap(r, rows).Intervals(ctx, e.task.Threads, compute); err != nil {
			return err
		}
	}
	for i, value := range compute(nil) {
		s := stats[i]
		row := record.Metric{Model: r.name, Role: r.role(), Metric: s.metric, Class: s.class, Value: value, Low: math.NaN(), High: math.NaN(), Rows: s.rows}
		if intervals != nil && !math.IsNaN(value) && intervals[i].High-intervals[i].Low > 1e-9 {
			row.Low, row.High = intervals[i].Low, intervals[i].High
		}
		e.metrics = append(e.metrics, row)
	}
	add := func(curve, average, class string, points []metrics.CurvePoint) {
		for _, p := range metrics.Thin(points, curveStep) {
			if math.IsInf(p.Cutoff, 0) {
				p.Cutoff = math.NaN()
			}
			e.curves = append(e.curves, record.CurvePoint{Model: r.name, Curve: curve, Average: average, Class: class, X: p.X, Y: p.Y, Cutoff: p.Cutoff})
		}
	}
	if answers.micro != nil {
		add(record.ROCCurve, record.MicroAverage, "", answers.micro.ROC())
		add(record.PrecisionRecallCurve, record.MicroAverage, "", answers.micro.PrecisionRecall())
	}
	var curves [][]metrics.CurvePoint
	for _, d := range answers.classes {
		curves = append(curves, d.ROC())
	}
	if mean := metrics.MeanROC(curves, macroPoints); mean != nil {
		add(record.ROCCurve, record.MacroAverage, "", append([]metrics.CurvePoint{{Cutoff: math.NaN()}}, mean...))
	}
	if r.baseline {
		return nil
	}
	for c, name := range answers.names[:min(len(answers.names), maxCurveClasses)] {
		add(record.ROCCurve, "", name, curves[c])
		add(record.PrecisionRecallCurve, "", name, answers.classes[c].PrecisionRecall())
	}
	return nil
}

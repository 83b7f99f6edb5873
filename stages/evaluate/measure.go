package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
)

// measure takes note of all that a candidate's sample tells: over all rows, by
// class and by slice. The sample is nil if no row could be scored.
func (e *evaluation) measure(ctx context.Context, r *candidate, sample *metrics.Sample) error {
	e.metrics = append(e.metrics, e.unscored(r)...)
	if sample == nil {
		return nil
	}
	all, err := e.measureRows(ctx, r, sample, r.scored, "", true)
	if err != nil {
		return err
	}
	e.metrics = append(e.metrics, all...)
	for k, column := range e.Slices {
		for _, value := range distinct(r.table.slices[k]) {
			var inSample, inTable []int
			for i, row := range r.scored {
				if r.table.slices[k][row] == value {
					inSample = append(inSample, i)
					inTable = append(inTable, row)
				}
			}
			if len(inSample) == 0 {
				continue
			}
			slice, err := e.measureRows(ctx, r, sample.Select(inSample), inTable, column+"="+value, false)
			if err != nil {
				return err
			}
			e.metrics = append(e.metrics, slice...)
		}
	}
	ranked := ranked{}
	var known []int
	actual := sample.Tally(nil).Actual
	for class, name := range e.classes {
		if r.known[class] {
			known, ranked.rows = append(known, class), append(ranked.rows, int64(actual[class]))
			ranked.names, ranked.classes = append(ranked.names, name), append(ranked.classes, sample.Detection(class))
		}
	}
	if len(known)*sample.Rows() <= maxMicroAnswers {
		ranked.micro = sample.MicroDetection(known)
	}
	if err := e.draw(ctx, r, ranked, r.scored, true); err != nil {
		return err
	}
	e.confusion = append(e.confusion, e.confused(r, sample)...)
	e.calibration = append(e.calibration, binsOf(r.name, sample.Calibration(e.CalibrationBins, nil))...)
	if !r.baseline {
		e.mistakes = append(e.mistakes, e.worst(r, sample)...)
	}
	return nil
}

// statistic is a number that a metrics table holds about a sample.
type statistic struct {
	metric, class string
	rows          int64
}

// measureRows computes the statistics of a sample, the given rows of the
// candidate's table, with their intervals.
func (e *evaluation) measureRows(ctx context.Context, r *candidate, sample *metrics.Sample, rows []int, slice string, byClass bool) ([]record.Metric, error) {
	stats := e.statistics(r, sample, byClass)
	ranking := sample.Ranking(e.task.Threads)
	compute := func(weights []float64) []float64 { return e.compute(r, sample, ranking, byClass, weights) }
	bootstrap := e.bootstrap(r, rows)
	clusters := bootstrap.Clusters
	intervals, err := bootstrap.Intervals(ctx, e.task.Threads, compute)
	if err != nil {
		return nil, err
	}
	values := compute(nil)
	out := make([]record.Metric, len(stats))
	for i, s := range stats {
		out[i] = record.Metric{
			Model: r.name, Role: r.role(), Slice: slice, Metric: s.metric, Class: s.class,
			Value: values[i], Low: math.NaN(), High: math.NaN(), Rows: s.rows,
		}
		if intervals != nil && !math.IsNaN(values[i]) {
			interval := intervals[i]
			if interval.Low == interval.High {
				interval = e.withoutSpread(s, sample, values[i], independent(clusters, len(rows)))
			}
			out[i].Low, out[i].High = interval.Low, interval.High
		}
	}
	return out, nil
}

// withoutSpread is the interval of a statistic that is the same in every resample, as where all rows are right: Wilson's of a
// share of rows, none of other numbers. independent is which part of the rows is independent of one another.
func (e *evaluation) withoutSpread(s statistic, sample *metrics.Sample, value, independent float64) metrics.Interval {
	trials := float64(sample.Rows())
	switch s.metric {
	case record.Accuracy, fmt.Sprintf(record.TopKAccuracy, e.TopK), record.WeightedRecall:
	case record.Recall:
		trials = sample.Tally(nil).Actual[e.classOf(s.class)]
	case record.Precision:
		trials = sample.Tally(nil).Predicted[e.classOf(s.class)]
	default:
		return metrics.NoInterval()
	}
	trials *= independent
	return metrics.Wilson(value*trials, trials)
}

// independent is the share of rows that are independent of one another: one of each cluster.
func independent(clusters []int, rows int) float64 {
	if clusters == nil {
		return 1
	}
	return float64(slices.Max(clusters)+1) / float64(rows)
}

// statistics lists what compute computes, in its order.
func (e *evaluation) statistics(r *candidate, sample *metrics.Sample, byClass bool) []statistic {
	n := int64(sample.Rows())
	var out []statistic
	for _, name := range []string{
		record.Accuracy, fmt.Sprintf(record.TopKAccuracy, e.TopK), record.BalancedAccuracy,
		record.MacroPrecision, record.MacroRecall, record.MacroF1,
		record.WeightedPrecision, record.WeightedRecall, record.WeightedF1,
		record.ROCAUC, record.LogLoss, record.Brier, record.CalibrationError,
	} {
		out = append(out, statistic{name, "", n})
	}
	sensitivity := fmt.Sprintf(record.SensitivityAt, e.Specificity)
	if e.Kappa {
		out = append(out, statistic{record.Kappa, "", n}, statistic{record.QuadraticKappa, "", n})
	}
	if e.Specificity > 0 {
		out = append(out, statistic{sensitivity, "", n})
	}
	if !byClass {
		return out
	}
	actual := sample.Tally(nil).Actual
	for class, name := range e.classes {
		if r.known[class] {
			for _, metric := range []string{record.Precision, record.Recall, record.F1, record.ROCAUC} {
				out = append(out, statistic{metric, name, int64(actual[class])})
			}
			if e.Specificity > 0 {
				out = append(out, statistic{sensitivity, name, int64(actual[class])})
			}
		}
	}
	return out
}

func (e *evaluation) compute(r *candidate, sample *metrics.Sample, ranking *metrics.Ranking, byClass bool, weights []float64) []float64 {
	tally := sample.Tally(weights)
	macro, weighted := tally.Macro(), tally.Weighted()
	areas, area := ranking.AUCs(weights)
	out := []float64{
		sample.Accuracy(weights), sample.TopK(e.TopK, weights), tally.BalancedAccuracy(),
		macro.Precision, macro.Recall, macro.F1,
		weighted.Precision, weighted.Recall, weighted.F1,
		area, sample.LogLoss(weights), sample.Brier(weights),
		metrics.ExpectedCalibrationError(sample.Calibration(e.CalibrationBins, weights)),
	}
	if e.Kappa {
		out = append(out, sample.Kappa(false, weights), sample.Kappa(true, weights))
	}
	var sensitivities []float64
	if e.Specificity > 0 {
		sensitivities = e.sensitivities(ranking, weights)
		out = append(out, metrics.MeanOfKnown(sensitivities))
	}
	if !byClass {
		return out
	}
	for class := range e.classes {
		if r.known[class] {
			s := tally.Scores(class)
			out = append(out, s.Precision, s.Recall, s.F1, areas[class])
			if e.Specificity > 0 {
				out = append(out, sensitivities[class])
			}
		}
	}
	return out
}

// sensitivities are those of each class at the specificity that is asked for.
func (e *evaluation) sensitivities(ranking *metrics.Ranking, weights []float64) (out []float64) {
	for class := range e.classes {
		out = append(out, ranking.SensitivityAt(e.Specificity, class, weights))
	}
	return out
}

// bootstrap draws from the given rows of a candidate's table. Candidates on the same
// rows get the same resamples.
func (e *evaluation) bootstrap(r *candidate, rows []int) metrics.Bootstrap {
	b := metrics.Bootstrap{Seed: e.task.Seed, Resamples: e.Bootstrap, Rows: len(rows)}
	if r.table.clusters == nil {
		return b
	}
	numbers := map[int]int{}
	for _, row := range rows {
		cluster := r.table.clusters[row]
		if _, ok := numbers[cluster]; !ok {
			numbers[cluster] = len(numbers)
		}
		b.Clusters = append(b.Clusters, numbers[cluster])
	}
	return b
}

// unscored counts the rows that a candidate was not scored on.
func (e *evaluation) unscored(r *candidate) []record.Metric {
	var out []record.Metric
	add := func(metric, class string, n int) {
		out = append(out, record.Metric{
			Model: r.name, Role: r.role(), Metric: metric, Class: class,
			Value: float64(n), Low: math.NaN(), High: math.NaN(), Rows: int64(n),
		})
	}
	unlabelled, unknown := 0, 0
	counts := map[string]int{}
	for row, label := range r.table.labels {
		class := e.classOf(label)
		switch {
		case !r.table.labelled[row]:
			unlabelled++
		case class < 0 || !r.known[class]:
			unknown++
			counts[label]++
		}
	}
	if unlabelled > 0 {
		add(record.Unlabelled, "", unlabelled)
	}
	if unknown > 0 {
		add(record.UnknownLabel, "", unknown)
	}
	for _, label := range distinct(r.table.labels) {
		if counts[label] > 0 {
			add(record.UnknownLabel, label, counts[label])
		}
	}
	return out
}

func (r *candidate) role() string {
	switch {
	case r.bound:
		return record.BoundRole
	case r.baseline:
		return record.BaselineRole
	default:
		return record.ModelRole
	}
}

// confused counts which classes are taken for which.
func (e *evaluation) confused(r *candidate, sample *metrics.Sample) []record.Confusion {
	var out []record.Confusion
	for actual, row := range sample.Confusion() {
		for predicted, n := range row {
			if n > 0 {
				out = append(out, record.Confusion{Model: r.name, Actual: e.classes[actual], Predicted: e.classes[predicted], Rows: int64(n)})
			}
		}
	}
	return out
}

// binsOf are the bins of a model's confidence as they are written.
func binsOf(model string, bins []metrics.Bin) (out []record.CalibrationBin) {
	for _, b := range bins {
		accuracy := metrics.Wilson(b.Accuracy*b.Rows, b.Rows)
		out = append(out, record.CalibrationBin{
			Model: model, Low: b.Low, High: b.High, Rows: int64(b.Weight),
			Confidence: b.Confidence, Accuracy: b.Accuracy, AccuracyLow: accuracy.Low, AccuracyHigh: accuracy.High,
		})
	}
	return out
}

// worst lists the wrong answers that a model was surest of.
func (e *evaluation) worst(r *candidate, sample *metrics.Sample) []record.Mistake {
	var wrong []record.Mistake
	for i, row := range r.scored {
		if !sample.Right(i) {
			wrong = append(wrong, record.Mistake{
				Model: r.name, ID: r.table.ids[row], Label: r.table.labels[row],
				Predicted:   e.classes[sample.Predicted(i)],
				Confidence:  sample.Confidence(i),
				Probability: float64(sample.Probabilities(i)[sample.Truth(i)]),
			})
		}
	}
	slices.SortFunc(wrong, func(a, b record.Mistake) int {
		return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(a.ID, b.ID))
	})
	wrong = wrong[:min(e.Worst, len(wrong))]
	for i := range wrong {
		wrong[i].Rank = int64(i + 1)
	}
	return wrong
}

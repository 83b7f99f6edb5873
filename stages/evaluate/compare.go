package evaluate

import (
	"context"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
)

// comparisons tests every pair of candidates but those of two baselines, on the
// rows that both were scored on. metric is what rows are right by.
func (e *evaluation) comparisons(ctx context.Context, metric string) ([]record.Comparison, error) {
	return compareAll(e.candidates, (*candidate).isBaseline, func(a, b *candidate) ([]record.Comparison, error) {
		c, shared, err := e.compare(ctx, a, b)
		if c.Metric = metric; err != nil || !shared {
			return nil, err
		}
		return []record.Comparison{c}, nil
	})
}

// compareAll tests every pair but those of two baselines, and adjusts the p-values for their number.
func compareAll[C any](candidates []C, isBaseline func(C) bool, compare func(a, b C) ([]record.Comparison, error)) (out []record.Comparison, err error) {
	for i, a := range candidates {
		for _, b := range candidates[i+1:] {
			if isBaseline(a) && isBaseline(b) {
				continue
			}
			tests, err := compare(a, b)
			if err != nil {
				return nil, err
			}
			out = append(out, tests...)
		}
	}
	var p []float64
	for _, c := range out {
		p = append(p, c.P)
	}
	for i, adjusted := range metrics.Holm(p) {
		out[i].PAdjusted = adjusted
	}
	return out, nil
}

func (c *candidate) isBaseline() bool { return c.baseline }

// compareNumbers is A against B: the mean absolute error of each number that both tell, on the rows of which it is known.
func (t *targets) compareNumbers(ctx context.Context, a, b *targetCandidate) (out []record.Comparison, err error) {
	inB := make(map[string]int, len(b.scored))
	for i, row := range b.scored {
		inB[b.table.ids[row]] = i
	}
	for k, name := range a.names {
		other := slices.Index(b.names, name)
		if other < 0 {
			continue
		}
		var rows []int
		var errorsA, errorsB []float64
		onlyA, onlyB := 0, 0
		for i, row := range a.scored {
			j, ok := inB[a.table.ids[row]]
			if !ok {
				continue
			}
			atA, atB := i*len(a.names)+k, j*len(b.names)+other
			truth := a.numbers[atA]
			if math.IsNaN(truth) || b.numbers[atB] != truth {
				continue
			}
			errorA, errorB := math.Abs(float64(a.out[atA])-truth), math.Abs(float64(b.out[atB])-truth)
			rows, errorsA, errorsB = append(rows, row), append(errorsA, errorA), append(errorsB, errorB)
			switch {
			case errorA < errorB:
				onlyA++
			case errorB < errorA:
				onlyB++
			}
		}
		if len(rows) == 0 {
			continue
		}
		intervals, err := t.bootstrap(a.candidate, rows).Intervals(ctx, t.task.Threads, func(weights []float64) []float64 {
			return []float64{weightedMean(errorsA, weights) - weightedMean(errorsB, weights)}
		})
		if err != nil {
			return nil, err
		}
		c := record.Comparison{
			A: a.name, B: b.name, Metric: record.MeanAbsoluteError, Rows: int64(len(rows)),
			ValueA: weightedMean(errorsA, nil), ValueB: weightedMean(errorsB, nil), OnlyA: int64(onlyA), OnlyB: int64(onlyB),
			Low: math.NaN(), High: math.NaN(), P: metrics.McNemar(onlyA, onlyB),
		}
		if len(a.names) > 1 {
			c.Class = name
		}
		c.Difference = c.ValueA - c.ValueB
		if intervals != nil && intervals[0].Low < intervals[0].High {
			c.Low, c.High = intervals[0].Low, intervals[0].High
		}
		out = append(out, c)
	}
	return out, nil
}

// weightedMean is a mean; without weights, all count alike.
func weightedMean(values, weights []float64) float64 {
	sum, total := 0.0, 0.0
	for i, v := range values {
		w := 1.0
		if weights != nil {
			w = weights[i]
		}
		sum, total = sum+w*v, total+w
	}
	return sum / total
}

// compare is A against B; shared is false if they have no row in common.
func (e *evaluation) compare(ctx context.Context, a, b *candidate) (c record.Comparison, shared bool, err error) {
	rows, rightA, rightB := commonRows(a, b)
	if len(rows) == 0 {
		return c, false, nil
	}
	accuracies := func(weights []float64) (accuracyA, accuracyB float64) {
		sumA, sumB, total := 0.0, 0.0, 0.0
		for i := range rows {
			w := 1.0
			if weights != nil {
				w = weights[i]
			}
			total += w
			if rightA[i] {
				sumA += w
			}
			if rightB[i] {
				sumB += w
			}
		}
		return sumA / total, sumB / total
	}
	bootstrap := e.bootstrap(a, rows)
	intervals, err := bootstrap.Intervals(ctx, e.task.Threads, func(weights []float64) []float64 {
		accuracyA, accuracyB := accuracies(weights)
		return []float64{accuracyA - accuracyB}
	})
	if err != nil {
		return c, false, err
	}
	onlyA, onlyB := metrics.Discordant(rightA, rightB)
	c = record.Comparison{
		A: a.name, B: b.name, Rows: int64(len(rows)), OnlyA: int64(onlyA), OnlyB: int64(onlyB),
		Difference: float64(onlyA-onlyB) / float64(len(rows)),
		Low:        math.NaN(), High: math.NaN(), P: metrics.McNemar(onlyA, onlyB),
	}
	c.ValueA, c.ValueB = accuracies(nil)
	if intervals != nil {
		interval := intervals[0]
		if interval.Low == interval.High { // the models agree on every row, or on none
			both := 0
			for i := range rows {
				if rightA[i] && rightB[i] {
					both++
				}
			}
			part := independent(bootstrap.Clusters, len(rows))
			interval = metrics.PairedDifference(part*float64(both), part*float64(onlyA), part*float64(onlyB), part*float64(len(rows)-both-onlyA-onlyB))
		}
		c.Low, c.High = interval.Low, interval.High
	}
	return c, true, nil
}

// commonRows joins two candidates' scored rows by id: the rows in the first one's
// table, and whether each candidate has them right.
func commonRows(a, b *candidate) (rows []int, rightA, rightB []bool) {
	inB := make(map[string]int, len(b.scored))
	for i, row := range b.scored {
		inB[b.table.ids[row]] = i
	}
	for i, row := range a.scored {
		j, ok := inB[a.table.ids[row]]
		if ok && a.truth[i] == b.truth[j] {
			rows = append(rows, row)
			rightA = append(rightA, a.right[i])
			rightB = append(rightB, b.right[j])
		}
	}
	return rows, rightA, rightB
}

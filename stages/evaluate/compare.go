package evaluate

import (
	"context"
	"math"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
)

// comparisons tests every pair of candidates but those of two baselines, on the
// rows that both were scored on.
func (e *evaluation) comparisons(ctx context.Context) ([]record.Comparison, error) {
	var out []record.Comparison
	var p []float64
	for i, a := range e.candidates {
		for _, b := range e.candidates[i+1:] {
			if a.baseline && b.baseline {
				continue
			}
			c, shared, err := e.compare(ctx, a, b)
			if err != nil {
				return nil, err
			}
			if shared {
				out = append(out, c)
				p = append(p, c.P)
			}
		}
	}
	for i, adjusted := range metrics.Holm(p) {
		out[i].PAdjusted = adjusted
	}
	return out, nil
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
	c.AccuracyA, c.AccuracyB = accuracies(nil)
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

package report

import (
	"maps"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
)

// comparison is a paired test, of two models or of the means over the seeds of
// two: then what lies under the first test alone, such as its p-value, is
// absent.
type comparison struct {
	record.Comparison
	pairs               int     // of instances with one seed
	among               int     // comparisons in the table that p-values were adjusted for
	seedsLow, seedsHigh float64 // 95 % interval of the mean over seeds
	rowsLow, rowsHigh   float64 // mean of the instances' intervals over rows
}

// decided tells whether a difference is shown. That of means must be beyond
// what seeds do, and beyond what the choice of rows does.
func (c comparison) decided() bool {
	if c.pairs < 2 {
		return c.Decided()
	}
	return c.Low > 0 || c.High < 0
}

// overSeeds is the evaluation with the instances of each model that differ by
// their seed alone as one, whose numbers are means over the seeds. It is nil
// if no model has several.
func (e *evaluation) overSeeds() *evaluation {
	out := &evaluation{node: e.node, about: e.about, by: e.by}
	members := map[string][]model{}
	var names []string
	for _, m := range e.models {
		name, _ := withoutSeed(m.name)
		if members[name] == nil {
			names = append(names, name)
		}
		members[name] = append(members[name], m)
	}
	if len(names) == len(e.models) {
		return nil
	}
	for _, name := range names {
		out.models = append(out.models, meanModel(name, members[name]))
	}
	out.slices = e.meanSlices()
	out.comparisons = e.meanComparisons()
	out.nameShortly()
	return out
}

// meanModel is one model in the place of several.
func meanModel(name string, of []model) model {
	mean := model{name: name, baseline: of[0].baseline, bound: of[0].bound, by: of[0].by, overall: map[string]record.Metric{}}
	for _, m := range of {
		mean.instances = append(mean.instances, m.name)
	}
	for metric := range of[0].overall {
		var lines []record.Metric
		for _, m := range of {
			if line, ok := m.overall[metric]; ok {
				lines = append(lines, line)
			}
		}
		mean.overall[metric] = meanMetric(name, lines)
	}
	return mean
}

// meanMetric has the interval of the mean over seeds; of a single line, its own.
func meanMetric(model string, lines []record.Metric) record.Metric {
	mean := lines[0]
	mean.Model = model
	if len(lines) == 1 {
		return mean
	}
	values := make([]float64, len(lines))
	for i, line := range lines {
		values[i] = line.Value
	}
	var interval metrics.Interval
	mean.Value, interval = metrics.Mean(values)
	mean.Low, mean.High = interval.Low, interval.High
	if isShare(mean.Metric) { // Student's interval knows no bounds
		mean.Low, mean.High = max(mean.Low, 0), min(mean.High, 1)
	}
	return mean
}

// isShare tells whether a metric lies between 0 and 1.
func isShare(metric string) bool {
	return !slices.Contains([]string{record.LogLoss, record.Brier, record.Unlabelled, record.UnknownLabel}, metric)
}

func (e *evaluation) meanSlices() []record.Metric {
	type key struct{ model, slice, metric, class string }
	lines := map[key][]record.Metric{}
	var order []key
	for _, line := range e.slices {
		name, _ := withoutSeed(line.Model)
		k := key{name, line.Slice, line.Metric, line.Class}
		if lines[k] == nil {
			order = append(order, k)
		}
		lines[k] = append(lines[k], line)
	}
	out := make([]record.Metric, len(order))
	for i, k := range order {
		out[i] = meanMetric(k.model, lines[k])
	}
	return out
}

// meanComparisons pairs instances of the same seed; one without a seed pairs
// with all.
func (e *evaluation) meanComparisons() []comparison {
	type key struct{ a, b string }
	pairs := map[key][]comparison{}
	var order []key
	for _, c := range e.comparisons {
		a, seedA := withoutSeed(c.A)
		b, seedB := withoutSeed(c.B)
		if a == b || seedA != "" && seedB != "" && seedA != seedB {
			continue
		}
		k := key{a, b}
		if pairs[k] == nil {
			order = append(order, k)
		}
		pairs[k] = append(pairs[k], c)
	}
	out := make([]comparison, len(order))
	for i, k := range order {
		out[i] = meanComparison(k.a, k.b, pairs[k])
	}
	return out
}

func meanComparison(a, b string, of []comparison) comparison {
	mean := comparison{pairs: len(of)}
	if len(of) == 1 {
		mean = of[0]
		mean.A, mean.B = a, b
		return mean
	}
	column := func(value func(comparison) float64) []float64 {
		values := make([]float64, len(of))
		for i, c := range of {
			values[i] = value(c)
		}
		return values
	}
	meanOf := func(value func(comparison) float64) float64 {
		m, _ := metrics.Mean(column(value))
		return m
	}
	difference, interval := metrics.Mean(column(func(c comparison) float64 { return c.Difference }))
	mean.Comparison = record.Comparison{
		A: a, B: b, Rows: of[0].Rows, Difference: difference,
		ValueA: meanOf(func(c comparison) float64 { return c.ValueA }),
		ValueB: meanOf(func(c comparison) float64 { return c.ValueB }),
		P:      math.NaN(), PAdjusted: math.NaN(),
	}
	mean.seedsLow, mean.seedsHigh = max(interval.Low, -1), min(interval.High, 1)
	mean.rowsLow = meanOf(func(c comparison) float64 { return c.Low })
	mean.rowsHigh = meanOf(func(c comparison) float64 { return c.High })
	mean.Low, mean.High = mean.seedsLow, mean.seedsHigh
	if !math.IsNaN(mean.rowsLow) {
		mean.Low, mean.High = min(mean.seedsLow, mean.rowsLow), max(mean.seedsHigh, mean.rowsHigh)
	}
	return mean
}

// turned puts the named model first, if it is one of the two.
func (c comparison) turned(first string) comparison {
	if c.B != first {
		return c
	}
	c.A, c.B = c.B, c.A
	c.ValueA, c.ValueB = c.ValueB, c.ValueA
	c.OnlyA, c.OnlyB = c.OnlyB, c.OnlyA
	c.Difference = -c.Difference
	c.Low, c.High = -c.High, -c.Low
	c.seedsLow, c.seedsHigh = -c.seedsHigh, -c.seedsLow
	c.rowsLow, c.rowsHigh = -c.rowsHigh, -c.rowsLow
	return c
}

// foldSeeds has the nodes that differ by their seed alone as one, for drawings.
func foldSeeds(nodes []Node) []Node {
	instances := map[string][]Node{}
	var names []string
	for _, n := range nodes {
		name, _ := withoutSeed(n.Name)
		if instances[name] == nil {
			names = append(names, name)
		}
		instances[name] = append(instances[name], n)
	}
	out := make([]Node, len(names))
	for i, name := range names {
		out[i] = fold(name, instances[name])
	}
	return out
}

func fold(name string, of []Node) Node {
	out := of[0]
	out.Name, out.Inputs = name, nil
	for i, n := range of {
		for _, link := range n.Inputs {
			link.From, _ = withoutSeed(link.From)
			if !slices.Contains(out.Inputs, link) {
				out.Inputs = append(out.Inputs, link)
			}
		}
		if i == 0 {
			continue
		}
		out.State = out.State.with(n.State)
		out.Chunks += n.Chunks
		out.ChunksComputed += n.ChunksComputed
		out.Rows += n.Rows
		out.Seconds += n.Seconds
		if out.Error == "" {
			out.Error = n.Error
		}
	}
	if len(of) > 1 {
		out.Coordinates = maps.Clone(out.Coordinates)
		out.Coordinates[seedAxis] = plural(int64(len(of)), "seed")
	}
	return out
}

// with is the state of two nodes as one.
func (s State) with(other State) State {
	if s == other {
		return s
	}
	for _, worse := range []State{Failed, Interrupted, Skipped, Unknown} {
		if s == worse || other == worse {
			return worse
		}
	}
	return Partial
}

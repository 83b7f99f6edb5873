package report

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// evaluation is what one node measured.
type evaluation struct {
	node        *Node
	about       record.Evaluation
	models      []model // in the order of the table: models, then baselines
	slices      []record.Metric
	by          string       // the metric that models are ranked by: accuracy, mean average precision, R² or a recall
	comparisons []comparison // of shares of rows that are right
	ofNumbers   []comparison // of mean absolute errors
	confusion   []record.Confusion
	calibration []record.CalibrationBin
	mistakes    []record.Mistake
}

// model is a model or baseline with its metrics over all rows.
type model struct {
	name     string // of the node, or of the baseline
	short    string
	baseline bool   // or an upper bound
	bound    bool   // a baseline that learned from labels which the models do without
	by       string // the metric that it is ranked by
	overall  map[string]record.Metric
	classes  []classMetrics
	coverage record.Coverage
	unknown  []record.Metric // classes of rows that any may apply to, which it does not know

	instances []string // models that this one is the mean of; nil for none
}

type classMetrics struct {
	name   string
	rows   int64
	scores map[string]record.Metric
}

func (m model) metric(name string) (record.Metric, bool) {
	v, ok := m.overall[name]
	return v, ok
}

// role is what a model is called beside trained ones; "" for these.
func (m model) role() string {
	switch {
	case m.bound:
		return record.BoundRole
	case m.baseline:
		return record.BaselineRole
	default:
		return ""
	}
}

// accuracy is the metric that the model is ranked by: see [evaluation.by].
func (m model) accuracy() record.Metric { return m.overall[m.by] }

// seeds is how many instances the model is the mean of; 0 if it is one itself.
func (m model) seeds() int {
	if len(m.instances) < 2 {
		return 0
	}
	return len(m.instances)
}

// readEvaluation reads what a node measured; nil if it has no metrics table.
func readEvaluation(ctx context.Context, n *Node) (*evaluation, error) {
	table, schema, err := readTable[record.Metric](ctx, n)
	if err != nil || schema == nil {
		return nil, err
	}
	e := &evaluation{node: n}
	if text, ok := schema.Metadata().GetValue(record.EvaluationKey); ok {
		if e.about, err = record.ParseEvaluation(text); err != nil {
			return nil, err
		}
	}
	e.sort(table)
	comparisons, _, err := readTable[record.Comparison](ctx, n)
	if err != nil {
		return nil, err
	}
	for _, c := range comparisons {
		of := &e.comparisons
		if c.Metric == record.MeanAbsoluteError {
			of = &e.ofNumbers
		}
		*of = append(*of, comparison{Comparison: c, pairs: 1, among: len(comparisons)})
	}
	if e.confusion, _, err = readTable[record.Confusion](ctx, n); err != nil {
		return nil, err
	}
	if e.calibration, _, err = readTable[record.CalibrationBin](ctx, n); err != nil {
		return nil, err
	}
	if e.mistakes, _, err = readTable[record.Mistake](ctx, n); err != nil {
		return nil, err
	}
	return e, nil
}

// sort puts the lines of the metrics table where they belong.
func (e *evaluation) sort(table []record.Metric) {
	at := map[string]int{}
	for _, line := range table {
		i, ok := at[line.Model]
		if !ok {
			i = len(e.models)
			at[line.Model] = i
			e.models = append(e.models, model{
				name: line.Model, baseline: record.IsBaseline(line.Role), bound: line.Role == record.BoundRole, overall: map[string]record.Metric{},
			})
		}
		m := &e.models[i]
		switch {
		case line.Slice != "":
			e.slices = append(e.slices, line)
		case line.Metric == record.UnknownLabel && line.Class != "": // coverage tells
		case line.Metric == record.UnknownClasses:
			m.unknown = append(m.unknown, line)
		case line.Class != "":
			m.addClass(line)
		default:
			m.overall[line.Metric] = line
		}
	}
	e.by = record.Accuracy
	for _, m := range e.models {
		for _, name := range []string{record.MeanAveragePrecision, record.R2} {
			if _, ok := m.overall[name]; ok {
				e.by = name
			}
		}
	}
	if len(e.models) > 0 {
		if recalls := recallsOf(e.models[0]); len(recalls) > 0 {
			e.by = recalls[0]
		}
	}
	for i := range e.models {
		e.models[i].by = e.by
	}
	for _, c := range record.Coverages(table) {
		e.models[at[c.Model]].coverage = c
	}
	e.nameShortly()
}

// nameShortly gives the models the names that set them apart.
func (e *evaluation) nameShortly() {
	var models, baselines []string
	for _, m := range e.models {
		if m.baseline {
			baselines = append(baselines, m.name)
		} else {
			models = append(models, m.name)
		}
	}
	short := shortNames(models, false)
	maps.Copy(short, shortNames(baselines, true))
	for i := range e.models {
		e.models[i].short = short[e.models[i].name]
	}
}

func (m *model) addClass(line record.Metric) {
	i := slices.IndexFunc(m.classes, func(c classMetrics) bool { return c.name == line.Class })
	if i < 0 {
		i = len(m.classes)
		m.classes = append(m.classes, classMetrics{name: line.Class, scores: map[string]record.Metric{}})
	}
	m.classes[i].scores[line.Metric] = line
	if line.Metric == record.Recall || line.Metric == record.R2 {
		m.classes[i].rows = line.Rows
	}
}

// ranked lists the models that pass, the most accurate first.
func (e *evaluation) ranked(passes func(model) bool) []model {
	var out []model
	for _, m := range e.models {
		if passes(m) {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b model) int {
		switch x, y := a.accuracy().Value, b.accuracy().Value; {
		case x > y:
			return -1
		case y > x:
			return 1
		default:
			return 0
		}
	})
	return out
}

// trained lists the models that are not baselines, the most accurate first.
func (e *evaluation) trained() []model {
	return e.ranked(func(m model) bool { return !m.baseline })
}

// model finds a model by its name, or by that of an instance of it.
func (e *evaluation) model(name string) (model, bool) {
	for _, m := range e.models {
		if m.name == name || slices.Contains(m.instances, name) {
			return m, true
		}
	}
	return model{}, false
}

func (e *evaluation) short(name string) string {
	for _, m := range e.models {
		if m.name == name {
			return m.short
		}
	}
	return name
}

// readTable reads the first of a node's outputs that holds rows of type T.
// Without one, the schema is nil.
func readTable[T any](ctx context.Context, n *Node) ([]T, *arrow.Schema, error) {
	for _, port := range slices.Sorted(maps.Keys(n.Outputs)) {
		schema, err := schemaOf(ctx, n, port)
		if err != nil {
			return nil, nil, err
		}
		if schema == nil || !record.HasRows[T](schema) {
			continue
		}
		rows, err := record.ReadRows[T](n.Outputs[port].Batches(ctx))
		if err != nil {
			return nil, nil, fmt.Errorf("read %s.%s: %w", n.Name, port, err)
		}
		shortenRows(rows)
		return rows, schema, nil
	}
	return nil, nil, nil
}

// schemaOnce is an input whose schema is read once: to read it, the whole of
// the first chunk is read and verified.
type schemaOnce struct {
	pipeline.Input
	read   bool
	schema *arrow.Schema
	err    error
}

// Schema implements pipeline.Input.
func (s *schemaOnce) Schema(ctx context.Context) (*arrow.Schema, error) {
	if !s.read {
		s.schema, s.err = s.Input.Schema(ctx)
		s.read = true
	}
	return s.schema, s.err
}

func rememberingSchemas(nodes []Node) []Node {
	out := slices.Clone(nodes)
	for i := range out {
		outputs := make(map[string]pipeline.Input, len(out[i].Outputs))
		for port, in := range out[i].Outputs {
			if in != nil {
				outputs[port] = &schemaOnce{Input: in}
			}
		}
		out[i].Outputs, out[i].Overview = outputs, shortenOverview(out[i].Overview)
	}
	return out
}

// schemaOf returns the schema of an output; nil if it is absent or empty.
func schemaOf(ctx context.Context, n *Node, port string) (*arrow.Schema, error) {
	in := n.Outputs[port]
	if in == nil {
		return nil, nil
	}
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s.%s: %w", n.Name, port, err)
	}
	return schema, nil
}

// outputWith finds the output of a node that has a tensor column of that
// name; nil if there is none. What cannot be read has none: that it cannot was
// told of when its tables were looked for.
func outputWith(ctx context.Context, n *Node, column string) pipeline.Input {
	for _, port := range slices.Sorted(maps.Keys(n.Outputs)) {
		schema, err := schemaOf(ctx, n, port)
		if err != nil || schema == nil {
			continue
		}
		if _, field, err := record.Column(schema, column); err == nil {
			if _, _, err := record.TensorShape(field); err == nil {
				return n.Outputs[port]
			}
		}
	}
	return nil
}

// ancestors lists the nodes that a node depends on, the nearest first, and
// the node itself before them.
func (r Run) ancestors(n *Node) []*Node {
	out := []*Node{n}
	for i := 0; i < len(out); i++ {
		for _, link := range out[i].Inputs {
			if from := r.node(link.From); from != nil && !slices.Contains(out, from) {
				out = append(out, from)
			}
		}
	}
	return out
}

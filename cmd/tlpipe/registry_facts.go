package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/registry"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// factsOf gathers what the cache knows of the model that a node has at a port: what it was trained on, and what evaluations
// measured.
func factsOf(ctx context.Context, store *cache.Store, graph *pipeline.Graph, node *pipeline.Node, port string) (registry.Facts, error) {
	name := node.Name
	if port != node.Kind.Outputs[0].Name {
		name += "." + port
	}
	facts := registry.Facts{Pipeline: graph.Name, Stage: name, Data: map[string]string{}}
	plan, err := (&pipeline.Runner{Store: store}).Plan(ctx, graph)
	if err != nil {
		return facts, err
	}
	planned := map[*pipeline.Node]pipeline.PlanNode{}
	for _, n := range plan.Nodes {
		planned[n.Node] = n
	}
	for _, edge := range node.Inputs {
		from := planned[edge.From]
		if from.State != pipeline.Cached {
			continue
		}
		table := pipeline.NewArtifact(store, edge.From.Name, edge.From.Coordinates, from.Outputs[edge.FromPort])
		facts.Data[edge.Port] = table.Digest()
		if facts.Splits == nil {
			if facts.Splits, err = splitsOf(ctx, table); err != nil {
				return facts, err
			}
		}
	}
	for _, n := range plan.Nodes {
		if n.State != pipeline.Cached || !slices.ContainsFunc(n.Node.Inputs, func(e pipeline.Edge) bool { return e.From == node && e.FromPort == port }) {
			continue
		}
		for _, port := range n.Node.Kind.Outputs {
			if port.Kind != pipeline.Metrics {
				continue
			}
			table := pipeline.NewArtifact(store, n.Stage, n.Node.Coordinates, n.Outputs[port.Name])
			m, err := measurementOf(ctx, table, name)
			if err != nil {
				return facts, fmt.Errorf("read %s of %s: %w", port.Name, n.Stage, err)
			}
			if m != nil {
				m.Stage = n.Stage
				m.Task = taskOf(n.Node)
				facts.Measured = append(facts.Measured, *m)
			}
		}
	}
	return facts, nil
}

// taskOf is the task that a stage names as the one it measures; "" if it names none.
func taskOf(n *pipeline.Node) string {
	for _, p := range params.Flatten(n.Params) {
		if p.Path == "task" {
			if name, err := strconv.Unquote(p.Text); err == nil {
				return name
			}
		}
	}
	return ""
}

// splitsOf counts the rows of each split and class, if the table has such columns.
func splitsOf(ctx context.Context, table *pipeline.Artifact) ([]registry.Split, error) {
	schema, err := table.Schema(ctx)
	if err != nil || schema == nil || !slices.Contains(record.ColumnNames(schema), record.Split) {
		return nil, err
	}
	labelled := slices.Contains(record.ColumnNames(schema), record.Label)
	found := map[string]*registry.Split{}
	for rec, err := range table.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		splits, err := record.ColumnAs[*array.String](rec, record.Split)
		if err != nil {
			return nil, err
		}
		var labels *array.String
		if labelled {
			if labels, err = record.ColumnAs[*array.String](rec, record.Label); err != nil {
				return nil, err
			}
		}
		copies, _ := record.ColumnAs[*array.Int32](rec, record.Copy)
		for i := range int(rec.NumRows()) {
			if copies != nil && copies.IsValid(i) && copies.Value(i) > 0 {
				continue // a varied copy of a row that was counted
			}
			s := found[splits.Value(i)]
			if s == nil {
				s = &registry.Split{Name: splits.Value(i), Classes: map[string]int64{}}
				found[s.Name] = s
			}
			s.Rows++
			if labels != nil && labels.IsValid(i) {
				s.Classes[labels.Value(i)]++
			}
		}
	}
	var out []registry.Split
	for _, name := range []string{"train", "val", "test"} {
		if s := found[name]; s != nil {
			out = append(out, *s)
		}
	}
	return out, nil
}

// measurementOf reads what a table of metrics says of a model and of the baselines; nil if it says nothing of the model.
func measurementOf(ctx context.Context, table *pipeline.Artifact, model string) (*registry.Measurement, error) {
	schema, err := table.Schema(ctx)
	if err != nil || schema == nil || !record.HasRows[record.Metric](schema) {
		return nil, err
	}
	rows, err := record.ReadRows[record.Metric](table.Batches(ctx))
	if err != nil {
		return nil, err
	}
	m := &registry.Measurement{}
	if text, ok := schema.Metadata().GetValue(record.EvaluationKey); ok {
		evaluation, err := record.ParseEvaluation(text)
		if err != nil {
			return nil, err
		}
		m.Split, m.Cluster = evaluation.Split, evaluation.Cluster
	}
	known := false
	for _, r := range rows {
		mine := r.Role == record.ModelRole && r.Model == model
		baseline := record.IsBaseline(r.Role) && r.Class == "" && r.Slice == ""
		if !mine && !baseline || math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
			continue
		}
		known = known || mine
		x := registry.Metric{Name: r.Metric, Class: r.Class, Slice: r.Slice, Value: r.Value, Low: finite(r.Low), High: finite(r.High), Rows: r.Rows}
		if baseline {
			x.Baseline = r.Model
		}
		m.Metrics = append(m.Metrics, x)
	}
	if !known {
		return nil, nil
	}
	return m, nil
}

func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

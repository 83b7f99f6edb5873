package main

import (
	"context"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// scores is what one stage measured about models.
type scores struct {
	stage   string
	split   string // the rows that were measured on; "" if that is not on record
	metrics []record.Metric
}

// readScores finds the tables of metrics among the results of a run.
func readScores(ctx context.Context, result *pipeline.Result) ([]scores, error) {
	var out []scores
	for _, n := range result.Nodes {
		err := eachTable(ctx, n, func(schema *arrow.Schema, metrics []record.Metric) error {
			s := scores{stage: n.Node.Name, metrics: metrics}
			if text, ok := schema.Metadata().GetValue(record.EvaluationKey); ok {
				evaluation, err := record.ParseEvaluation(text)
				if err != nil {
					return err
				}
				s.split = evaluation.Split
			}
			out = append(out, s)
			return nil
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// eachTable reads the tables of metrics among a node's outputs whose rows are
// of one type.
func eachTable[Row any](ctx context.Context, n *pipeline.NodeResult, take func(schema *arrow.Schema, rows []Row) error) error {
	for _, port := range n.Node.Kind.Outputs {
		table := n.Outputs[port.Name]
		if port.Kind != pipeline.Metrics || table == nil {
			continue
		}
		schema, err := table.Schema(ctx)
		if err != nil {
			return err
		}
		if schema == nil || !record.HasRows[Row](schema) {
			continue
		}
		rows, err := record.ReadRows[Row](table.Batches(ctx))
		if err != nil {
			return fmt.Errorf("read %s of %s: %w", port.Name, n.Node.Name, err)
		}
		if err := take(schema, rows); err != nil {
			return err
		}
	}
	return nil
}

// headline is the metrics that sum up a run, by "model.metric"; where several
// stages measured, by "stage.model.metric".
func headline(all []scores) map[string]float64 {
	out := map[string]float64{}
	for _, s := range all {
		for name, value := range record.Headline(s.metrics) {
			if math.IsInf(value, 0) {
				continue // JSON has no word for it
			}
			if len(all) > 1 {
				name = s.stage + "." + name
			}
			out[name] = value
		}
	}
	return out
}

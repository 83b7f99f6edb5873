package report

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/record"
)

// quantisedSection tells of models that were quantised: what the gate measured, and which layers stayed in float32.
func quantisedSection(ctx context.Context, r *reading) ([]block, error) {
	table := numberTable{
		Caption: "The gate: models in int8 against the same in float32, on rows of split val", Corner: "model",
		Columns: []numberColumn{
			{Name: "float32", Note: "accuracy", Hint: "accuracy of the model before"},
			{Name: "int8", Note: "accuracy", Hint: "accuracy as tlpipe computes the model"},
			{Name: "rounded", Note: "accuracy", Hint: "accuracy with every value rounded to bytes, as full-integer runtimes compute it"},
			{Name: "drop", Note: "at most", Hint: "upper end of the one-sided interval of the drop in accuracy"},
			{Name: "allowed", Hint: "the stage's tolerance"},
			{Name: "size", Hint: "bytes of the tensors"},
			{Name: "of float32", Hint: "size as a share of that in float32"},
			{Name: "in float32", Note: "layers", Hint: "layers with weights that stayed in float32 for the gate to hold"},
		},
	}
	var out, large []block
	var failed error
	for i := range r.run.Nodes {
		n := &r.run.Nodes[i]
		attempts, _, err := readTable[record.GateAttempt](ctx, n)
		failed = errors.Join(failed, err)
		if len(attempts) == 0 {
			continue
		}
		for k, a := range attempts {
			row := numberRow{Name: n.Name}
			if k < len(attempts)-1 {
				row.Name, row.Note = fmt.Sprintf("%s, attempt %d", n.Name, k+1), "does not hold"
			}
			for _, text := range []string{
				percent(a.Before), percent(a.After), percent(a.Rounded), percent(a.Limit), percent(a.Tolerance), magnitude(float64(a.Bytes), "B"),
				percent(float64(a.Bytes) / float64(max(a.Float32, 1))), count(a.Layers),
			} {
				row.Cells = append(row.Cells, numberCell{Text: text})
			}
			table.Rows = append(table.Rows, row)
		}
		if last := attempts[len(attempts)-1]; float64(last.Bytes) > record.LargestShare*float64(last.Float32) {
			large = append(large, note(n.Name+": "+last.Size()+"."))
		}
		layers, err := floatLayers(ctx, n)
		failed = errors.Join(failed, err)
		out = append(out, layers...)
	}
	if len(table.Rows) == 0 {
		return nil, failed
	}
	first := []block{
		paragraph(plain("Weights rest as bytes with a size of steps for each output channel, values as bytes in ranges found on training rows. A model passes its gate if the upper end of the one-sided interval of its drop in accuracy is within what is allowed.")),
		tableOf(table),
		note("Speed depends on the machine: tlpipe bench latency --model FILE:STAGE measures it."),
	}
	return slices.Concat(first, large, out), failed
}

// floatLayers lists the layers of a model that stayed in float32, and why.
func floatLayers(ctx context.Context, n *Node) ([]block, error) {
	rows, _, err := readTable[record.QuantisedLayer](ctx, n)
	table := numberTable{
		Caption: "Layers of " + n.Name + " that stayed in float32", Corner: "layer",
		Columns: []numberColumn{
			{Name: "weights"},
			{Name: "sensitivity", Hint: "how far the answers move if this layer alone computes with bytes: mean Kullback-Leibler divergence"},
			{Name: "why"},
		},
	}
	for _, row := range rows {
		if row.Why != "" {
			table.Rows = append(table.Rows, numberRow{Name: row.Layer, Note: row.Kind, Cells: []numberCell{
				{Text: count(row.Weights)}, {Text: fmt.Sprintf("%.3g", row.Sensitivity)}, {Text: row.Why},
			}})
		}
	}
	if len(table.Rows) == 0 {
		return nil, err
	}
	return []block{tableOf(table)}, err
}

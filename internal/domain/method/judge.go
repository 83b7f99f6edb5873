package method

import (
	"context"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
)

// Look judges a network as it is, as an epoch's end does: the measures are of epoch 0.
func (j Judge) Look(ctx context.Context, f *transfer.Inference, d *rows.Domains) ([]record.EpochMeasure, error) {
	net := f.Net
	l := LayersOf(net)
	all := d.Validation.Spread(d.Validation.Rows())
	layers := []string{l.Probabilities}
	if l.Penultimate != "" && l.Penultimate != net.Inputs()[0].Name {
		layers = append(layers, l.Penultimate)
	}
	computed, err := f.Compute(ctx, &d.Validation, all, layers...)
	if err != nil {
		return nil, err
	}
	values := map[string][]float32{}
	for i, layer := range layers {
		values[layer] = computed[i]
	}
	if table, ok := d.Validation.Examples.(*train.Table); ok && len(layers) == 1 {
		l.Penultimate, values[l.Penultimate] = net.Inputs()[0].Name, table.Values
	}
	judged := Judged{Objective: unlabelled{}, Judge: j, Answers: l.Probabilities, Features: l.Penultimate}
	e := judged.Evaluation(func(o objective.Output) nn.Shape { return net.Shape(o.Layer) })
	targets := nn.Batch{objective.Class: nn.NewValues(nn.Int32, len(all)), objective.Domain: nn.NewValues(nn.Int32, len(all)), rows.OracleTarget: nn.NewValues(nn.Int32, len(all))}
	if err := d.Validation.ReadTargets(all, targets); err != nil {
		return nil, err
	}
	if err := e.Add(func(o objective.Output) []float32 { return values[o.Layer] }, targets, len(all)); err != nil {
		return nil, err
	}
	_, measures := e.Result()
	var out []record.EpochMeasure
	for i, m := range judged.Measures() {
		out = append(out, record.EpochMeasure{Measure: m.Name, Training: math.NaN(), Validation: measures[i], LearningRate: math.NaN()})
	}
	return out, nil
}

// unlabelled is an objective that measures nothing.
type unlabelled struct{ objective.DeepCORAL }

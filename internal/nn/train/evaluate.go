package train

import (
	"context"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
)

// evaluate returns the mean loss and the measures of the weights as they are.
func (t *Trainer) evaluate(ctx context.Context, examples Examples) (loss float64, measures Measures, err error) {
	layers := t.ends()
	compiled, err := frozen.Compile(t.net, t.shown(), layers...)
	if err != nil {
		return 0, nil, err
	}
	n := examples.Len()
	size := min(compiled.AtOnce(mostAtOnce), n)
	session := compiled.NewSession(size)
	inputs, outputs, targets := nn.Batch{}, nn.Batch{}, t.newTargets(size)
	for _, l := range t.net.Inputs() {
		inputs[l.Name] = nn.NewValues(t.net.Element(l.Name), size*t.net.Shape(l.Name).Size())
	}
	for _, name := range layers {
		outputs[name] = nn.NewValues(nn.Float32, size*t.net.Shape(name).Size())
	}
	evaluation := t.objective.Evaluation(t.shape)
	for run := range slices.Chunk(positionsOf(nil, n, 0), size) {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		batch := Batch{Inputs: part(inputs, size, len(run)), Targets: part(targets, size, len(run))}
		if err := examples.Read(run, batch); err != nil {
			return 0, nil, err
		}
		out := part(outputs, size, len(run))
		if err := session.RunBatch(t.pool, len(run), batch.Inputs, out); err != nil {
			return 0, nil, err
		}
		values := func(o objective.Output) []float32 { return out[t.end(o)].Float32 }
		if err := evaluation.Add(values, batch.Targets, len(run)); err != nil {
			return 0, nil, err
		}
	}
	loss, numbers := evaluation.Result()
	return loss, t.measures(numbers), nil
}

// part is the first n examples of a batch of so many.
func part(b nn.Batch, of, n int) nn.Batch {
	out := nn.Batch{}
	for name, values := range b {
		out[name] = nn.Values{
			Float32: values.Float32[:len(values.Float32)/of*n],
			Int32:   values.Int32[:len(values.Int32)/of*n],
		}
	}
	return out
}

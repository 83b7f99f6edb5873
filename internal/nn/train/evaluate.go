package train

import (
	"context"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
)

// evaluate returns the mean loss and the measures of the weights as they are.
func (t *Trainer) evaluate(ctx context.Context, examples Examples) (loss float64, measures Measures, err error) {
	evaluation := t.objective.Evaluation(t.shape)
	positions := positionsOf(nil, examples.Len(), 0)
	var e *evaluator
	for len(positions) > 0 {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		run := positions[:min(mostAtOnce, len(positions))]
		lengths := lengthsOf(examples, run)
		if e == nil || !slices.Equal(lengths, e.lengths) {
			if e, err = t.newEvaluator(lengths, len(positions)); err != nil {
				return 0, nil, err
			}
		}
		// Where maps are large, fewer are computed at once.
		for from := 0; from < len(run); from += e.size {
			if err := e.add(t.pool, evaluation, examples, run[from:min(from+e.size, len(run))]); err != nil {
				return 0, nil, err
			}
		}
		positions = positions[len(run):]
	}
	loss, numbers := evaluation.Result()
	return loss, t.measures(numbers), nil
}

// evaluator computes what an objective reads, for some lengths of the axes that vary.
type evaluator struct {
	lengths                  []int
	size                     int // examples at once
	session                  *frozen.Session
	inputs, outputs, targets nn.Batch
	end                      func(objective.Output) string
}

func (t *Trainer) newEvaluator(lengths []int, most int) (*evaluator, error) {
	layers := t.ends()
	compiled, err := frozen.Options{Lengths: lengths}.Compile(t.net, t.shown(), layers...)
	if err != nil {
		return nil, err
	}
	net := t.net
	if len(lengths) > 0 {
		if net, err = net.Bind(lengths...); err != nil {
			return nil, err
		}
	}
	e := &evaluator{lengths: lengths, size: min(compiled.AtOnce(mostAtOnce), most), end: t.end}
	e.session = compiled.NewSession(e.size)
	e.inputs, e.outputs, e.targets = nn.Batch{}, nn.Batch{}, newTargets(t.objective, t.shapeIn(net), e.size)
	for _, l := range net.Inputs() {
		e.inputs[l.Name] = nn.NewValues(net.Element(l.Name), e.size*net.Shape(l.Name).Size())
	}
	for _, name := range layers {
		e.outputs[name] = nn.NewValues(nn.Float32, e.size*net.Shape(name).Size())
	}
	return e, nil
}

// add computes some examples and adds what the objective makes of them.
func (e *evaluator) add(pool *kernel.Pool, to objective.Evaluation, examples Examples, run []int) error {
	batch := Batch{Inputs: part(e.inputs, e.size, len(run)), Targets: part(e.targets, e.size, len(run))}
	if len(e.lengths) > 0 {
		batch.Lengths = make([]int, len(run))
		batch.fillLengths(e.lengths)
	}
	if err := examples.Read(run, batch); err != nil {
		return err
	}
	out := part(e.outputs, e.size, len(run))
	var err error
	if batch.Lengths != nil {
		err = e.session.RunSequences(pool, batch.Lengths, batch.Inputs, out)
	} else {
		err = e.session.RunBatch(pool, len(run), batch.Inputs, out)
	}
	if err != nil {
		return err
	}
	return to.Add(func(o objective.Output) []float32 { return out[e.end(o)].Float32 }, batch.Targets, len(run))
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

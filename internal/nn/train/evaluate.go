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
		if _, ok := examples.(Varying); ok {
			run = run[:min(sequencesAtOnce, len(run))] // as long as the longest of them
		}
		lengths := lengthsOf(t.net, examples, run)
		if e == nil || !slices.Equal(lengths, e.lengths) {
			if e, err = t.newEvaluator(e, lengths, len(positions)); err != nil {
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
	tokens                   *sequences // in the place of session, for sequences of any length
	inputs, outputs, targets nn.Batch
	end                      func(objective.Output) string
}

// newEvaluator makes an evaluator of what the evaluator before, which may be nil, computes with already.
func (t *Trainer) newEvaluator(before *evaluator, lengths []int, most int) (*evaluator, error) {
	layers := t.ends()
	net := t.net
	e := &evaluator{lengths: lengths, end: t.end, inputs: nn.Batch{}, outputs: nn.Batch{}}
	if len(lengths) > 0 {
		var err error
		if net, err = net.Bind(lengths...); err != nil {
			return nil, err
		}
		if before != nil {
			e.tokens = before.tokens
		} else if program, err := frozen.Compile(t.net, t.shown(), layers...); err == nil {
			e.tokens = newSequences(t.net, program, layers)
		}
	}
	e.size = min(sequencesAtOnce, most)
	if e.tokens == nil {
		options := frozen.By(t.options.Rounding)
		options.Lengths = lengths
		compiled, err := options.Compile(t.net, t.shown(), layers...)
		if err != nil {
			return nil, err
		}
		e.size = min(compiled.AtOnce(mostAtOnce), most)
		e.session = compiled.NewSession(e.size)
	}
	e.targets = newTargets(t.objective, t.shapeIn(net), e.size)
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
	if e.tokens != nil {
		err = e.tokens.run(pool, batch.Lengths, e.lengths[0], batch.Inputs, out)
	} else if batch.Lengths != nil {
		err = e.session.RunSequences(pool, batch.Lengths, batch.Inputs, out)
	} else {
		err = e.session.RunBatch(pool, len(run), batch.Inputs, out)
	}
	if err != nil {
		return err
	}
	return to.Add(func(o objective.Output) []float32 { return out[e.end(o)].Float32 }, batch.Targets, len(run))
}

// sequencesAtOnce is how many sequences are read at once.
const sequencesAtOnce = 32

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

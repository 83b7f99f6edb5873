package train

import (
	"context"
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// Gradients gives the gradients of the objective with respect to all that the options let learn, batch after batch over the examples in
// their order, with the weights as they are. each is given every parameter of a batch, whose slices it must not keep.
func Gradients(ctx context.Context, net *nn.Network, weights nn.Weights, o Options, examples Examples, each func(parameter string, values, gradient []float32)) (err error) {
	t, err := New(net, weights, o)
	if err != nil {
		return err
	}
	defer t.Close()
	runs := batches(positionsOf(nil, examples.Len(), 0), t.options.BatchSize)
	for i, positions := range runs {
		p, err := t.program(len(positions), lengthsOf(t.net, examples, positions)...)
		if err != nil {
			return err
		}
		mass, err := t.fill(p, examples, positions, graph.Draw{Seed: t.options.Seed, Step: i}, schedule.Position{Epochs: 1, Step: i, Steps: len(runs)})
		if err != nil {
			return err
		}
		if mass == 0 {
			continue
		}
		p.loss.DivideBy(mass)
		if err := p.compute(ctx, t.pool); err != nil {
			return err
		}
		for _, parameter := range p.parameters {
			gradient, err := parameter.Grad()
			if err != nil {
				return err
			}
			named, ok := parameter.(gorgonia.Namer)
			values, isFloats := parameter.Value().Data().([]float32)
			slopes, areFloats := gradient.Data().([]float32)
			if !ok || !isFloats || !areFloats {
				return fmt.Errorf("internal error, please report it: a parameter without a name or numbers")
			}
			each(named.Name(), values, slopes)
		}
	}
	return nil
}

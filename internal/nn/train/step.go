package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"gorgonia.org/gorgonia"
)

// stepped is what a step gave: the mean loss, the mass it is the mean over, how many examples there
// were and the sums over them of the measures.
type stepped struct {
	loss, mass float64
	seen       int
	measured   []float64
}

// step trains on some batches, whose gradients it adds up. draw is that of the first; each one after
// counts a step more. at is where the training is.
func (t *Trainer) step(ctx context.Context, examples Examples, runs [][]int, rate float64, draw graph.Draw, at schedule.Position) (stepped, error) {
	s := stepped{measured: make([]float64, len(t.objective.Measures()))}
	for _, positions := range runs {
		s.seen += len(positions)
	}
	var parameters []gorgonia.ValueGrad
	var loss float64
	for i, positions := range runs {
		p, err := t.program(len(positions), lengthsOf(t.net, examples, positions)...)
		if err != nil {
			return s, err
		}
		mass, err := t.fill(p, examples, positions, draw, at)
		if err != nil {
			return s, err
		}
		s.mass += mass
		// What all batches together are divided by is not known yet, unless there is but one.
		total := mass
		if len(runs) > 1 || mass == 0 {
			total = float64(s.seen)
		}
		p.loss.DivideBy(total)
		if err := p.compute(ctx, t.pool); err != nil {
			return s, err
		}
		loss += float64(p.Data(p.loss.Node())[0]) * total
		p.loss.Measure(s.measured)
		if l, ok := p.loss.(objective.Adapting); ok && len(t.own) > 0 {
			l.Adapt(t.own, objective.Adaption{Rate: rate, Norms: p.norms})
		}
		for _, m := range p.Moments() {
			if t.options.PoolStatistics {
				before := float64((at.Epoch*at.Steps+at.Step)*len(runs) + i)
				m.UpdateKeeping(before / (before + 1))
			} else {
				m.Update()
			}
		}
		if parameters = p.parameters; len(runs) > 1 {
			if parameters, err = t.addUp(p.parameters, i == 0); err != nil {
				return s, err
			}
		}
		draw.Step++
	}
	if s.mass > 0 { // otherwise no example counts, and the loss is 0
		s.loss = loss / s.mass
	}
	if !(math.Abs(s.loss) < runaway) {
		return s, diverged(fmt.Sprintf("the loss is %v", s.loss), rate)
	}
	if len(runs) > 1 && s.mass > 0 {
		t.scaleSums(float64(s.seen) / s.mass)
	}
	t.optimizer.SetRate(rate)
	if err := t.optimizer.Step(parameters); errors.Is(err, optimizer.ErrNotFinite) {
		return s, diverged(err.Error(), rate)
	} else if err != nil {
		return s, err
	}
	t.clear()
	if t.average != nil {
		t.average.update(t.pool, t.weights)
	}
	return s, nil
}

// fill reads a batch, mixed if the options say so, into the program. It returns the mass of the examples.
func (t *Trainer) fill(p *program, examples Examples, positions []int, draw graph.Draw, at schedule.Position) (mass float64, err error) {
	p.read.fillLengths(p.lengths)
	if err := examples.Read(positions, p.read); err != nil {
		return 0, err
	}
	var mixed mixture
	if t.options.Mix.on() {
		input := p.net.Inputs()[0].Name
		example := p.net.Shape(input)
		mixed = t.options.Mix.draw(len(positions), example, draw)
		mixed.inputs(p.read.Inputs[input].Float32, example)
	}
	p.Data(p.reversal)[0] = float32(t.options.Reversal(at))
	p.SetDraw(draw)
	return p.loss.Fill(p.read.Targets, objective.Filling{Blend: mixed.Blend, At: at, Own: t.own})
}

// runaway is a loss that no training comes back from: squared errors of numbers in the billions are far below it.
const runaway = 1e20

// DivergedError is the error of a training that numbers have run away from.
type DivergedError struct {
	Rate  float64 // learning rate
	Cause string  // what was observed, such as a loss that is not finite
}

// Error implements error.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("the training diverged at learning rate %v, try a lower one: %s", e.Rate, e.Cause)
}

func diverged(cause string, rate float64) error { return &DivergedError{Rate: rate, Cause: cause} }

// mostPrograms is how many programs are kept: of batches of one size there are two, the last being smaller, times as many
// as the network's axes have lengths.
const mostPrograms = 32

// program returns the graph for batches of so many examples, with the network's axes that vary at these lengths.
func (t *Trainer) program(batch int, lengths ...int) (*program, error) {
	id := fmt.Sprint(batch, lengths)
	if i := slices.IndexFunc(t.programs, func(p *program) bool { return p.id == id }); i >= 0 {
		return t.programs[i], nil
	}
	net := t.net
	if len(lengths) > 0 {
		var err error
		if net, err = net.Bind(lengths...); err != nil {
			return nil, err
		}
	}
	trunk, err := t.trunkOf(net, lengths)
	if err != nil {
		return nil, err
	}
	p, err := t.newProgram(net, lengths, batch, trunk)
	if err != nil {
		return nil, err
	}
	p.id, p.lengths = id, lengths
	if len(t.programs) == mostPrograms {
		t.programs = t.programs[1:]
	}
	t.programs = append(t.programs, p)
	return p, nil
}

// trunkOf returns the trunk of a network whose axes have these lengths. All programs share one that takes sequences of any length;
// where a layer of it cannot, programs of one length share theirs.
func (t *Trainer) trunkOf(net *nn.Network, lengths []int) (*trunk, error) {
	for _, p := range t.programs {
		if p.trunk.tokens != nil || slices.Equal(p.lengths, lengths) {
			return p.trunk, nil
		}
	}
	if len(lengths) > 0 {
		if shared, err := newTrunk(t.net, t.weights, t.options); err == nil {
			return shared, nil
		}
	}
	return newTrunk(net, t.weights, t.options)
}

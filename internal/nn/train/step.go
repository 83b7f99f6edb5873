package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"gorgonia.org/gorgonia"
)

// stepped is what a step gave: the mean loss, the mass it is the mean over, how many examples there
// were and how many of them were classified correctly.
type stepped struct {
	loss, mass    float64
	seen, correct int
}

// step trains on some batches, whose gradients it adds up. draw is that of the first; each one after
// counts a step more.
func (t *Trainer) step(ctx context.Context, examples Examples, runs [][]int, rate float64, draw graph.Draw) (stepped, error) {
	var s stepped
	for _, positions := range runs {
		s.seen += len(positions)
	}
	var parameters []gorgonia.ValueGrad
	var loss float64
	for i, positions := range runs {
		p, err := t.program(len(positions))
		if err != nil {
			return s, err
		}
		mass, err := t.fill(p, examples, positions, draw)
		if err != nil {
			return s, err
		}
		s.mass += mass
		// What all batches together are divided by is not known yet, unless there is but one.
		total := mass
		if len(runs) > 1 {
			total = float64(s.seen)
		}
		p.Data(p.total)[0] = float32(total)
		if err := p.compute(ctx, t.pool); err != nil {
			return s, err
		}
		loss += float64(p.Data(p.loss)[0]) * total
		s.correct += countCorrect(p.Data(p.logits), t.read)
		for _, m := range p.Moments() {
			m.Update()
		}
		if parameters = p.parameters; len(runs) > 1 {
			if parameters, err = t.addUp(p.parameters, i == 0); err != nil {
				return s, err
			}
		}
		draw.Step++
	}
	s.loss = loss / s.mass
	if math.IsNaN(s.loss) || math.IsInf(s.loss, 0) {
		return s, diverged(fmt.Sprintf("the loss is %v", s.loss), rate)
	}
	if len(runs) > 1 {
		t.scaleSums(float64(s.seen) / s.mass)
	}
	t.optimizer.SetRate(rate)
	if err := t.optimizer.Step(parameters); errors.Is(err, optimizer.ErrNotFinite) {
		return s, diverged(err.Error(), rate)
	} else if err != nil {
		return s, err
	}
	if t.average != nil {
		t.average.update(t.pool, t.weights)
	}
	return s, nil
}

// fill reads a batch, mixed if the options say so, into the program, and its classes into t.read. It
// returns the sum of the examples' weights.
func (t *Trainer) fill(p *program, examples Examples, positions []int, draw graph.Draw) (mass float64, err error) {
	classes := t.classesOf(len(positions))
	input := p.inputs[t.net.Inputs()[0].Name].Float32
	if err := examples.Read(positions, input, classes); err != nil {
		return 0, err
	}
	if err := checkClasses(classes, t.classes); err != nil {
		return 0, err
	}
	mass = t.fillTarget(p.Data(p.target), classes)
	mixed := t.options.Mix.draw(len(positions), t.example, draw)
	mixed.inputs(input, t.example)
	mixed.targets(p.Data(p.target), t.classes)
	p.SetDraw(draw)
	return mass, nil
}

// DivergedError is the error of a training that numbers have run away from.
type DivergedError struct {
	Rate float64 // learning rate
	Sign string  // by which it was seen
}

// Error implements error.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("the training diverged at learning rate %v, try a lower one: %s", e.Rate, e.Sign)
}

func diverged(sign string, rate float64) error { return &DivergedError{Rate: rate, Sign: sign} }

// program returns the graph for batches of so many examples.
func (t *Trainer) program(batch int) (*program, error) {
	if p, ok := t.programs[batch]; ok {
		return p, nil
	}
	if t.trunk == nil {
		var err error
		if t.trunk, err = newTrunk(t.net, t.weights, t.options); err != nil {
			return nil, err
		}
	}
	p, err := newProgram(t.net, t.weights, batch, t.trunk, t.options, t.pool, &t.scratch)
	if err != nil {
		return nil, err
	}
	t.programs[batch] = p
	return p, nil
}

func (t *Trainer) classesOf(n int) []int {
	t.read = slices.Grow(t.read[:0], n)[:n]
	return t.read
}

// fillTarget writes the mass that each class has for each example, [examples][classes], and returns
// what the loss is divided by: the sum of the examples' weights.
func (t *Trainer) fillTarget(target []float32, classes []int) (total float64) {
	weight := func(class int) float64 {
		if t.options.ClassWeights == nil {
			return 1
		}
		return t.options.ClassWeights[class]
	}
	smoothing := t.options.LabelSmoothing
	for i, class := range classes {
		row := target[i*t.classes : (i+1)*t.classes]
		for c := range row {
			mass := smoothing / float64(t.classes)
			if c == class {
				mass += 1 - smoothing
			}
			row[c] = float32(mass * weight(c))
		}
		total += weight(class)
	}
	return total
}

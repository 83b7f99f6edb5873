package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// Point is the mean over steps that follow each other in an epoch: a point of the curves that a training draws.
type Point struct {
	Epoch    int // from 1
	Step     int // the last of the steps, from 1, counted through all epochs
	Loss     float64
	Measures Measures
	Weights  map[string]float64 // of the terms of an [objective.Weighted], by name, at the last of the steps
	Rate     float64            // learning rate, likewise
	Reversal float64            // factor on the lambda of gradient reversals, likewise
}

// course gathers points.
type course struct {
	points []Point
	window underway // the steps since the last point
}

// Course is the course of the training so far, in as many points as the options ask for, and no fewer than one an epoch. The slice must not be
// written.
func (t *Trainer) Course() []Point { return t.course.points }

// note takes a step into the course.
func (t *Trainer) note(s stepped, rate float64, at schedule.Position) {
	if t.options.Points == 0 {
		return
	}
	w := &t.course.window
	w.add(s, rate)
	every := max(1, (at.Steps*at.Epochs+t.options.Points-1)/t.options.Points)
	if w.steps < every && at.Step+1 < at.Steps {
		return
	}
	p := Point{Epoch: at.Epoch + 1, Step: at.Epoch*at.Steps + at.Step + 1, Loss: w.meanLoss(), Measures: t.measures(w.means()), Weights: t.termWeights(at), Rate: rate, Reversal: t.options.Reversal(at)}
	t.course.points = append(t.course.points, p)
	*w = underway{}
}

// termWeights are those of the terms of the objective, if it has any.
func (t *Trainer) termWeights(at schedule.Position) map[string]float64 {
	if weighted, ok := t.objective.(objective.Weighted); ok {
		return weighted.Weights(at)
	}
	return nil
}

// terms names the terms of the objective in order.
func (t *Trainer) terms() (out []string) {
	for name := range t.termWeights(schedule.Position{Epochs: 1, Steps: 1}) {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// numbers are the points as a checkpoint has them.
func (c course) numbers(t *Trainer) (out []float64) {
	for _, p := range c.points {
		out = append(out, float64(p.Epoch), float64(p.Step), p.Loss, p.Rate, p.Reversal)
		out = append(out, t.numbers(p.Measures)...)
		for _, term := range t.terms() {
			out = append(out, p.Weights[term])
		}
	}
	return out
}

// courseOf reads what numbers wrote.
func (t *Trainer) courseOf(numbers, window []float64) (c course, err error) {
	if t.options.Points == 0 {
		return c, nil
	}
	terms, measures := t.terms(), len(t.objective.Measures())
	each := 5 + measures + len(terms)
	if len(numbers)%each != 0 {
		return c, fmt.Errorf("the course has %d numbers, not a multiple of %d", len(numbers), each)
	}
	for n := range slices.Chunk(numbers, each) {
		if !(n[0] >= 1 && n[0] < math.MaxInt32 && n[1] >= 1 && n[1] < 1<<53) {
			return c, fmt.Errorf("the course has a point at epoch %v, step %v", n[0], n[1])
		}
		p := Point{Epoch: int(n[0]), Step: int(n[1]), Loss: n[2], Rate: n[3], Reversal: n[4], Measures: t.measures(n[5 : 5+measures])}
		if len(terms) > 0 {
			p.Weights = map[string]float64{}
		}
		for i, term := range terms {
			p.Weights[term] = n[5+measures+i]
		}
		c.points = append(c.points, p)
	}
	return c, c.window.restore(window, measures)
}

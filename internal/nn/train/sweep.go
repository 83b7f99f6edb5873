package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// Sweep says which learning rates a range test tries: Steps of them, each a constant factor above
// the one before.
type Sweep struct {
	From, To float64 // above 0, From below To
	Steps    int     // at least 2
}

// DefaultSweep is that of fastai: 1e-7 to 10 in 100 steps.
func DefaultSweep() Sweep { return Sweep{From: 1e-7, To: 10, Steps: 100} }

func (s Sweep) check() error {
	if !(s.From > 0 && s.To > s.From) || math.IsInf(s.To, 1) || s.Steps < 2 {
		return fmt.Errorf("rates from %v to %v in %d steps: must be above 0, rising and at least 2", s.From, s.To, s.Steps)
	}
	return nil
}

// rate is that of step i.
func (s Sweep) rate(i int) float64 {
	return s.From * math.Pow(s.To/s.From, float64(i)/float64(s.Steps-1))
}

// RateCurve is what a range test found.
type RateCurve struct {
	Points   []RatePoint
	Diverged bool // the loss left all bounds before the last step
	// Steepest is the rate at which the smoothed loss falls most for a rise of the rate's logarithm,
	// Valley a third and a sixth of the way down the longest fall; both much as
	// fastai's lr_find has them. NaN if there are too few points or the loss never falls.
	Steepest, Valley float64
}

// RatePoint is one step of a range test.
type RatePoint struct {
	Rate     float64
	Loss     float64 // of the batch, before the step
	Smoothed float64 // mean over the losses so far, those of long ago weighing less
}

// Numbers of the range test, fastai's.
const (
	smoothing  = 0.98 // share of the old mean that stays
	divergence = 4    // the test ends at a smoothed loss of so many times the least
)

// RateSweep is the learning-rate range test (Smith, arXiv:1506.01186): it trains on batch after
// batch with a rising rate and looks at the loss. It works on copies: the weights given, and the
// state of schedules and stopping in the options, are left alone. Of the options, Rate, Schedule,
// Epochs and what concerns validation and checkpoints do not matter.
func RateSweep(ctx context.Context, net *nn.Network, weights nn.Weights, o Options, examples Examples, s Sweep) (_ *RateCurve, err error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("learning-rate sweep: %w", err)
	}
	o.Rate, o.Epochs, o.Average = s.From, 1, 0
	o.Schedule, o.Stopping, o.AfterStep = nil, nil, nil
	t, err := New(net, weights, o)
	if err != nil {
		return nil, fmt.Errorf("learning-rate sweep: %w", err)
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	curve := &RateCurve{Steepest: math.NaN(), Valley: math.NaN()}
	var mean float64
	least := math.Inf(1)
	for epoch, i := 0, 0; i < s.Steps && !curve.Diverged; epoch++ {
		steps, err := t.steps(examples, epoch)
		if err != nil {
			return nil, fmt.Errorf("learning-rate sweep: %w", err)
		}
		for step, runs := range steps[:min(len(steps), s.Steps-i)] {
			rate := s.rate(i)
			draw := graph.Draw{Seed: o.Seed, Epoch: epoch, Step: step * t.options.Accumulate}
			took, err := t.step(ctx, examples, runs, rate, draw, schedule.Position{Epochs: 1, Step: i, Steps: s.Steps})
			if runaway := (*DivergedError)(nil); errors.As(err, &runaway) {
				curve.Diverged = true
				break
			} else if err != nil {
				return nil, fmt.Errorf("learning-rate sweep: step %d: %w", i+1, err)
			}
			i++
			mean = smoothing*mean + (1-smoothing)*took.loss
			smoothed := mean / (1 - math.Pow(smoothing, float64(i))) // as if it had not started at 0
			curve.Points = append(curve.Points, RatePoint{Rate: rate, Loss: took.loss, Smoothed: smoothed})
			least = min(least, smoothed)
			if smoothed > divergence*least {
				curve.Diverged = true
				break
			}
		}
	}
	curve.suggest()
	return curve, nil
}

// suggest finds the rates worth trying. The first tenth of the points, where the mean is of few
// losses, and the last five, where the loss may run away, are left out.
func (c *RateCurve) suggest() {
	first, last := len(c.Points)/10, len(c.Points)-5
	if last-first < 3 {
		return
	}
	points := c.Points[first:last]
	slope := 0.0
	for i := range points[1:] {
		change := (points[i+1].Smoothed - points[i].Smoothed) / math.Log(points[i+1].Rate/points[i].Rate)
		if change < slope {
			slope, c.Steepest = change, points[i].Rate
		}
	}
	if from, to := longestFall(points); to > from {
		third := float64(to-from) / 3
		c.Valley = points[from+int(third)+int(third/2)].Rate
	}
}

// longestFall returns the ends of the longest run of points, not all of them neighbours, whose
// smoothed losses fall from each to the next.
func longestFall(points []RatePoint) (from, to int) {
	length, start := make([]int, len(points)), make([]int, len(points))
	longest := 0
	for i := range points {
		length[i], start[i] = 1, i
		for j := range i {
			if points[i].Smoothed < points[j].Smoothed && length[j]+1 > length[i] {
				length[i], start[i] = length[j]+1, start[j]
			}
		}
		if length[i] > longest {
			longest, from, to = length[i], start[i], i
		}
	}
	return from, to
}

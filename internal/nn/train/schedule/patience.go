package schedule

import (
	"fmt"
	"math"
)

// Direction says which way a metric is better.
type Direction int

// The directions.
const (
	Falling Direction = iota // less is better: a loss
	Rising                   // more is better: an accuracy
)

// Better tells whether metric improves on best by more than delta. Nothing improves by being NaN.
func (d Direction) Better(metric, best, delta float64) bool {
	if d == Rising {
		return metric-delta > best
	}
	return metric+delta < best
}

// Worst is what every number improves on.
func (d Direction) Worst() float64 {
	if d == Rising {
		return math.Inf(-1)
	}
	return math.Inf(1)
}

// wait counts epochs without improvement.
type wait struct {
	best   float64
	epochs int
}

// see takes a metric and returns how many epochs have gone since one that improved.
func (w *wait) see(metric, delta float64, d Direction) int {
	if w.epochs++; d.Better(metric, w.best, delta) {
		w.best, w.epochs = metric, 0
	}
	return w.epochs
}

// Plateau returns a schedule that multiplies the rate by factor whenever the metric has not improved
// by more than minDelta for patience epochs (at least 1), down to floor times the first rate.
func Plateau(factor float64, patience int, minDelta, floor float64, d Direction) Schedule {
	return &plateau{
		factor: factor, patience: patience, minDelta: minDelta, floor: floor, direction: d,
		current: 1, wait: wait{best: d.Worst()},
	}
}

type plateau struct {
	factor, minDelta, floor float64
	patience                int
	direction               Direction

	current float64
	wait    wait
}

func (p *plateau) Factor(Position) float64 { return p.current }

func (p *plateau) Observe(metric float64) {
	if p.wait.see(metric, p.minDelta, p.direction) >= p.patience {
		p.current = max(p.current*p.factor, p.floor)
		p.wait.epochs = 0
	}
}

func (p *plateau) State() []float64 {
	return []float64{p.current, p.wait.best, float64(p.wait.epochs)}
}

func (p *plateau) Restore(state []float64) error {
	if len(state) != 3 {
		return fmt.Errorf("schedule: state of another schedule")
	}
	p.current, p.wait = state[0], wait{best: state[1], epochs: int(state[2])}
	return nil
}

// Stopping ends training when the metric has not improved for some epochs.
type Stopping struct {
	patience  int
	minDelta  float64
	direction Direction
	wait      wait
}

// NewStopping stops after patience epochs (at least 1) without an improvement by more than
// minDelta.
func NewStopping(patience int, minDelta float64, d Direction) *Stopping {
	return &Stopping{patience: patience, minDelta: minDelta, direction: d, wait: wait{best: d.Worst()}}
}

// Observe takes the metric of an epoch that is over and tells whether to stop.
func (s *Stopping) Observe(metric float64) bool {
	return s.wait.see(metric, s.minDelta, s.direction) >= s.patience
}

// State returns what the stopping has seen.
func (s *Stopping) State() []float64 { return []float64{s.wait.best, float64(s.wait.epochs)} }

// Restore takes what State returned.
func (s *Stopping) Restore(state []float64) error {
	if len(state) != 2 {
		return fmt.Errorf("early stopping: state has %d numbers, want 2", len(state))
	}
	s.wait = wait{best: state[0], epochs: int(state[1])}
	return nil
}

package schedule

import (
	"fmt"
	"math"
)

// Position is a point of a training run.
type Position struct {
	Epoch, Epochs int // from 0, and how many there will be
	Step, Steps   int // of the epoch, from 0, and how many it has
}

// Fraction is the share of the run that is over, 0 ≤ share < 1.
func (p Position) Fraction() float64 {
	return (float64(p.Epoch) + float64(p.Step)/float64(max(p.Steps, 1))) / float64(max(p.Epochs, 1))
}

// Schedule gives the factor on the learning rate.
type Schedule interface {
	// Factor returns the factor for one step, at least 0.
	Factor(at Position) float64
	// Observe tells of the metric of an epoch that is over. Schedules that do not look ignore it.
	Observe(metric float64)
	// State and Restore carry the schedule over to another process, as numbers.
	State() []float64
	Restore(state []float64) error
}

// fixed is a schedule that follows from the position alone.
type fixed func(at Position) float64

func (f fixed) Factor(at Position) float64 { return f(at) }
func (fixed) Observe(float64)              {}
func (fixed) State() []float64             { return nil }
func (fixed) Restore(state []float64) error {
	if len(state) != 0 {
		return fmt.Errorf("schedule: state of another schedule")
	}
	return nil
}

// Constant keeps the rate.
func Constant() Schedule { return fixed(func(Position) float64 { return 1 }) }

// Cosine falls from 1 to floor along half a cosine, step by step (Loshchilov and Hutter,
// arXiv:1608.03983, without restarts).
func Cosine(floor float64) Schedule {
	return fixed(func(at Position) float64 { return cosine(1, floor, at.Fraction()) })
}

// Annealed falls as (1 + 10p)^−0.75 over the share p of the run that is over, step by step (Ganin et al.,
// arXiv:1505.07818).
func Annealed() Schedule {
	return fixed(func(at Position) float64 { return math.Pow(1+10*at.Fraction(), -0.75) })
}

// Step multiplies the rate by factor after each run of so many epochs.
func Step(epochs int, factor float64) Schedule {
	return fixed(func(at Position) float64 { return math.Pow(factor, float64(at.Epoch/max(epochs, 1))) })
}

// Linear rises from 0 to 1 over so much of the run, above 0 and below 1, and falls to 0 at its end, step by step, as transformers'
// get_linear_schedule_with_warmup does.
func Linear(rise float64) Schedule {
	return fixed(func(at Position) float64 {
		f := at.Fraction()
		if f < rise {
			return f / rise
		}
		return (1 - f) / (1 - rise)
	})
}

// Cycle says how [OneCycle] moves.
type Cycle struct {
	Rise  float64 // share of the run in which the rate rises, above 0 and below 1
	Start float64 // first factor, above 0 and at most 1
	End   float64 // factor at the end, at least 0 and at most 1
}

// DefaultCycle has fastai's numbers. PyTorch's OneCycleLR has Cycle{0.3, 1.0 / 25, 1.0 / 250000}.
func DefaultCycle() Cycle { return Cycle{Rise: 0.25, Start: 1.0 / 25, End: 1e-5} }

// OneCycle rises along half a cosine to 1, then falls likewise to the end (Smith, arXiv:1708.07120,
// with the shape that fastai and PyTorch give it; momentum stays as it is).
func OneCycle(c Cycle) Schedule {
	return fixed(func(at Position) float64 {
		f := at.Fraction()
		if f < c.Rise {
			return cosine(c.Start, 1, f/c.Rise)
		}
		return cosine(1, c.End, (f-c.Rise)/(1-c.Rise))
	})
}

// cosine goes from a to b as x goes from 0 to 1.
func cosine(a, b, x float64) float64 { return b + (a-b)*(1+math.Cos(math.Pi*x))/2 }

// WarmUp rises evenly over the first epochs to what then sets in: the schedule that follows, whose
// epochs count from the end of the warm-up.
func WarmUp(epochs int, then Schedule) Schedule { return &warmUp{epochs, then} }

type warmUp struct {
	epochs int
	then   Schedule
}

func (w *warmUp) Factor(at Position) float64 {
	if at.Epoch < w.epochs {
		done := float64(at.Epoch*at.Steps+at.Step+1) / float64(w.epochs*max(at.Steps, 1))
		return done * w.then.Factor(Position{Epochs: max(at.Epochs-w.epochs, 1), Steps: at.Steps})
	}
	at.Epoch -= w.epochs
	at.Epochs -= w.epochs
	return w.then.Factor(at)
}

func (w *warmUp) Observe(metric float64)        { w.then.Observe(metric) }
func (w *warmUp) State() []float64              { return w.then.State() }
func (w *warmUp) Restore(state []float64) error { return w.then.Restore(state) }

package shallow

import (
	"context"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/vector"
)

// lbfgs minimises a smooth convex function by L-BFGS (Liu and Nocedal 1989). Steps meet the weak Wolfe conditions, found by
// bisection (Lewis and Overton 2013), or, close to the minimum, where values differ by no more than their rounding, the
// approximate Wolfe conditions, which look at slopes instead (Hager and Zhang 2005).
type lbfgs struct {
	// evaluate returns the value at x and writes the gradient there.
	evaluate func(x, gradient []float64) float64
	// rounding is the relative error of values.
	rounding float64
	// tolerance ends the search: the largest element of the gradient is no more.
	tolerance float64
	// most is the number of iterations after which it ends.
	most int
}

const (
	remembered    = 12   // pairs of steps and changes of the gradient
	enough        = 1e-4 // a step's value must fall by this share of what the slope promises
	flatter       = 0.9  // and the slope at its end must be no more than this share of that at its beginning
	mostHalvings  = 40   // of a step
	idleIteration = 8    // iterations in a row that lower the value by less than its rounding end the search
)

// minimise goes from x to the minimum, which it leaves in x, and returns the value there and the iterations that it took.
// It ends early where rounding allows no better point, or the context ends.
func (l lbfgs) minimise(ctx context.Context, x []float64) (value float64, iterations int, err error) {
	n := len(x)
	gradient, next, nextGradient, direction := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	var pairs []pair // the oldest first
	value = l.evaluate(x, gradient)
	idle := 0
	for ; iterations < l.most && largest(gradient) > l.tolerance && idle < idleIteration; iterations++ {
		if err := ctx.Err(); err != nil {
			return value, iterations, err
		}
		descend(pairs, gradient, direction)
		slope := vector.Dot(gradient, direction)
		step := 1.0
		if len(pairs) == 0 {
			step = 1 / math.Sqrt(-slope)
		}
		if !(slope < 0) {
			break
		}
		reached, ok := l.search(x, direction, step, value, slope, next, nextGradient)
		if !ok {
			if len(pairs) == 0 {
				break // no better point within rounding
			}
			pairs = pairs[:0]
			continue
		}
		if value-reached <= l.rounding*math.Abs(value) {
			idle++
		} else {
			idle = 0
		}
		p := pair{}
		if len(pairs) == remembered {
			p = pairs[0]
			copy(pairs, pairs[1:])
			pairs = pairs[:remembered-1]
		} else {
			p.step, p.change = make([]float64, n), make([]float64, n)
		}
		for i := range x {
			p.step[i], p.change[i] = next[i]-x[i], nextGradient[i]-gradient[i]
		}
		if p.product = vector.Dot(p.step, p.change); p.product > 0 {
			pairs = append(pairs, p)
		}
		copy(x, next)
		gradient, nextGradient = nextGradient, gradient
		value = reached
	}
	return value, iterations, nil
}

// pair is a step and the change of the gradient along it.
type pair struct {
	step, change []float64
	product      float64 // of the two, positive
}

// descend makes the direction in which the minimum is expected: minus the estimate of the inverse Hessian times the gradient.
func descend(pairs []pair, gradient, direction []float64) {
	for i, g := range gradient {
		direction[i] = -g
	}
	if len(pairs) == 0 {
		return
	}
	var shares [remembered]float64
	for i, p := range slices.Backward(pairs) {
		shares[i] = vector.Dot(p.step, direction) / p.product
		vector.Axpy(-shares[i], p.change, direction)
	}
	last := pairs[len(pairs)-1]
	scale := last.product / vector.Dot(last.change, last.change)
	for i := range direction {
		direction[i] *= scale
	}
	for i, p := range pairs {
		vector.Axpy(shares[i]-vector.Dot(p.change, direction)/p.product, p.step, direction)
	}
}

// search finds a step along a direction that lowers the value enough; next and gradient are the point there and its gradient.
func (l lbfgs) search(x, direction []float64, step, value, slope float64, next, gradient []float64) (reached float64, ok bool) {
	low, high := 0.0, math.Inf(1)
	for range mostHalvings {
		for i := range x {
			next[i] = x[i] + step*direction[i]
		}
		reached = l.evaluate(next, gradient)
		at := vector.Dot(gradient, direction)
		falls := reached <= value+enough*step*slope ||
			reached <= value+l.rounding*math.Abs(value) && at <= (2*enough-1)*slope
		switch {
		case !falls || math.IsNaN(at):
			high = step
		case at < flatter*slope:
			low = step
		default:
			return reached, true
		}
		if math.IsInf(high, 1) {
			step *= 2
		} else {
			step = (low + high) / 2
		}
	}
	return reached, false
}

// largest is that of the absolute values; not a number if one is.
func largest(v []float64) (out float64) {
	for _, a := range v {
		if out = max(out, math.Abs(a)); math.IsNaN(a) {
			return a
		}
	}
	return out
}

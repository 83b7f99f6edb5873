package objective

import (
	"fmt"
	"math"
)

// Balance learns the weights of tasks beside the network.
type Balance interface {
	check(tasks int) error
	// start are the numbers that it keeps, as they are before the first step.
	start(tasks int) []float64
	// weights writes the weights of the tasks.
	weights(own, to []float64)
	// adapt changes the numbers by what a batch gave.
	adapt(own []float64, tasks []seen, rate float64)
}

// seen is what a batch gave of a task.
type seen struct {
	known bool    // whether an example had a target for it
	loss  float64 // unweighted
	norm  float64 // of the gradient of its weighted loss with respect to what the tasks share
}

// Uncertainty weighs tasks by their noise, which it learns (Kendall, Gal and Cipolla 2018, arXiv:1705.07115): what is made smaller
// is Σ exp(−s)·loss + s/2 for classes and Σ exp(−s)·loss/2 + s/2 for numbers, with s = log σ² of each task, 0 at the start. The s
// are stepped by Adam (β 0.9 and 0.999) at the learning rate of the network.
type Uncertainty struct {
	Numbers []bool // by task: its loss is a squared error
}

func (u Uncertainty) check(tasks int) error {
	if len(u.Numbers) != tasks {
		return fmt.Errorf("the uncertainty of %d tasks, of %d", len(u.Numbers), tasks)
	}
	return nil
}

func (Uncertainty) start(tasks int) []float64 { return make([]float64, adamSize(tasks)) }

func (u Uncertainty) factor(task int) float64 {
	if u.Numbers[task] {
		return 0.5
	}
	return 1
}

func (u Uncertainty) weights(own, to []float64) {
	for i := range to {
		to[i] = u.factor(i) * math.Exp(-own[i])
	}
}

func (u Uncertainty) adapt(own []float64, tasks []seen, rate float64) {
	gradient := make([]float64, len(tasks))
	for i, t := range tasks {
		if t.known {
			gradient[i] = 0.5 - u.factor(i)*math.Exp(-own[i])*t.loss
		}
	}
	adam(own, gradient, rate)
}

// GradientNorm lets tasks learn at the same pace: GradNorm (Chen et al. 2018, arXiv:1711.02257). The weights, 1 at the start and
// their sum kept, are moved so that the norms of the tasks' gradients come near their mean times (inverse training rate)^Alpha,
// by Adam at a rate of 0.025. The gradients are those with respect to the values that all heads take, of which the
// gradients of the weights below are made: what is frozen below them changes nothing. Where nothing learns that the tasks share,
// the weights stay.
type GradientNorm struct {
	Alpha float64 // at least 0; 0 makes all norms equal
}

// gradientNormRate is the rate of the weights.
const gradientNormRate = 0.025

func (g GradientNorm) check(int) error {
	if !(g.Alpha >= 0) || math.IsInf(g.Alpha, 1) {
		return fmt.Errorf("alpha %v: must be at least 0 and finite", g.Alpha)
	}
	return nil
}

// start: what Adam keeps of the weights, then the first loss of each task, 0 where there was none yet.
func (GradientNorm) start(tasks int) []float64 {
	own := make([]float64, adamSize(tasks)+tasks)
	for i := range tasks {
		own[i] = 1
	}
	return own
}

func (GradientNorm) weights(own, to []float64) { copy(to, own) }

func (g GradientNorm) adapt(own []float64, tasks []seen, _ float64) {
	n := len(tasks)
	first := own[adamSize(n):]
	var norms, pace, all float64
	for i, t := range tasks {
		if t.known && first[i] == 0 {
			first[i] = t.loss
		}
		if t.known && t.norm > 0 && first[i] > 0 {
			norms, pace, all = norms+t.norm, pace+t.loss/first[i], all+1
		}
	}
	if all < 2 || pace == 0 {
		return // there is nothing to be balanced
	}
	gradient := make([]float64, n)
	for i, t := range tasks {
		if t.known && t.norm > 0 && first[i] > 0 {
			target := norms / all * math.Pow(t.loss/first[i]/(pace/all), g.Alpha)
			slope := 0.0
			if t.norm != target {
				slope = math.Copysign(1, t.norm-target)
			}
			gradient[i] = slope * t.norm / own[i]
		}
	}
	adam(own[:adamSize(n)], gradient, gradientNormRate)
	var sum float64
	for i := range n {
		own[i] = max(own[i], leastWeight)
		sum += own[i]
	}
	for i := range n {
		own[i] *= float64(n) / sum
	}
}

// leastWeight keeps the weights above 0.
const leastWeight = 1e-4

// adamSize is how many numbers [adam] keeps for so many: themselves, two moments, and the count of steps.
func adamSize(numbers int) int { return 3*numbers + 1 }

// adam takes a step of Adam (Kingma and Ba 2015) on the first numbers.
func adam(own, gradient []float64, rate float64) {
	const first, second, epsilon = 0.9, 0.999, 1e-8
	n := len(gradient)
	x, mean, square, steps := own[:n], own[n:2*n], own[2*n:3*n], &own[3*n]
	*steps++
	for i, g := range gradient {
		mean[i] = first*mean[i] + (1-first)*g
		square[i] = second*square[i] + (1-second)*g*g
		m, v := mean[i]/(1-math.Pow(first, *steps)), square[i]/(1-math.Pow(second, *steps))
		x[i] -= rate * m / (math.Sqrt(v) + epsilon)
	}
}

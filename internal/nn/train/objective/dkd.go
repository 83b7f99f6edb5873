package objective

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// DKD is decoupled knowledge distillation (Zhao et al. 2022, arXiv:2203.08679): T²·(α·TCKD + β·NCKD), the mean over the
// examples. TCKD is the divergence of the probabilities of the example's class and of all others together; NCKD that of the
// distributions over the other classes. With α = 1 and β = 1 − p(class) of the teacher it is [KD]. An example of class [Unknown],
// whose class is not known, does not count.
type DKD struct {
	Output      string  // the layer with the logits, or their softmax; "": the network's output
	Target      string  // float32, the teacher's logits; "": [Teacher]
	Class       string  // int32, the number of the class; "": [Class]
	Temperature float64 // T, above 0
	Alpha, Beta float64 // at least 0
}

// Kind implements [Objective].
func (DKD) Kind() string { return "dkd" }

func (k DKD) output() Output { return Output{Layer: k.Output, Logits: true} }

// Outputs implements [Objective].
func (k DKD) Outputs() []Output { return []Output{k.output()} }

// Targets implements [Objective].
func (k DKD) Targets(shape Shapes) []Target {
	return []Target{
		{Name: or(k.Target, Teacher), Element: nn.Float32, Shape: shape(k.output())},
		{Name: or(k.Class, Class), Element: nn.Int32},
	}
}

// Measures implements [Objective].
func (DKD) Measures() []Measure { return nil }

// Check implements [Objective].
func (k DKD) Check(shape Shapes) error {
	switch {
	case !positive(k.Temperature):
		return fmt.Errorf("temperature %v: must be above 0 and finite", k.Temperature)
	case !(k.Alpha >= 0 && k.Beta >= 0 && k.Alpha+k.Beta > 0) || math.IsInf(k.Alpha+k.Beta, 1):
		return fmt.Errorf("alpha %v and beta %v: must not be negative, nor both 0, and finite", k.Alpha, k.Beta)
	}
	return vector(k.output(), shape, 3)
}

// Loss implements [Objective].
func (k DKD) Loss(in Place) Loss {
	return newCompared(in, k.Kind(), k.output(), &dkdComparison{DKD: k, classes: in.Output(k.output()).Shape()[1]})
}

// Evaluation implements [Objective].
func (k DKD) Evaluation(shape Shapes) Evaluation {
	return newComparedEvaluation(k.output(), 0, &dkdComparison{DKD: k, classes: shape(k.output()).Size()})
}

type dkdComparison struct {
	DKD
	silent
	classes int
	teacher []float32
	class   []int32
}

func (k *dkdComparison) take(targets nn.Batch, _ int, blend Blend) (mass float64, err error) {
	k.teacher, k.class = targets[or(k.Target, Teacher)].Float32, targets[or(k.DKD.Class, Class)].Int32
	if blend.Partner != nil {
		return 0, fmt.Errorf("dkd: mixed examples have no class of their own")
	}
	if !nn.Finite(k.teacher) {
		return 0, fmt.Errorf("a logit of the teacher is not finite")
	}
	for _, c := range k.class {
		if c < Unknown || int(c) >= k.classes {
			return 0, fmt.Errorf("an example is of class %d; the network has %d", c, k.classes)
		}
		if c >= 0 {
			mass++
		}
	}
	return mass, nil
}

func (k *dkdComparison) sum(dx []float64, x []float32) float64 {
	if dx != nil {
		clear(dx)
	}
	n, T := k.classes, k.Temperature
	var target, other float64
	own, its := make([]float64, n), make([]float64, n)
	for i, class := range k.class {
		if class == Unknown {
			continue
		}
		y, at := int(class), i*n
		ownRest := decoupled(own, x[at:at+n], y, T)
		itsRest := decoupled(its, k.teacher[at:at+n], y, T)
		// own[y] and ownRest are logarithms of the two probabilities; own elsewhere of those among the others.
		p, rest := math.Exp(its[y]), math.Exp(itsRest)
		target += divergence(p, its[y], own[y]) + divergence(rest, itsRest, ownRest)
		for c := range n {
			if c != y {
				other += divergence(math.Exp(its[c]), its[c], own[c])
			}
		}
		if dx == nil {
			continue
		}
		q, ownOthers := math.Exp(own[y]), math.Exp(ownRest)
		for c := range n {
			if c == y {
				dx[at+c] = T * k.Alpha * (q - p)
				continue
			}
			r := math.Exp(own[c])
			dx[at+c] = T * (k.Alpha*r*(ownOthers-rest) + k.Beta*(r-math.Exp(its[c])))
		}
	}
	return T * T * (k.Alpha*target + k.Beta*other)
}

// divergence is a term of a Kullback-Leibler divergence, by a probability and the logarithms of both.
func divergence(p, log, other float64) float64 {
	if p == 0 {
		return 0
	}
	return p * (log - other)
}

// decoupled writes the logarithms of the probability of class y, and of those of the others among themselves, at a temperature;
// it returns the logarithm of the probability of all others together. No difference of near numbers is taken: the
// probability of the others may be far below what 1 − p(y) can tell from 0.
func decoupled(out []float64, logits []float32, y int, temperature float64) (rest float64) {
	top := math.Inf(-1)
	for c, z := range logits {
		out[c] = float64(z) / temperature
		if c != y {
			top = max(top, out[c])
		}
	}
	var sum float64
	for c, z := range out {
		if c != y {
			sum += math.Exp(z - top)
		}
	}
	others := top + math.Log(sum)
	for c := range out {
		if c != y {
			out[c] -= others
		}
	}
	high, low := max(out[y], others), min(out[y], others)
	all := high + math.Log1p(math.Exp(low-high))
	out[y] -= all
	return others - all
}

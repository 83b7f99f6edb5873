package fewshot

import (
	"context"
	"math"
)

// Settings of methods that train prototypes, those of easyfsl.
const (
	temperature         = 10
	tunedSteps          = 200
	tunedRate           = 1e-4
	informationSteps    = 50
	conditionalWeight   = 0.1 // of the entropy of each query's answer; that of their mean has 1
	smallestProbability = 1e-12
)

// fineTuned trains the prototypes as the weights of a cosine classifier on the support, from the class means (Chen et al., A Closer
// Look at Few-shot Classification, 2019).
func fineTuned(ctx context.Context, t *task) error {
	p := newTunable(t)
	for range tunedSteps {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.supportGradient(t)
		p.step(tunedRate)
	}
	p.answer(t)
	return nil
}

// information is transductive information maximisation (Boudiaf et al. 2020, TIM): prototypes are trained to tell the support, and so
// that answers to queries are sure one by one, and spread over the classes together.
func information(ctx context.Context, t *task) error {
	p := newTunable(t)
	for range informationSteps {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.supportGradient(t)
		p.informationGradient(t)
		p.step(tunedRate)
	}
	p.answer(t)
	return nil
}

// tunable are prototypes that are trained by Adam. Its steps depend on the axes of the features, so that they are those of the
// features themselves.
type tunable struct {
	width       int
	centres     [][]float64
	norms       []float64
	gradient    [][]float64
	first, last [][]float64 // moments
	steps       float64
}

func newTunable(t *task) *tunable {
	p := &tunable{width: len(t.features[0]), norms: make([]float64, t.way)}
	table := func() [][]float64 {
		out := make([][]float64, t.way)
		for c := range out {
			out[c] = make([]float64, p.width)
		}
		return out
	}
	p.centres, p.gradient, p.first, p.last = table(), table(), table(), table()
	counts := make([]float64, t.way)
	for i, c := range t.supportClasses {
		counts[c]++
		for j, v := range t.features[i] {
			p.centres[c][j] += float64(v)
		}
	}
	for c := range p.centres {
		for j := range p.centres[c] {
			p.centres[c][j] /= counts[c]
		}
	}
	p.measure()
	return p
}

// measure computes the lengths of the prototypes.
func (p *tunable) measure() {
	for c, centre := range p.centres {
		p.norms[c] = max(math.Sqrt(dot(centre, centre)), 1e-12)
	}
}

// cosines are those of a row of length 1 with each prototype.
func (p *tunable) cosines(x []float32, out []float64) {
	for c, centre := range p.centres {
		var a, b float64
		j := 0
		for ; j+2 <= len(x); j += 2 {
			a += float64(x[j]) * centre[j]
			b += float64(x[j+1]) * centre[j+1]
		}
		if j < len(x) {
			a += float64(x[j]) * centre[j]
		}
		out[c] = (a + b) / p.norms[c]
	}
}

// add adds the gradient of the loss, given those of the logits of a row and its cosines.
func (p *tunable) add(x []float32, slopes, cosines []float64) {
	for c, slope := range slopes {
		by, back := temperature*slope/p.norms[c], cosines[c]/p.norms[c]
		gradient, centre := p.gradient[c], p.centres[c]
		for j, v := range x {
			gradient[j] += by * (float64(v) - back*centre[j])
		}
	}
}

// probabilities are the softmax of the logits of a row.
func probabilities(cosines []float64, out []float64) {
	for c, v := range cosines {
		out[c] = temperature * v
	}
	softmax(out)
}

// supportGradient adds that of the mean cross-entropy of the support.
func (p *tunable) supportGradient(t *task) {
	cosines, slopes := make([]float64, t.way), make([]float64, t.way)
	n := float64(len(t.supportClasses))
	for i, class := range t.supportClasses {
		p.cosines(t.features[i], cosines)
		probabilities(cosines, slopes)
		slopes[class]--
		for c := range slopes {
			slopes[c] /= n
		}
		p.add(t.features[i], slopes, cosines)
	}
}

// informationGradient adds that of the mean entropy of the queries' answers, weighted, less the entropy of their mean.
func (p *tunable) informationGradient(t *task) {
	queries := t.features[len(t.support):]
	n := float64(len(queries))
	cosines, answers := make([][]float64, len(queries)), make([][]float64, len(queries))
	mean := make([]float64, t.way)
	for i, x := range queries {
		cosines[i], answers[i] = make([]float64, t.way), make([]float64, t.way)
		p.cosines(x, cosines[i])
		probabilities(cosines[i], answers[i])
		for c, y := range answers[i] {
			mean[c] += y / n
		}
	}
	slopes := make([]float64, t.way)
	for i, x := range queries {
		var entropy, together float64
		for c, y := range answers[i] {
			entropy -= y * math.Log(y+smallestProbability)
			together += y * (math.Log(mean[c]+smallestProbability) + 1)
		}
		for c, y := range answers[i] {
			slopes[c] = y / n * (math.Log(mean[c]+smallestProbability) + 1 - together - conditionalWeight*(math.Log(y+smallestProbability)+entropy))
		}
		p.add(x, slopes, cosines[i])
	}
}

// step takes a step of Adam (Kingma and Ba 2015) and forgets the gradient.
func (p *tunable) step(rate float64) {
	const first, second, epsilon = 0.9, 0.999, 1e-8
	p.steps++
	one, two := 1-math.Pow(first, p.steps), 1-math.Pow(second, p.steps)
	for c, gradient := range p.gradient {
		for j, g := range gradient {
			m, v := first*p.first[c][j]+(1-first)*g, second*p.last[c][j]+(1-second)*g*g
			p.first[c][j], p.last[c][j] = m, v
			p.centres[c][j] -= rate * (m / one) / (math.Sqrt(v/two) + epsilon)
		}
		clear(gradient)
	}
	p.measure()
}

// answer scores the queries by their cosines with the prototypes.
func (p *tunable) answer(t *task) {
	for i, x := range t.features[len(t.support):] {
		p.cosines(x, t.scores[i])
	}
}

package optimizer

import "fmt"

// SGD is stochastic gradient descent, w ← w − rate·g, or with momentum the heavy ball method
// (Polyak 1964) in PyTorch's form: b ← Momentum·b + g, w ← w − rate·b. With Nesterov's variant
// (Sutskever et al. 2013) the step looks ahead: w ← w − rate·(g + Momentum·b).
type SGD struct {
	Momentum float64 // 0 ≤ Momentum < 1
	Nesterov bool
}

func (r SGD) check() error {
	if !(r.Momentum >= 0 && r.Momentum < 1) {
		return fmt.Errorf("momentum %v: must be at least 0 and below 1", r.Momentum)
	}
	if r.Nesterov && r.Momentum == 0 {
		return fmt.Errorf("Nesterov's variant needs a momentum above 0")
	}
	return nil
}

func (r SGD) slots() int {
	if r.Momentum == 0 {
		return 0
	}
	return 1
}

func (r SGD) update(p piece) {
	w, gradient := p.weights, p.gradient[:len(p.weights)]
	rate, decay, momentum := float32(p.rate), float32(p.decay), float32(r.Momentum)
	if momentum == 0 {
		for i := range w {
			w[i] -= rate * (gradient[i]*p.scale + decay*w[i])
		}
		return
	}
	ball := p.slots[0][:len(w)]
	for i := range w {
		g := gradient[i]*p.scale + decay*w[i]
		ball[i] = momentum*ball[i] + g
		if r.Nesterov {
			w[i] -= rate * (g + momentum*ball[i])
		} else {
			w[i] -= rate * ball[i]
		}
	}
}

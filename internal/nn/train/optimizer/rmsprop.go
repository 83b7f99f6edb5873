package optimizer

import (
	"fmt"
	"math"
)

// RMSProp divides the gradient by the root of a running mean of its squares (Tieleman and Hinton
// 2012), with ε added to the root. With momentum the quotient feeds a heavy ball.
type RMSProp struct {
	Alpha    float64 // share of the old mean that is kept, 0 ≤ α < 1; usual: 0.99
	Epsilon  float64 // above 0; usual: 1e-8
	Momentum float64 // 0 ≤ Momentum < 1
}

// DefaultRMSProp has the usual settings, PyTorch's.
func DefaultRMSProp() RMSProp { return RMSProp{Alpha: 0.99, Epsilon: 1e-8} }

func (r RMSProp) check() error {
	if !(r.Alpha >= 0 && r.Alpha < 1 && r.Momentum >= 0 && r.Momentum < 1 && r.Epsilon > 0) {
		return fmt.Errorf("α %v and momentum %v: must be at least 0 and below 1; ε %v: must be above 0", r.Alpha, r.Momentum, r.Epsilon)
	}
	return nil
}

func (r RMSProp) slots() int {
	if r.Momentum == 0 {
		return 1
	}
	return 2
}

func (r RMSProp) update(p piece) {
	w, gradient := p.weights, p.gradient[:len(p.weights)]
	square := p.slots[0][:len(w)]
	keep, add := float32(r.Alpha), float32(1-r.Alpha)
	rate, decay, epsilon, momentum := float32(p.rate), float32(p.decay), float32(r.Epsilon), float32(r.Momentum)
	for i := range w {
		g := gradient[i]*p.scale + decay*w[i]
		square[i] = keep*square[i] + add*g*g
		change := g / (float32(math.Sqrt(float64(square[i]))) + epsilon)
		if momentum > 0 {
			ball := p.slots[1]
			ball[i] = momentum*ball[i] + change
			change = ball[i]
		}
		w[i] -= rate * change
	}
}

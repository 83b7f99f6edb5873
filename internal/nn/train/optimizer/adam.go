package optimizer

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Adam follows a running mean of the gradients, divided by the root of a running mean of their
// squares (Kingma and Ba, arXiv:1412.6980), both corrected for having started at zero. A group's
// decay is added to the gradient.
type Adam struct {
	Beta1, Beta2 float64 // 0 ≤ β < 1; usual: 0.9 and 0.999
	Epsilon      float64 // above 0; usual: 1e-8
}

// AdamW is [Adam] with the decay apart from the gradient (Loshchilov and Hutter,
// arXiv:1711.05101): w ← w − rate·λ·w before each step.
type AdamW struct {
	Beta1, Beta2 float64
	Epsilon      float64
}

// DefaultAdam has the usual settings, PyTorch's.
func DefaultAdam() Adam { return Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8} }

// DefaultAdamW has the usual settings, PyTorch's.
func DefaultAdamW() AdamW { return AdamW(DefaultAdam()) }

func (r Adam) check() error {
	if !(r.Beta1 >= 0 && r.Beta1 < 1 && r.Beta2 >= 0 && r.Beta2 < 1 && r.Epsilon > 0) {
		return fmt.Errorf("β %v and %v: must be at least 0 and below 1; ε %v: must be above 0", r.Beta1, r.Beta2, r.Epsilon)
	}
	return nil
}

func (r AdamW) check() error { return Adam(r).check() }

func (Adam) slots() int  { return 2 }
func (AdamW) slots() int { return 2 }

func (r Adam) update(p piece) { r.adapt(p, 1, float32(p.decay)) }

func (r AdamW) update(p piece) { Adam(r).adapt(p, float32(1-p.rate*p.decay), 0) }

// adapt multiplies the weights by shrink, then takes Adam's step.
func (r Adam) adapt(p piece, shrink, decay float32) {
	// (m/c₁)/(√(v/c₂)+ε) = m·(√c₂/c₁)/(√v+ε·√c₂): one division an element.
	root := math.Sqrt(1 - math.Pow(r.Beta2, float64(p.steps)))
	kernel.AdamStep{
		Shrink: shrink, Scale: p.scale, Decay: decay,
		NewMean: float32(1 - r.Beta1), KeepSquare: float32(r.Beta2), NewSquare: float32(1 - r.Beta2),
		Step: float32(p.rate * root / (1 - math.Pow(r.Beta1, float64(p.steps)))), Epsilon: float32(r.Epsilon * root),
	}.Take(p.weights, p.gradient, p.slots[0], p.slots[1])
}

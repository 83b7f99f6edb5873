package nn

import (
	"cmp"
	"fmt"
)

// L2Normalise divides by the length along the last axis, x/max(‖x‖₂, Epsilon), so that products of what it
// puts out are cosines.
type L2Normalise struct {
	Epsilon float32 `json:"epsilon,omitzero"` // zero means 1e-12, as PyTorch has it
}

// Kind implements [Op].
func (L2Normalise) Kind() string { return "l2_normalise" }

// Least is the length below which vectors are not made longer.
func (op L2Normalise) Least() float32 { return cmp.Or(op.Epsilon, 1e-12) }

func (op L2Normalise) on(inputs []Shape) (facts, error) {
	if !(op.Epsilon >= 0 && op.Epsilon < 1) {
		return facts{}, fmt.Errorf("epsilon %v: must be at least 0 and below 1", op.Epsilon)
	}
	f, err := unchanged(inputs)
	if err == nil {
		f.expect = func([]moment) moment { return moment{square: 1 / float64(inputs[0].Channels())} }
	}
	return f, err
}

package nn

import "fmt"

// GradientReversal hands its input on as it is; in training the gradient that comes back is multiplied by
// −Lambda, so that what lies below learns to make worse what lies above tries to do better (Ganin and
// Lempitsky, arXiv:1409.7495).
type GradientReversal struct {
	Lambda float32 `json:"lambda"` // at least 0, finite
}

// Kind implements [Op].
func (GradientReversal) Kind() string { return "gradient_reversal" }

func (op GradientReversal) on(inputs []Shape) (facts, error) {
	if !(op.Lambda >= 0) || op.Lambda-op.Lambda != 0 {
		return facts{}, fmt.Errorf("lambda %v: must be at least 0 and finite", op.Lambda)
	}
	f, err := unchanged(inputs)
	f.steers = true
	return f, err
}

package nn

import "fmt"

// Dropout sets each element to zero with probability Rate in training, and multiplies the others by
// 1/(1−Rate). Frozen, it does nothing.
type Dropout struct {
	Rate float32 `json:"rate"`
}

// Kind implements [Op].
func (Dropout) Kind() string { return "dropout" }

func (op Dropout) on(inputs []Shape) (facts, error) {
	if !(op.Rate >= 0 && op.Rate < 1) {
		return facts{}, fmt.Errorf("rate %v: must be at least 0 and below 1", op.Rate)
	}
	f, err := unchanged(inputs)
	f.random, f.steers = true, true
	return f, err
}

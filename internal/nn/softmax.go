package nn

// Softmax turns logits into probabilities, along the last axis: [classes], or [queries, keys] of an
// attention.
type Softmax struct{}

// Kind implements [Op].
func (Softmax) Kind() string { return "softmax" }

func (Softmax) on(inputs []Shape) (facts, error) { return unchanged(inputs) }

package nn

import "fmt"

// Prepend puts Count learned vectors before the tokens: [tokens, channels] to [Count+tokens, channels]. They are class tokens
// and registers. The weight is [Count, channels].
type Prepend struct {
	Count int `json:"count"`
}

// Kind implements [Op].
func (Prepend) Kind() string { return "prepend" }

func (op Prepend) on(inputs []Shape) (facts, error) {
	in, err := oneSequence(inputs)
	if err != nil {
		return facts{}, err
	}
	if op.Count < 1 || op.Count > maxDimension {
		return facts{}, fmt.Errorf("%d vectors: must be from 1 to %d", op.Count, maxDimension)
	}
	return facts{
		output:     Shape{op.Count + in[0], in[1]},
		parameters: []Parameter{{Role: Weight, Shape: Shape{op.Count, in[1]}, initial: narrow}},
	}, nil
}

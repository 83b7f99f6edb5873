package nn

import "fmt"

// LayerNorm normalises along the last axis: gamma·(x−mean)/√(variance+Epsilon) + beta, with the mean and the
// biased variance of each vector (Ba, Kiros and Hinton 2016, arXiv:1607.06450).
type LayerNorm struct {
	Epsilon float32 `json:"epsilon"`
}

// Kind implements [Op].
func (LayerNorm) Kind() string { return "layer_norm" }

func (op LayerNorm) on(inputs []Shape) (facts, error) {
	if !(op.Epsilon > 0 && op.Epsilon < 1) {
		return facts{}, fmt.Errorf("epsilon %v: must be above 0 and below 1", op.Epsilon)
	}
	in, err := one(inputs)
	if err != nil {
		return facts{}, err
	}
	return facts{
		output: in, varies: true,
		parameters: []Parameter{
			{Role: Gamma, Shape: Shape{in.Channels()}, initial: ones},
			{Role: Beta, Shape: Shape{in.Channels()}},
		},
		expect: expectUnit, steers: true,
	}, nil
}

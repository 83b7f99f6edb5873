package nn

import "fmt"

// BatchNorm normalises each channel: scale·(x−mean)/√(variance+Epsilon) + shift. Frozen, mean and
// variance are the running ones; in training, those of the batch.
type BatchNorm struct {
	Epsilon float32 `json:"epsilon"`
	// Momentum is the share of the old running statistics that a training step keeps, as Keras
	// counts it; PyTorch's momentum is 1 less this.
	Momentum float32 `json:"momentum,omitzero"`
	Unscaled bool    `json:"unscaled,omitzero"` // there is no gamma: it is 1 (Keras, scale=False)
}

// Kind implements [Op].
func (BatchNorm) Kind() string { return "batch_norm" }

func (op BatchNorm) on(inputs []Shape) (facts, error) {
	if !(op.Epsilon > 0 && op.Epsilon < 1) {
		return facts{}, fmt.Errorf("epsilon %v: must be above 0 and below 1", op.Epsilon)
	}
	if !(op.Momentum >= 0 && op.Momentum < 1) {
		return facts{}, fmt.Errorf("momentum %v: must be at least 0 and below 1", op.Momentum)
	}
	in, err := one(inputs)
	if err != nil {
		return facts{}, err
	}
	channels := Shape{in.Channels()}
	parameters := []Parameter{
		{Role: Gamma, Shape: channels, initial: ones},
		{Role: Beta, Shape: channels},
		{Role: Mean, Shape: channels},
		{Role: Variance, Shape: channels, initial: ones},
	}
	if op.Unscaled {
		parameters = parameters[1:]
	}
	return facts{output: in, varies: true, parameters: parameters, steers: true}, nil
}

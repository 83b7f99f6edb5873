package nn

import "fmt"

// Positions adds to each token a vector of its own that is learned for its place: row First+i of the weight, [Count,
// channels], to token i of [tokens, channels].
type Positions struct {
	Count int `json:"count"`
	First int `json:"first,omitzero"`
}

// Kind implements [Op].
func (Positions) Kind() string { return "positions" }

// Most is the greatest number of tokens that there are positions for.
func (op Positions) Most() int { return op.Count - op.First }

func (op Positions) on(inputs []Shape) (facts, error) {
	in, err := oneSequence(inputs)
	if err != nil {
		return facts{}, err
	}
	if op.First < 0 || op.Count > maxDimension || op.Most() < max(in[0], 1) {
		return facts{}, fmt.Errorf("%d positions from the %d. on, for an input of shape %v: must be as many as tokens", op.Count, op.First+1, in)
	}
	return facts{
		output: in, varies: true,
		parameters: []Parameter{{Role: Weight, Shape: Shape{op.Count, in.Channels()}, initial: narrow}},
	}, nil
}

// oneSequence returns the shape of the only input, a sequence of vectors.
func oneSequence(inputs []Shape) (Shape, error) {
	in, err := one(inputs)
	if err != nil {
		return nil, err
	}
	if len(in) != 2 || in.Channels() < 1 {
		return nil, fmt.Errorf("input of shape %v: must be [tokens, channels]", in)
	}
	return in, nil
}

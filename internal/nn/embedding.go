package nn

// Embedding puts a vector of Width numbers in the place of each id: [tokens] to [tokens, Width]. The weight
// is the table of them, [Count, Width]; ids are from 0 to Count−1.
type Embedding struct {
	Count int `json:"count"`
	Width int `json:"width"`
}

// Kind implements [Op].
func (Embedding) Kind() string { return "embedding" }

func (op Embedding) on(inputs []Shape) (facts, error) {
	in, err := one(inputs)
	if err != nil {
		return facts{}, err
	}
	return facts{
		output: append(in[:len(in):len(in)], op.Width), varies: true,
		parameters: []Parameter{{Role: Weight, Shape: Shape{op.Count, op.Width}, initial: unit}},
		ids:        true,
		expect:     expectUnit,
	}, nil
}

package nn

// Dense is a fully connected layer on the last axis: [features] to [Out], [tokens, features] to [tokens,
// Out]. Weights are [Out, inputs], the bias [Out].
type Dense struct {
	Out  int  `json:"out"`
	Bias bool `json:"bias,omitzero"`
}

// Kind implements [Op].
func (Dense) Kind() string { return "dense" }

func (op Dense) on(inputs []Shape) (facts, error) {
	in, err := one(inputs)
	if err != nil {
		return facts{}, err
	}
	out := in.withChannels(op.Out)
	return facts{
		output: out, varies: true,
		parameters: withBias(op.Bias, op.Out, Parameter{
			Role: Weight, Shape: Shape{op.Out, in.Channels()}, initial: byFans, fanIn: in.Channels(), fanOut: op.Out,
		}),
		multiplyAdds: int64(out.Size()) * int64(in.Channels()),
		expect:       expectUnit,
	}, nil
}

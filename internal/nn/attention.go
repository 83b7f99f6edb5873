package nn

import (
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Attention is scaled dot-product attention of several heads (Vaswani et al. 2017, arXiv:1706.03762) on queries, keys and
// values, three inputs [tokens, channels]; head h has the channels from h·channels/Heads on. Projections are layers of their
// own.
type Attention struct {
	Heads   int     `json:"heads"`
	Causal  bool    `json:"causal,omitzero"`  // a token sees those up to itself
	Dropout float32 `json:"dropout,omitzero"` // of its weights, in training: as [Dropout] does
}

// Kind implements [Op].
func (Attention) Kind() string { return "attention" }

// Geometry returns the attention as the kernels know it, for inputs of so many channels.
func (op Attention) Geometry(channels int) kernel.Attention {
	return kernel.Attention{Heads: op.Heads, Width: channels / op.Heads, Causal: op.Causal}
}

func (op Attention) on(inputs []Shape) (facts, error) {
	if len(inputs) != 3 {
		return facts{}, fmt.Errorf("takes queries, keys and values, has %d inputs", len(inputs))
	}
	if err := alike(inputs); err != nil {
		return facts{}, err
	}
	in := inputs[0]
	if len(in) != 2 {
		return facts{}, fmt.Errorf("inputs of shape %v: must be [tokens, channels]", in)
	}
	if op.Heads < 1 || in.Channels() < 1 || in.Channels()%op.Heads != 0 {
		return facts{}, fmt.Errorf("%d heads of inputs of shape %v: must share the channels evenly", op.Heads, in)
	}
	if !(op.Dropout >= 0 && op.Dropout < 1) {
		return facts{}, fmt.Errorf("dropout %v: must be at least 0 and below 1", op.Dropout)
	}
	return facts{
		output: in, varies: true, random: op.Dropout > 0,
		multiplyAdds: 2 * int64(in.Size()) * int64(in[0]),
		expect:       func(in []moment) moment { return in[2] }, // from above: a mean of values
	}, nil
}

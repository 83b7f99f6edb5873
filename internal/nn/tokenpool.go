package nn

import (
	"encoding/json"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// TokenPool makes one vector of a sequence: [tokens, channels] to [channels]. The first Skip tokens do not count. Padding does
// not count either.
type TokenPool struct {
	Function kernel.TokenPooling
	Skip     int
}

// Kind implements [Op].
func (TokenPool) Kind() string { return "token_pool" }

func (op TokenPool) on(inputs []Shape) (facts, error) {
	in, err := oneSequence(inputs)
	if err != nil {
		return facts{}, err
	}
	if op.Function < kernel.MeanOfTokens || op.Function > kernel.LastToken {
		return facts{}, fmt.Errorf("unknown function %v", op.Function)
	}
	if op.Skip < 0 || op.Skip > maxDimension || in[0] > 0 && op.Skip >= in[0] {
		return facts{}, fmt.Errorf("%d tokens to skip, of an input of shape %v: one must be left", op.Skip, in)
	}
	return facts{output: Shape{in.Channels()}, varies: true}, nil
}

type jsonTokenPool struct {
	Function string `json:"function"`
	Skip     int    `json:"skip,omitzero"`
}

// MarshalJSON implements json.Marshaler: {"function": "mean", "skip": 1}.
func (op TokenPool) MarshalJSON() ([]byte, error) {
	return json.Marshal(jsonTokenPool{op.Function.String(), op.Skip})
}

// UnmarshalJSON implements json.Unmarshaler.
func (op *TokenPool) UnmarshalJSON(data []byte) error {
	var in jsonTokenPool
	if err := strictly(data, &in); err != nil {
		return err
	}
	f, err := ParseTokenPooling(in.Function)
	*op = TokenPool{f, in.Skip}
	return err
}

// ParseTokenPooling returns the pooling of that name: mean, max, first, last.
func ParseTokenPooling(name string) (kernel.TokenPooling, error) {
	for f := kernel.MeanOfTokens; f <= kernel.LastToken; f++ {
		if f.String() == name {
			return f, nil
		}
	}
	return 0, fmt.Errorf("unknown pooling of tokens %q", name)
}

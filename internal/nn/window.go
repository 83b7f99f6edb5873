package nn

import "fmt"

// Window puts Size tokens side by side in the place of each token, itself in the middle, with zeros beyond the ends:
// [tokens, channels] to [tokens, Size·channels]. A [Dense] layer on it is a convolution along the tokens.
type Window struct {
	Size int `json:"size"`
}

// Kind implements [Op].
func (Window) Kind() string { return "window" }

func (op Window) on(inputs []Shape) (facts, error) {
	in, err := oneSequence(inputs)
	if err != nil {
		return facts{}, err
	}
	if op.Size < 1 || op.Size > 255 {
		return facts{}, fmt.Errorf("windows of %d tokens: must be from 1 to 255", op.Size)
	}
	return facts{output: in.withChannels(op.Size * in.Channels()), varies: true}, nil
}

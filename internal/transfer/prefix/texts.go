package prefix

import (
	"context"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
)

// tokensAtOnce is how many tokens are computed together, and textsAtOnce how many texts' activations are written together.
const (
	tokensAtOnce = 2048
	textsAtOnce  = 32
)

// runTexts is run for texts: on their tokens one after the other, without padding.
func (a *Activator) runTexts(ctx context.Context, c *rows.Chunk, used []int, writers []*activationWriter) error {
	input := a.program.Inputs()[0].Name
	for len(used) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := used[:min(textsAtOnce, len(used))]
		used = used[len(part):]
		var ids []int32
		var lengths []int
		for _, row := range part {
			before := len(ids)
			var err error
			if ids, err = c.Tokens(ids, row); err != nil {
				return err
			}
			lengths = append(lengths, len(ids)-before)
		}
		outputs := nn.Batch{}
		for i, shape := range a.shapes {
			outputs[a.cuts[i].Cut] = nn.Values{Float32: make([]float32, shape.numbers(len(part), len(ids)))}
		}
		if err := a.session.RunSequences(a.pool, lengths, nn.Batch{input: {Int32: ids}}, outputs); err != nil {
			return err
		}
		for i, w := range writers {
			rows := len(part)
			if a.shapes[i].tokens {
				rows = len(ids)
			}
			if err := w.write(a.pool, outputs[a.cuts[i].Cut].Float32, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstTokens numbers the first token of each text, and what follows the last, among those of a chunk's rows in use.
func firstTokens(c *rows.Chunk, used []int) ([]int, error) {
	first, ids := make([]int, 1, len(used)+1), []int32(nil)
	for _, row := range used {
		var err error
		if ids, err = c.Tokens(ids[:0], row); err != nil {
			return nil, err
		}
		first = append(first, first[len(first)-1]+len(ids))
	}
	return first, nil
}

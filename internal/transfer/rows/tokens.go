package rows

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// readTokens reads rows of tokens into memory.
func (d *Data) readTokens(ctx context.Context, in pipeline.Input, schema *arrow.Schema, target string) error {
	r, err := d.newReader(schema, target)
	if err != nil {
		return err
	}
	d.Shape = nn.Shape{-1}
	for _, key := range []string{record.TokensKey, record.VocabularyKey} {
		if value, ok := schema.Metadata().GetValue(key); ok {
			d.Metadata[key] = value
		}
	}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return err
		}
		tokens, err := record.NewTokenColumn(rec)
		if err != nil {
			return err
		}
		err = r.take(rec, func(into *rows, i int, id string) error {
			ids := tokens.Row(i)
			if len(ids) == 0 {
				return fmt.Errorf("row %q has no tokens", id)
			}
			into.tokens = append(into.tokens, slices.Clone(ids))
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := r.check(); err != nil {
		return err
	}
	r.number(d)
	for _, set := range r.sets(d) {
		examples := sequences{of: set.of}
		for _, row := range set.rows.used {
			examples.tokens = append(examples.tokens, set.rows.tokens[row])
			for _, id := range set.rows.tokens[row] {
				d.Ids = max(d.Ids, int(id)+1)
			}
		}
		set.of.Examples = examples
	}
	return nil
}

// sequences are examples that are tokens, each of its own length.
type sequences struct {
	of     *Examples
	tokens [][]int32
}

// Len implements train.Examples.
func (s sequences) Len() int { return len(s.tokens) }

// lengthStep is what the lengths of batches are multiples of: a length more is another program to be compiled.
const lengthStep = 16

// Lengths implements train.Varying.
func (s sequences) Lengths(positions []int) []int {
	longest := 1
	for _, p := range positions {
		longest = max(longest, len(s.tokens[p]))
	}
	return []int{(longest + lengthStep - 1) / lengthStep * lengthStep}
}

// Read implements train.Examples.
func (s sequences) Read(positions []int, into train.Batch) error {
	for _, input := range into.Inputs {
		clear(input.Int32)
		length := len(input.Int32) / max(len(positions), 1)
		for i, p := range positions {
			copy(input.Int32[i*length:(i+1)*length], s.tokens[p])
			if into.Lengths != nil {
				into.Lengths[i] = len(s.tokens[p])
			}
		}
	}
	return s.of.ReadTargets(positions, into.Targets)
}

var _ interface {
	train.Examples
	train.Varying
} = sequences{}

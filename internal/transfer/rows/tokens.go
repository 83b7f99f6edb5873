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
	for _, key := range []string{record.TokensKey, record.VocabularyKey, record.FormatsKey} {
		if value, ok := schema.Metadata().GetValue(key); ok {
			d.Metadata[key] = value
		}
	}
	d.ctx = ctx
	if d.open.Most == 0 {
		d.open.Most = TablesOpen
	}
	for i, input := range in.Chunks() {
		c := &Chunk{Input: input, index: i, data: d}
		d.Chunks = append(d.Chunks, c)
		if err := c.listTokens(r); err != nil {
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

// listTokens reads the rows of the chunk that are in use.
func (c *Chunk) listTokens(r *reader) error {
	chunk, done, err := c.use()
	if err != nil {
		return err
	}
	defer done()
	first := 0
	for at, rec := range chunk.Records() {
		err = r.take(rec, func(into *rows, row int, id string) error {
			ids := chunk.tokens[at].Row(row)
			if len(ids) == 0 {
				return fmt.Errorf("row %q has no tokens", id)
			}
			into.tokens = append(into.tokens, slices.Clone(ids))
			into.places = append(into.places, Place{c.index, first + row})
			return nil
		})
		if err != nil {
			return err
		}
		first += int(rec.NumRows())
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
func (s sequences) Lengths(positions []int, most int) []int {
	longest := 1
	for _, p := range positions {
		longest = max(longest, s.Length(p))
	}
	padded := (longest + lengthStep - 1) / lengthStep * lengthStep
	if most > 0 && padded > most {
		padded = max(longest, most)
	}
	return []int{padded}
}

// Sequenced are examples that are sequences: of tokens, or of what a network makes of them.
type Sequenced interface {
	train.Varying
	train.Measured
}

// Sequences are the lengths of the rows, if they are texts.
func (e *Examples) Sequences() (Sequenced, bool) {
	s, ok := e.Examples.(Sequenced)
	return s, ok
}

// Length implements train.Measured.
func (s sequences) Length(position int) int { return len(s.tokens[position]) }

// Encoded tells whether the rows are texts that were cut by the tokenizer of an encoder, and not into words.
func (d *Data) Encoded() bool {
	made, err := record.ParseTokenisation(d.Metadata[record.TokensKey])
	return d.Tokens && err == nil && !made.Words()
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
	Sequenced
} = sequences{}

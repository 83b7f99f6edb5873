package textinput

import (
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
	"github.com/tlpipe/tlpipe/internal/words"
)

// Tokeniser cuts texts into tokens.
type Tokeniser struct {
	Made       record.Tokenisation
	Encoder    *tokenizer.Tokenizer // nil: words
	Vocabulary *words.Vocabulary    // of words; nil until the rows are known that decide it
}

// With is the tokeniser with a vocabulary.
func (t *Tokeniser) With(v *words.Vocabulary) *Tokeniser {
	out := *t
	out.Vocabulary = v
	return &out
}

// Cutter is a tokeniser at work, in one goroutine.
type Cutter struct {
	*Tokeniser
	encoder *tokenizer.Encoder
	ids     []int32
}

// NewCutter makes a cutter; nil of none.
func (t *Tokeniser) NewCutter() *Cutter {
	if t == nil {
		return nil
	}
	c := &Cutter{Tokeniser: t}
	if t.Encoder != nil {
		c.encoder = t.Encoder.NewEncoder()
	}
	return c
}

// Cut cuts a text. tokens is how many it has before it is truncated, with special ones, unknown how many of them are not in the
// vocabulary. Each window has the special tokens.
func (c *Cutter) Cut(text string) (ids []int32, tokens, unknown int) {
	if c.Vocabulary != nil {
		c.ids = c.Vocabulary.Append(c.ids[:0], text)
		unknown = count(c.ids, words.Unknown)
		return append([]int32{}, c.Made.Truncated(c.ids, c.Made.Length)...), len(c.ids), unknown
	}
	t := c.Encoder
	c.ids = c.encoder.AppendTokens(c.ids[:0], text)
	if id, ok := t.Unknown(); ok {
		unknown = count(c.ids, id)
	}
	own := c.Made.Length - t.Around() // of a window
	kept := c.Made.Truncated(c.ids, c.Made.MostTokens(t.Around()))
	for len(kept) > own {
		ids, kept = append(ids, t.Wrap(kept[:own])...), kept[own:]
	}
	return append(ids, t.Wrap(kept)...), len(c.ids) + t.Around(), unknown
}

// Special is how many tokens a text has of which nothing is left.
func (c *Cutter) Special() int {
	if c.Encoder == nil {
		return 0
	}
	return c.Encoder.Around()
}

func count(ids []int32, id int32) (n int) {
	for _, other := range ids {
		if other == id {
			n++
		}
	}
	return n
}

package wordvectors

import (
	"github.com/tlpipe/tlpipe/internal/tokenizer"
	"github.com/tlpipe/tlpipe/internal/words"
)

// Table is pieces of text and a vector of each.
type Table struct {
	Width  int
	Digest string // SHA-256 of what it was read from, in hexadecimal

	vocabulary *words.Vocabulary    // of words; nil: tokens
	tokenizer  *tokenizer.Tokenizer // of tokens
	values     []float32            // [pieces][Width]
}

// Len is how many vectors there are.
func (t *Table) Len() int { return len(t.values) / max(t.Width, 1) }

// Vector is that of piece i. It is not to be changed.
func (t *Table) Vector(i int) []float32 { return t.values[i*t.Width : (i+1)*t.Width] }

// Vocabulary is the words of the table, from the most frequent one on as far as the file has them so; nil for a table of tokens.
func (t *Table) Vocabulary() *words.Vocabulary { return t.vocabulary }

// Piece is the word or token of vector i.
func (t *Table) Piece(i int) string {
	if t.vocabulary != nil {
		return t.vocabulary.Word(int32(i + words.FirstWord))
	}
	return t.tokenizer.Token(int32(i))
}

// Cutter finds the vectors of texts. One goroutine uses it at a time.
type Cutter struct {
	table   *Table
	encoder *tokenizer.Encoder
	ids     []int32
}

// NewCutter makes a cutter.
func (t *Table) NewCutter() *Cutter {
	c := &Cutter{table: t}
	if t.tokenizer != nil {
		c.encoder = t.tokenizer.NewEncoder()
	}
	return c
}

// Cut returns the vectors of a text, as their places in the table, and how many of its words have none. The result is
// overwritten by the next call.
func (c *Cutter) Cut(text string) (places []int32, unknown int) {
	if c.encoder != nil {
		c.ids = c.encoder.AppendTokens(c.ids[:0], text)
	} else {
		c.ids = c.table.vocabulary.Append(c.ids[:0], text)
		for i := range c.ids {
			c.ids[i] -= words.FirstWord
		}
	}
	all := len(c.ids)
	kept := c.ids[:0]
	for _, id := range c.ids {
		if id >= 0 && int(id) < c.table.Len() {
			kept = append(kept, id)
		}
	}
	return kept, all - len(kept)
}

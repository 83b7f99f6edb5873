package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tokenizer is read by [Read]. It may be used by several goroutines.
type Tokenizer struct {
	added      *addedTokens
	normalise  normaliser   // nil: text stays as it is
	pretoken   pretokeniser // nil: what lies between added tokens is one word
	model      model
	template   template
	vocabulary map[string]int32
	tokens     map[int32]string
	size       int
}

// model cuts a word into tokens.
type model interface {
	// appendTokens appends the ids of a word, which is not empty.
	appendTokens(ids []int32, word string, scratch *scratch) []int32
}

// normaliser rewrites text.
type normaliser interface {
	normalise(text string) string
}

// pretokeniser cuts pieces of text into smaller ones.
type pretokeniser interface {
	// split appends what a piece is cut into. What is dropped, such as white space, is left out.
	split(out []piece, p piece) []piece
}

// piece is a part of the text on its way to tokens.
type piece struct {
	text  string
	first bool // nothing of the text stands before it
}

// Size is the number of rows that an embedding table needs: one more than the highest id.
func (t *Tokenizer) Size() int { return t.size }

// ID is the id of a token.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.vocabulary[token]
	return id, ok
}

// Token is the text of an id: for models of bytes or word pieces, with their marks. It is "" for ids that there are not.
func (t *Tokenizer) Token(id int32) string { return t.tokens[id] }

// Special tells whether an id is that of a special token.
func (t *Tokenizer) Special(id int32) bool { return t.added.special[id] }

// Around is the number of special tokens that Encode puts around a text.
func (t *Tokenizer) Around() int { return len(t.template.before) + len(t.template.after) }

// Unknown is the id that stands for text that the vocabulary does not have, if there is one.
func (t *Tokenizer) Unknown() (int32, bool) {
	if m, ok := t.model.(interface{ unknown() (int32, bool) }); ok {
		return m.unknown()
	}
	return 0, false
}

// Encoder is a tokenizer at work. One goroutine uses it at a time.
type Encoder struct {
	tokenizer *Tokenizer
	scratch   scratch
	pieces    [2][]piece
	known     map[string][]int32 // words that were met before
	knownSize int
}

// scratch is the memory of a model for one word.
type scratch struct {
	symbols []symbol
	queue   []candidate
	nodes   []node
	bytes   []byte
	found   []match
}

// NewEncoder makes an encoder.
func (t *Tokenizer) NewEncoder() *Encoder {
	return &Encoder{tokenizer: t, known: map[string][]int32{}}
}

// Encode returns the ids of a text, with the special tokens around it.
func (e *Encoder) Encode(text string) []int32 {
	t := e.tokenizer
	ids := append(make([]int32, 0, len(text)/3+t.Around()), t.template.before...)
	ids = e.AppendTokens(ids, text)
	return append(ids, t.template.after...)
}

// Wrap puts the special tokens around ids that AppendTokens gave, or a part of them.
func (t *Tokenizer) Wrap(ids []int32) []int32 {
	return slices.Concat(t.template.before, ids, t.template.after)
}

// AppendTokens appends the ids of a text, of which bytes that are not UTF-8 are taken for U+FFFD, without special tokens around it.
func (e *Encoder) AppendTokens(ids []int32, text string) []int32 {
	t := e.tokenizer
	if text == "" {
		return ids
	}
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	for _, raw := range t.added.split(text, false) {
		if raw.id >= 0 {
			ids = append(ids, raw.id)
			continue
		}
		normal := raw.text
		if t.normalise != nil {
			normal = t.normalise.normalise(normal)
		}
		for i, part := range t.added.split(normal, true) {
			if part.id >= 0 {
				ids = append(ids, part.id)
				continue
			}
			ids = e.appendWords(ids, piece{part.text, raw.first && i == 0})
		}
	}
	return ids
}

// appendWords cuts what lies between added tokens into words, and those into tokens.
func (e *Encoder) appendWords(ids []int32, p piece) []int32 {
	if p.text == "" {
		return ids
	}
	words := append(e.pieces[0][:0], p)
	if e.tokenizer.pretoken != nil {
		words = e.tokenizer.pretoken.split(words[:0], p)
	}
	e.pieces[0] = words
	for _, w := range words {
		ids = e.appendWord(ids, w.text)
	}
	return ids
}

// The cache of words is emptied when it holds more than so many bytes; longer words than maxKnownWord are not kept.
const (
	maxKnown     = 16 << 20
	maxKnownWord = 64
)

func (e *Encoder) appendWord(ids []int32, word string) []int32 {
	if word == "" {
		return ids
	}
	if len(word) > maxKnownWord {
		return e.tokenizer.model.appendTokens(ids, word, &e.scratch)
	}
	known, ok := e.known[word]
	if !ok {
		start := len(ids)
		ids = e.tokenizer.model.appendTokens(ids, word, &e.scratch)
		if e.knownSize += len(word) + 4*(len(ids)-start) + 64; e.knownSize > maxKnown {
			clear(e.known)
			e.knownSize = 0
		}
		e.known[string([]byte(word))] = slices.Clone(ids[start:])
		return ids
	}
	return append(ids, known...)
}

// build puts the parts together, and finds what does not fit.
func (t *Tokenizer) build(vocabulary map[string]int32, added []addedToken) error {
	t.vocabulary, t.tokens = vocabulary, make(map[int32]string, len(vocabulary)+len(added))
	for token, id := range vocabulary {
		if id < 0 || id > maxID {
			return fmt.Errorf("token %q has the id %d: expected 0 to %d", token, id, maxID)
		}
		if other, twice := t.tokens[id]; twice {
			return fmt.Errorf("tokens %q and %q have the id %d", min(token, other), max(token, other), id)
		}
		t.tokens[id] = token
		t.size = max(t.size, int(id)+1)
	}
	for _, a := range added {
		if a.id < 0 || a.id > maxID {
			return fmt.Errorf("added token %q has the id %d: expected 0 to %d", a.content, a.id, maxID)
		}
		t.vocabulary[a.content] = a.id
		t.tokens[a.id] = a.content
		t.size = max(t.size, int(a.id)+1)
	}
	t.added = newAddedTokens(added, t.normalise)
	return nil
}

// maxID is the highest id: embedding tables have fewer rows.
const maxID = 1 << 24

package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// inTurn is a list of pre-tokenisers: each cuts what the one before left.
type inTurn []pretokeniser

func (p inTurn) split(out []piece, whole piece) []piece {
	pieces, next := []piece{whole}, []piece(nil)
	for _, one := range p {
		next = next[:0]
		for _, x := range pieces {
			next = one.split(next, x)
		}
		pieces, next = next, pieces
	}
	return append(out, pieces...)
}

// bertSplit cuts at white space, which it drops, and makes each punctuation mark a word.
type bertSplit struct{}

func (bertSplit) split(out []piece, p piece) []piece {
	start := 0
	cut := func(end int) {
		if end > start {
			out = append(out, piece{p.text[start:end], p.first && start == 0})
		}
	}
	for i, r := range p.text {
		switch {
		case isSpace(r):
			cut(i)
			start = i + utf8.RuneLen(r)
		case isPunctuation(r):
			cut(i)
			start = i
			cut(i + utf8.RuneLen(r))
			start = i + utf8.RuneLen(r)
		}
	}
	cut(len(p.text))
	return out
}

// behaviour says what becomes of what a pre-tokeniser cuts at.
type behaviour string

const (
	removed        behaviour = "removed"
	isolated       behaviour = "isolated"
	mergedPrevious behaviour = "mergedwithprevious"
	mergedNext     behaviour = "mergedwithnext"
	contiguous     behaviour = "contiguous"
)

func (b behaviour) known() bool {
	switch b {
	case removed, isolated, mergedPrevious, mergedNext, contiguous:
		return true
	}
	return false
}

// span is a part of a piece: what is cut at, or what lies between.
type span struct {
	start, end int
	delimiter  bool
}

// apply makes pieces of spans, which follow each other without gaps.
func (b behaviour) apply(out []piece, p piece, spans []span) []piece {
	add := func(start, end int) {
		if end > start {
			out = append(out, piece{p.text[start:end], p.first && start == 0})
		}
	}
	switch b {
	case removed:
		for _, s := range spans {
			if !s.delimiter {
				add(s.start, s.end)
			}
		}
	case isolated:
		for _, s := range spans {
			add(s.start, s.end)
		}
	case contiguous:
		for i := 0; i < len(spans); {
			j := i + 1
			for j < len(spans) && spans[j].delimiter == spans[i].delimiter {
				j++
			}
			add(spans[i].start, spans[j-1].end)
			i = j
		}
	case mergedPrevious:
		for i := 0; i < len(spans); {
			end, next := spans[i].end, i+1
			if !spans[i].delimiter && next < len(spans) && spans[next].delimiter {
				end, next = spans[next].end, next+1
			}
			add(spans[i].start, end)
			i = next
		}
	case mergedNext:
		for i := 0; i < len(spans); {
			end, next := spans[i].end, i+1
			if spans[i].delimiter && next < len(spans) && !spans[next].delimiter {
				end, next = spans[next].end, next+1
			}
			add(spans[i].start, end)
			i = next
		}
	}
	return out
}

// charSplit cuts at characters of a class.
type charSplit struct {
	at        func(rune) bool
	behaviour behaviour
}

func (c charSplit) split(out []piece, p piece) []piece {
	var spans []span
	start := 0
	for i, r := range p.text {
		if !c.at(r) {
			continue
		}
		if i > start {
			spans = append(spans, span{start, i, false})
		}
		start = i + utf8.RuneLen(r)
		spans = append(spans, span{i, start, true})
	}
	if start < len(p.text) {
		spans = append(spans, span{start, len(p.text), false})
	}
	return c.behaviour.apply(out, p, spans)
}

// wordSplit takes words, and runs of what is neither word nor white space.
type wordSplit struct{}

func (wordSplit) split(out []piece, p piece) []piece {
	class := func(r rune) int {
		switch {
		case isWord(r):
			return 1
		case isSpace(r):
			return 0
		}
		return 2
	}
	start, now := 0, 0
	for i, r := range p.text {
		if c := class(r); c != now {
			if now != 0 {
				out = append(out, piece{p.text[start:i], p.first && start == 0})
			}
			start, now = i, c
		}
	}
	if now != 0 {
		out = append(out, piece{p.text[start:], p.first && start == 0})
	}
	return out
}

// byteLevel writes text as the letters of its bytes, cut before by GPT-2's expression or not at all.
type byteLevel struct {
	space bool // puts one before a piece that does not begin with one
	words bool // cuts
}

func (b byteLevel) split(out []piece, p piece) []piece {
	text := p.text
	if b.space && !strings.HasPrefix(text, " ") {
		text = " " + text
	}
	if !b.words {
		return append(out, piece{toLetters(text), p.first})
	}
	for at := 0; at < len(text); {
		end := at + gpt2Word(text[at:])
		out = append(out, piece{toLetters(text[at:end]), p.first && at == 0})
		at = end
	}
	return out
}

// gpt2Word is the length of the first match of GPT-2's expression, which matches everywhere:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func gpt2Word(text string) int {
	if text[0] == '\'' {
		for _, short := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
			if strings.HasPrefix(text, short) {
				return len(short)
			}
		}
	}
	start := 0
	if text[0] == ' ' {
		start = 1
	}
	r, n := utf8.DecodeRuneInString(text[start:])
	if n > 0 && !isSpace(r) {
		class := classOf(r)
		end := start + n
		for end < len(text) {
			r, n := utf8.DecodeRuneInString(text[end:])
			if isSpace(r) || classOf(r) != class {
				break
			}
			end += n
		}
		return end
	}
	// White space: all of it, but for the last if something follows.
	end, last := 0, 0
	for end < len(text) {
		r, n := utf8.DecodeRuneInString(text[end:])
		if !isSpace(r) {
			if last > 0 {
				return last
			}
			return end
		}
		last = end
		end += n
	}
	return end
}

func classOf(r rune) int {
	switch {
	case r < 0x80 && ('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'), r >= 0x80 && unicode.IsLetter(r):
		return 1
	case unicode.IsNumber(r):
		return 2
	}
	return 3
}

// metaspace writes spaces as a mark, and cuts before it.
type metaspace struct {
	mark   string
	scheme string // when it is put before a piece that does not begin with it: always, first or never
	cut    bool
}

func (m metaspace) split(out []piece, p piece) []piece {
	text := strings.ReplaceAll(p.text, " ", m.mark)
	if (m.scheme == "always" || m.scheme == "first" && p.first) && !strings.HasPrefix(text, m.mark) {
		text = m.mark + text
	}
	if !m.cut {
		return append(out, piece{text, p.first})
	}
	for start := 0; start < len(text); {
		end := len(text)
		from := start
		if strings.HasPrefix(text[start:], m.mark) {
			from += len(m.mark)
		}
		if next := strings.Index(text[from:], m.mark); next >= 0 {
			end = from + next
		}
		out = append(out, piece{text[start:end], p.first && start == 0})
		start = end
	}
	return out
}

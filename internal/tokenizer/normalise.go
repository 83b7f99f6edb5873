package tokenizer

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// bertNormaliser is that of BERT.
type bertNormaliser struct {
	clean      bool // drops controls; white space becomes a space
	ideographs bool // puts spaces around each
	accents    bool // drops them
	lower      bool
}

func (n bertNormaliser) normalise(text string) string {
	if n.plain(text) {
		return text
	}
	var out strings.Builder
	out.Grow(len(text) + len(text)/8)
	for _, r := range text {
		if n.clean {
			if r == 0 || isControl(r) {
				continue
			}
			if isSpace(r) {
				r = ' '
			}
		}
		if n.ideographs && isIdeograph(r) {
			out.WriteByte(' ')
			out.WriteRune(r)
			out.WriteByte(' ')
			continue
		}
		out.WriteRune(r)
	}
	text = out.String()
	if n.accents {
		text = withoutAccents(norm.NFD.String(text))
	}
	if n.lower {
		text = lower(text)
	}
	return text
}

// plain tells whether a text stays as it is.
func (n bertNormaliser) plain(text string) bool {
	for i := range len(text) {
		c := text[i]
		if c >= 0x80 || n.clean && (c < ' ' || c == 0x7f) || n.lower && 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// withoutAccents drops the marks that take no room of their own.
func withoutAccents(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x300 && unicode.Is(accents8, r) {
			return -1
		}
		return r
	}, text)
}

// lower makes capital letters small, character by character.
func lower(text string) string {
	small := true
	for i := 0; i < len(text) && small; i++ {
		small = text[i] < 0x80 && (text[i] < 'A' || text[i] > 'Z')
	}
	if small {
		return text
	}
	var out strings.Builder
	out.Grow(len(text))
	for _, r := range text {
		if r == 'İ' { // the one character whose small form is two
			out.WriteString("i̇")
			continue
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// each is a list of normalisers, one after the other.
type each []normaliser

func (n each) normalise(text string) string {
	for _, one := range n {
		text = one.normalise(text)
	}
	return text
}

// form is a Unicode normal form.
type form norm.Form

func (f form) normalise(text string) string { return norm.Form(f).String(text) }

// textFunc is a normaliser that is a function.
type textFunc func(string) string

func (f textFunc) normalise(text string) string { return f(text) }

// strip takes white space away at the ends.
type strip struct{ left, right bool }

func (s strip) normalise(text string) string {
	if s.left {
		text = strings.TrimLeftFunc(text, isSpace)
	}
	if s.right {
		text = strings.TrimRightFunc(text, isSpace)
	}
	return text
}

// replace puts one text in the place of another.
type replace struct {
	old     string
	pattern *regexp.Regexp // or nil
	new     string
}

func (r replace) normalise(text string) string {
	if r.pattern != nil {
		return r.pattern.ReplaceAllLiteralString(text, r.new)
	}
	return strings.ReplaceAll(text, r.old, r.new)
}

// prepend puts a text before others, unless they are empty.
type prepend string

func (p prepend) normalise(text string) string {
	if text == "" {
		return text
	}
	return string(p) + text
}

// withoutMarks drops all marks, also those that take room of their own.
func withoutMarks(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x300 && unicode.IsMark(r) {
			return -1
		}
		return r
	}, text)
}

// nmt is SentencePiece's rule for translation: some controls are dropped, and white space and what looks like it becomes a space.
func nmt(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 0x1 <= r && r <= 0x8, r == 0xb, 0xe <= r && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
			return -1
		case r == 0x9, r == 0xa, r == 0xc, r == 0xd, r == 0x1680, 0x200b <= r && r <= 0x200f, r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
			return ' '
		}
		return r
	}, text)
}

// byteLetters are the characters that stand for the 256 bytes in vocabularies of bytes: those of Latin-1 that are seen stand for
// themselves, the others for characters from U+0100 on (Radford et al., GPT-2, 2019).
var byteLetters = func() (letters [256]string) {
	next := rune(0x100)
	for c := range rune(256) {
		letter := c
		if !('!' <= c && c <= '~' || '¡' <= c && c <= '¬' || '®' <= c && c <= 'ÿ') {
			letter = next
			next++
		}
		letters[c] = string(letter)
	}
	return letters
}()

// toLetters writes a text's bytes as their letters.
func toLetters(text string) string {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = '!' <= text[i] && text[i] <= '~'
	}
	if plain {
		return text
	}
	var out strings.Builder
	out.Grow(2 * len(text))
	for i := range len(text) {
		out.WriteString(byteLetters[text[i]])
	}
	return out.String()
}

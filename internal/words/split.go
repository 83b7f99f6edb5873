package words

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// longest bounds a word, in bytes: what is longer is no word of a language, and is cut off.
const longest = 256

// In yields the words of a text, one after the other.
func In(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		text := strings.ReplaceAll(strings.ToLower(norm.NFC.String(text)), "’", "'")
		for len(text) > 0 {
			r, size := utf8.DecodeRuneInString(text)
			if !isWord(r) {
				text = text[size:]
				continue
			}
			end := wordEnd(text)
			if !contraction(text[:end], yield) {
				return
			}
			text = text[end:]
		}
	}
}

// wordEnd is where the word ends that text begins with.
func wordEnd(text string) int {
	var before rune
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		next, _ := utf8.DecodeRuneInString(text[at+size:])
		switch {
		case unicode.Is(unicode.Han, r):
			if at == 0 {
				return size
			}
			return at
		case isWord(r):
		case r == '\'' && unicode.IsLetter(before) && unicode.IsLetter(next):
		case (r == '.' || r == ',') && unicode.IsDigit(before) && unicode.IsDigit(next):
		default:
			return at
		}
		before = r
		at += size
	}
	return len(text)
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// contraction yields a word, or the parts of one with apostrophes.
func contraction(word string, yield func(string) bool) bool {
	for {
		at := strings.IndexByte(word, '\'')
		if at < 0 {
			return yield(cut(word))
		}
		if strings.HasSuffix(word[:at], "n") && strings.HasPrefix(word[at:], "'t") && len(word) == at+2 {
			return (at == 1 || yield(cut(word[:at-1]))) && yield("n't")
		}
		if at > 0 && !yield(cut(word[:at])) {
			return false
		}
		rest := strings.IndexByte(word[at+1:], '\'')
		if rest < 0 {
			return yield(cut(word[at:]))
		}
		if !yield(cut(word[at : at+1+rest])) {
			return false
		}
		word = word[at+1+rest:]
	}
}

// cut shortens what is longer than any word, between characters.
func cut(word string) string {
	if len(word) <= longest {
		return word
	}
	end := longest
	for !utf8.RuneStart(word[end]) {
		end--
	}
	return word[:end]
}

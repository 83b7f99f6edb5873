package tokenizer

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pattern is a regular expression of a tokenizer. They are written for engines that go back; this one does not, so that no
// text takes long. Of what only those know, it has the one thing that tokenizers use: \s+(?!\S), white space but for the
// last if something follows.
type pattern struct {
	expression *regexp.Regexp
	trailing   int // the group that is \s+(?!\S)|\s+; 0 if there is none
}

// maxPattern bounds the length of an expression.
const maxPattern = 4096

func compile(text string) (*pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the regular expression has %d bytes: at most %d", len(text), maxPattern)
	}
	translated, err := translate(strings.ReplaceAll(text, `\s+(?!\S)|\s+`, `(?P<trailing>\s+)`))
	if err != nil {
		return nil, fmt.Errorf("the regular expression %q: %w", text, err)
	}
	e, err := regexp.Compile(translated)
	if err != nil {
		return nil, fmt.Errorf("the regular expression %q is none that tlpipe knows: %w", text, err)
	}
	p := &pattern{expression: e}
	if i := e.SubexpIndex("trailing"); i > 0 {
		p.trailing = i
	}
	return p, nil
}

// translate writes the classes \s, \w and \d, which Go has for ASCII alone, for all of Unicode.
func translate(text string) (string, error) {
	const (
		space = `\x09-\x0d\x{85}\p{Z}`
		word  = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200c}\x{200d}`
		digit = `\p{Nd}`
	)
	var out strings.Builder
	class := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			set, negated := "", false
			switch text[i] {
			case 's', 'S':
				set, negated = space, text[i] == 'S'
			case 'w', 'W':
				set, negated = word, text[i] == 'W'
			case 'd', 'D':
				set, negated = digit, text[i] == 'D'
			default:
				out.WriteByte('\\')
				out.WriteByte(text[i])
				continue
			}
			switch {
			case class && negated:
				return "", fmt.Errorf(`\%c inside of a class is not supported`, text[i])
			case class:
				out.WriteString(set)
			case negated:
				out.WriteString("[^" + set + "]")
			default:
				out.WriteString("[" + set + "]")
			}
		case c == '[' && !class:
			class = true
			out.WriteByte(c)
			if strings.HasPrefix(text[i+1:], "^") {
				out.WriteByte('^')
				i++
			}
			if strings.HasPrefix(text[i+1:], "]") {
				out.WriteString(`\]`)
				i++
			}
		case c == '[':
			out.WriteString(`\[`)
		case c == ']':
			class = false
			out.WriteByte(c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), nil
}

// next finds the first match from a place on.
func (p *pattern) next(text string, from int) (start, end int, ok bool) {
	m := p.expression.FindStringSubmatchIndex(text[from:])
	if m == nil {
		return 0, 0, false
	}
	start, end = from+m[0], from+m[1]
	if p.trailing > 0 && m[2*p.trailing] >= 0 && end < len(text) {
		_, n := utf8.DecodeLastRuneInString(text[start:end])
		if end-n > start {
			end -= n
		}
	}
	return start, end, true
}

// patternSplit cuts at matches of an expression or, inverted, takes those as what lies between.
type patternSplit struct {
	pattern   *pattern
	behaviour behaviour
	invert    bool
}

func (s patternSplit) split(out []piece, p piece) []piece {
	var spans []span
	done := 0
	for at := 0; at < len(p.text); {
		start, end, ok := s.pattern.next(p.text, at)
		if !ok {
			break
		}
		if end == start { // an empty match cuts nothing
			_, n := utf8.DecodeRuneInString(p.text[at:])
			at = max(start, at) + n
			continue
		}
		if start > done {
			spans = append(spans, span{done, start, s.invert})
		}
		spans = append(spans, span{start, end, !s.invert})
		done, at = end, end
	}
	if done < len(p.text) {
		spans = append(spans, span{done, len(p.text), s.invert})
	}
	return s.behaviour.apply(out, p, spans)
}

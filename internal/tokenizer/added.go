package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// addedToken is a token that is found in the text as it stands.
type addedToken struct {
	content    string
	id         int32
	special    bool
	singleWord bool // not inside of a longer word
	left       bool // takes the white space before it
	right      bool // takes the white space behind it
	normalised bool // found in the normalised text
}

// addedTokens finds them.
type addedTokens struct {
	raw, normalised finder
	special         map[int32]bool
}

// part is a part of a text: an added token, or what lies between two.
type part struct {
	text  string
	id    int32 // -1 for text
	first bool
}

func newAddedTokens(all []addedToken, n normaliser) *addedTokens {
	a := &addedTokens{special: map[int32]bool{}}
	for _, token := range all {
		if token.special {
			a.special[token.id] = true
		}
		if token.content == "" {
			continue
		}
		if !token.normalised {
			a.raw.add(token.content, token)
			continue
		}
		content := token.content
		if n != nil {
			content = n.normalise(content)
		}
		if content != "" {
			a.normalised.add(content, token)
		}
	}
	a.raw.sort()
	a.normalised.sort()
	return a
}

// split cuts a text at those tokens that are looked for in it before, or after, it is normalised.
func (a *addedTokens) split(text string, normalised bool) []part {
	f := &a.raw
	if normalised {
		f = &a.normalised
	}
	return f.split(text)
}

// finder finds several strings, the longest first where they begin at one place.
type finder struct {
	byFirst [256][]target // the longest first
	any     bool
}

type target struct {
	content string
	token   addedToken
}

func (f *finder) add(content string, token addedToken) {
	at := &f.byFirst[content[0]]
	for i := range *at {
		if (*at)[i].content == content { // the one that was added last counts
			(*at)[i].token = token
			return
		}
	}
	*at = append(*at, target{content, token})
	f.any = true
}

func (f *finder) sort() {
	for i := range f.byFirst {
		slices.SortStableFunc(f.byFirst[i], func(a, b target) int { return len(b.content) - len(a.content) })
	}
}

func (f *finder) split(text string) []part {
	if !f.any {
		return []part{{text, -1, true}}
	}
	var out []part
	done := 0
	for at := 0; at < len(text); {
		found := f.at(text, at)
		if found == nil {
			at++
			continue
		}
		start, end := at, at+len(found.content)
		at = end
		t := found.token
		if t.singleWord && (endsInWord(text[:start]) || beginsWithWord(text[end:])) {
			continue
		}
		if t.left {
			start = max(len(strings.TrimRightFunc(text[:start], isSpace)), done)
		}
		if t.right {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], isSpace))
		}
		if start > done {
			out = append(out, part{text[done:start], -1, done == 0})
		}
		out = append(out, part{text[start:end], t.id, start == 0})
		done = end
		at = max(at, end)
	}
	if done < len(text) || len(out) == 0 {
		out = append(out, part{text[done:], -1, done == 0})
	}
	return out
}

// at is the longest of the strings that begins at a place, or nil.
func (f *finder) at(text string, at int) *target {
	list := f.byFirst[text[at]]
	for i := range list {
		if strings.HasPrefix(text[at:], list[i].content) {
			return &list[i]
		}
	}
	return nil
}

func endsInWord(text string) bool {
	r, n := utf8.DecodeLastRuneInString(text)
	return n > 0 && isWord(r)
}

func beginsWithWord(text string) bool {
	r, n := utf8.DecodeRuneInString(text)
	return n > 0 && isWord(r)
}

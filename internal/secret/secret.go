// Package secret keeps what must not be shown out of what people and files are
// shown.
//
// An address may carry a user and a password before its host, and a signature
// or a token in its query or fragment: it is shown without them, wherever it
// is shown. A value, such as a token from the environment, is shown as the
// name that it has in the pipeline.
package secret

import (
	"regexp"
	"slices"
	"strings"
)

// hidden stands for what is left out.
const hidden = "…"

// digestMark begins the one kind of fragment that is not secret: the digest
// of what is at the address.
const digestMark = "#sha256="

// address is a scheme with all that may belong to an address; where it ends,
// in a text, is a guess. A user or password with spaces is within it if a @
// follows on the line.
var address = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://(?:[^\n/?#@"'<>:]*:[^\s/?#@"'<>0-9][^\n@"'<>]*@)?[^\s"'<>` + "`" + `]*`)

// quoted is an address with a user that stands in quotation marks, and ends with them.
var quoted = regexp.MustCompile(`"[A-Za-z][A-Za-z0-9+.-]*://[^"\n]*@[^"\n]*"|'[A-Za-z][A-Za-z0-9+.-]*://[^'\n]*@[^'\n]*'`)

// misspelled is what follows the scheme of an address that is none: user and password after one slash, as in a path that was made of
// an address, or after two without a scheme.
var misspelled = regexp.MustCompile(`/{1,2}[^\s/?#@"'<>:]+:[^\s/?#@"'<>]+@[^\s"'<>` + "`" + `]*`)

// Address returns an address as it may be shown: without user and password,
// and with … for its query.
func Address(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndex(rest[:end], "@"); at >= 0 {
		rest = rest[at+1:]
	} else if _, port, ok := strings.Cut(rest[:end], ":"); ok && !isPort(port) && !strings.HasPrefix(rest, "[") {
		// A password with a slash or the like: what looks like a port is a part of it.
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = rest[at+1:]
		} else {
			rest = hidden
		}
	}
	before, fragment, _ := strings.Cut(rest, "#")
	before, query, _ := strings.Cut(before, "?")
	out := scheme + "://" + before
	if query != "" {
		out += "?" + hidden
	}
	if strings.HasPrefix("#"+fragment, digestMark) {
		out += "#" + fragment
	} else if fragment != "" {
		out += "#" + hidden
	}
	return out
}

func isPort(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// Text returns a text in which every address is as [Address] shows it.
func Text(text string) string {
	if strings.Contains(text, "://") {
		text = quoted.ReplaceAllStringFunc(text, func(found string) string {
			return found[:1] + Address(found[1:len(found)-1]) + found[len(found)-1:]
		})
		text = address.ReplaceAllStringFunc(text, func(found string) string {
			url := strings.TrimRight(found, punctuation(found))
			return Address(url) + found[len(url):]
		})
	}
	if !strings.Contains(text, "@") {
		return text
	}
	return misspelled.ReplaceAllStringFunc(text, func(found string) string {
		url := strings.TrimRight(found, punctuation(found))
		slashes := url[:len(url)-len(strings.TrimLeft(url, "/"))]
		rest := url[strings.LastIndex(url, "@")+1:]
		if end := strings.IndexAny(rest, "?#"); end >= 0 {
			rest = rest[:end] + "?" + hidden
		}
		return slashes + rest + found[len(url):]
	})
}

// punctuation are the characters that end a text around an address, and not
// the address: brackets only if they were opened before it.
func punctuation(found string) string {
	out := ",;:."
	for _, pair := range []string{"()", "[]", "{}"} {
		if !strings.Contains(found, pair[:1]) {
			out += pair[1:]
		}
	}
	return out
}

// Values are texts that are shown by a name. The zero value has none.
type Values struct {
	pairs []string // a value, its name, and so on; longer values first
}

// shortest is the length in bytes from which a value is looked for: a shorter
// one stands in many texts that have nothing to do with it.
const shortest = 4

// Add has a value shown as name.
func (v *Values) Add(value, name string) {
	if len(value) < shortest || slices.Contains(v.pairs, value) {
		return
	}
	at := 0
	for at < len(v.pairs) && len(v.pairs[at]) >= len(value) {
		at += 2
	}
	v.pairs = slices.Insert(v.pairs, at, value, name)
}

// Hide returns a text without the values, and with addresses as Text shows
// them.
func (v *Values) Hide(text string) string {
	if len(v.pairs) > 0 {
		text = strings.NewReplacer(v.pairs...).Replace(text)
	}
	return Text(text)
}

// Error returns an error that tells what err does, without the values.
// Errors within it are found as before, and must not be shown by themselves.
func (v *Values) Error(err error) error {
	if err == nil {
		return nil
	}
	told := err.Error()
	if shown := v.Hide(told); shown != told {
		return &shownError{shown, err}
	}
	return err
}

// Error is Values.Error without values: it hides what is secret in addresses.
func Error(err error) error { return new(Values).Error(err) }

type shownError struct {
	text string
	err  error
}

func (e *shownError) Error() string { return e.text }
func (e *shownError) Unwrap() error { return e.err }

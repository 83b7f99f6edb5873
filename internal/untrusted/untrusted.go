package untrusted

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// isMark tells whether a character does something instead of being seen.
func isMark(r rune) bool {
	switch {
	case r < ' ', r >= 0x7F && r < 0xA0: // C0, DEL, C1
		return true
	case r == 0x061C, r == 0x200E, r == 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069: // UAX #9, 2
		return true
	case r == 0x2028, r == 0x2029: // separators of lines and paragraphs
		return true
	}
	return false
}

// Text makes text safe. Line breaks and tabs stay; bytes that are no UTF-8 become U+FFFD, too.
func Text(text string) string {
	return strings.Map(func(r rune) rune {
		if isMark(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, text)
}

// Line makes text safe for one line: line breaks and tabs become spaces.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return ' '
		case isMark(r):
			return utf8.RuneError
		}
		return r
	}, text)
}

// Cut returns the first n characters of a text, with … for what is left out. Measuring or drawing text costs more than
// cutting it.
func Cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	count := 0
	for at := range text {
		if count == n {
			return text[:at] + "…"
		}
		count++
	}
	return text
}

// NewWriter returns a writer that makes safe what goes through it. A carriage return before a line break is left out.
func NewWriter(w io.Writer) io.Writer {
	return &writer{out: w, change: func(out *strings.Builder, r rune) {
		switch {
		case r == '\r':
		case isMark(r) && r != '\n' && r != '\t':
			out.WriteRune(utf8.RuneError)
		default:
			out.WriteRune(r)
		}
	}}
}

// NewJSONWriter returns a writer for JSON as package encoding/json writes it: marks, which it leaves in strings as they
// are, are written as \uXXXX.
func NewJSONWriter(w io.Writer) io.Writer {
	return &writer{out: w, change: func(out *strings.Builder, r rune) {
		if isMark(r) && r != '\n' && r != '\t' && r != '\r' {
			fmt.Fprintf(out, `\u%04x`, r)
			return
		}
		out.WriteRune(r)
	}}
}

// writer changes characters on their way.
type writer struct {
	out    io.Writer
	change func(out *strings.Builder, r rune)
	begun  []byte // of a character whose end has not been written yet
}

// Write implements io.Writer. It tells of all bytes as written, or of none.
func (w *writer) Write(b []byte) (int, error) {
	if plain(b) && len(w.begun) == 0 {
		if _, err := w.out.Write(b); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	data := append(w.begun, b...)
	w.begun = nil
	var out strings.Builder
	out.Grow(len(data))
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 && !utf8.FullRune(data) {
			w.begun = append([]byte(nil), data...)
			break
		}
		w.change(&out, r)
		data = data[size:]
	}
	if _, err := io.WriteString(w.out, out.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// plain tells whether bytes are printable ASCII and line breaks, which nearly all are.
func plain(b []byte) bool {
	for _, c := range b {
		if c != '\n' && c != '\t' && (c < ' ' || c >= 0x7F) {
			return false
		}
	}
	return true
}

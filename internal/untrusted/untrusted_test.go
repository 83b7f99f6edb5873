package untrusted_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/untrusted"
)

const marks = "\x00\x07\x08\x1b\x7f\u0080\u009b\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"plain\n\ttext":      "plain\n\ttext",
		"\x1b]0;pwned\x07<":  "\uFFFD]0;pwned\uFFFD<",
		"a\u202eb":           "a\uFFFDb",
		"\x9b31m":            "\uFFFD31m", // C1 in one byte
		"שלום, مرحبا, 猫 👩‍🔬": "שלום, مرحبا, 猫 👩‍🔬",
		marks:                strings.Repeat("\uFFFD", utf8.RuneCountInString(marks)),
	} {
		if got := untrusted.Text(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got, want := untrusted.Line(text), strings.NewReplacer("\n", " ", "\t", " ").Replace(want); got != want {
			t.Errorf("%q in a line: %q, want %q", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"äöü", 3, "äöü"}, {"äöüß", 3, "äöü…"}, {"", 0, ""}} {
		if got := untrusted.Cut(c.text, c.n); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// However text is cut into writes, what comes out is the safe text, and JSON reads as it was.
func TestWriters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune(marks)))).Filter(utf8.ValidString)).Draw(t, "text"), "")
		var out, packed bytes.Buffer
		w := untrusted.NewWriter(&out)
		for rest := []byte(text); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "write")
			if m, err := w.Write(rest[:n]); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		if want := untrusted.Text(strings.ReplaceAll(text, "\r", "")); out.String() != want {
			t.Fatalf("%q, want %q", out.String(), want)
		}
		if err := json.NewEncoder(untrusted.NewJSONWriter(&packed)).Encode(map[string]string{"a": text}); err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := json.Unmarshal(packed.Bytes(), &back); err != nil || back["a"] != text {
			t.Fatalf("%q, %v, want %q", back, err, text)
		}
		if strings.ContainsAny(packed.String(), marks) {
			t.Fatalf("marks in %q", packed.String())
		}
	})
}

package secret_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/secret"
)

func TestAddress(t *testing.T) {
	for url, want := range map[string]string{
		"https://example.org/a.pth":                          "https://example.org/a.pth",
		"https://example.org:8080/a@b/c":                     "https://example.org:8080/a@b/c",
		"https://[::1]:80/a":                                 "https://[::1]:80/a",
		"https://me:SECRET@example.org/a?sig=SECRET":         "https://example.org/a?…",
		"https://SECRET@example.org":                         "https://example.org",
		"https://me:SECRET/SECRET@example.org/a":             "https://example.org/a",
		"https://me:SECRET?SECRET@example.org/a":             "https://example.org/a",
		"https://me:SECRET#SECRET@example.org/a":             "https://example.org/a",
		"https://me:SECRET SECRET@example.org/a":             "https://example.org/a",
		"https://a:SECRET@b:SECRET@example.org/a":            "https://example.org/a",
		"https://me:SECRET":                                  "https://…",
		"https://example.org/a?SECRET#sha256=0123":           "https://example.org/a?…#sha256=0123",
		"https://example.org/a#access_token=SECRET":          "https://example.org/a#…",
		"http://h/a?X-Amz-Signature=SECRET&b=SECRET/SECRET?": "http://h/a?…",
		"models/a.pth?x":                                     "models/a.pth?x",
	} {
		if got := secret.Address(url); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
}

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		`fetch https://h/a?t=SECRET: the server answers 403`:                  `fetch https://h/a?…: the server answers 403`,
		`with: {url: http://u:SECRET@h/a?t=SECRET, size: 8}`:                  `with: {url: http://h/a?…, size: 8}`,
		`http://us er:SECRET@h/a`:                                             `http://h/a`,
		`url: "http://us er:SECRET 1 SECRET@h/a?b", sha256: 1`:                `url: "http://h/a?…", sha256: 1`,
		`url: 'http://u:1234 SECRET@h/a' # 'x@y'`:                             `url: 'http://h/a' # 'x@y'`,
		`http://h:8080 refuses; ask: a@b`:                                     `http://h:8080 refuses; ask: a@b`,
		`"http://u:SECRET SECRET@h/a" and a@b`:                                `"http://h/a" and a@b`,
		`Get "http://h/?SECRET": redirect to 'ftp://u:SECRET@h/b?SECRET'. No`: `Get "http://h/?…": redirect to 'ftp://h/b?…'. No`,
		`weights: http://h:80/w.pth#sha256=01 # from me@example.org`:          `weights: http://h:80/w.pth#sha256=01 # from me@example.org`,
		"line 1: http://h/a\nline 2: me@h":                                    "line 1: http://h/a\nline 2: me@h",
		`nothing :// here`:                                                    `nothing :// here`,
		`{"url":"http://h/a?SECRET","x":"y"}`:                                 `{"url":"http://h/a?…","x":"y"}`,
		`docs at https://example.org/page (see http://h/b?SECRET).`:           `docs at https://example.org/page (see http://h/b?…).`,
		`https://one/a?SECRET https://two/b?SECRET`:                           `https://one/a?… https://two/b?…`,
	} {
		if got := secret.Text(text); got != want {
			t.Errorf("%s:\n%s, want\n%s", text, got, want)
		}
	}
}

// Whatever an address is made of, nothing of its secrets is shown, and
// showing it twice changes nothing.
func TestNoSecretIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		junk := rapid.StringOfN(rapid.SampledFrom([]rune("ab:/?#[]&=%+.,;é")), 0, 6, -1)
		url := "https://u" + rapid.StringMatching(`[a-z&=%+.,;é]{0,4}`).Draw(t, "user") + ":x" + junk.Draw(t, "password") + "SECRET@host/path?" +
			strings.ReplaceAll(junk.Draw(t, "query"), "#", "") + "SECRET"
		for _, shown := range []string{secret.Address(url), secret.Text("before " + url + " after")} {
			if strings.Contains(shown, "SECRET") || secret.Text(shown) != shown {
				t.Fatalf("%s is shown as %s", url, shown)
			}
		}
	})
}

func TestValues(t *testing.T) {
	var v secret.Values
	v.Add("token", "$(env:SHORT)")
	v.Add("token of length", "$(env:LONG)")
	v.Add("1", "$(env:ONE)")
	if got, want := v.Hide("1 token, a token of length, http://h/?x=token"), "1 $(env:SHORT), a $(env:LONG), http://h/?…"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	err := v.Error(fmt.Errorf("open token: %w", fs.ErrNotExist))
	if err.Error() != "open $(env:SHORT): file does not exist" || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if plain := errors.New("plain"); v.Error(plain) != plain || v.Error(nil) != nil {
		t.Error("an error without secrets is another one")
	}
}

// A slip in an address does not show what it hides.
func TestMisspelledAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"read /tmp/s/HTTP:/user:PASSWORD@127.0.0.1:8765/a?x=TOKEN: no such file": "read /tmp/s/HTTP:/127.0.0.1:8765/a?…",
		"weights: //user:PASSWORD@h/a?x=TOKEN":                                   "weights: //h/a?…",
		"htps://user:PASSWORD@h/a?x=TOKEN":                                       "htps://h/a?…",
		"HTTP://user:PASSWORD@h/a":                                               "HTTP://h/a",
		"at 10:30 write to a@b, not/c:d":                                         "at 10:30 write to a@b, not/c:d",
	} {
		got := secret.Text(text)
		if strings.Contains(got, "PASSWORD") || strings.Contains(got, "TOKEN") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

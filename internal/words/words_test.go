package words_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/words"
)

func TestIn(t *testing.T) {
	for text, want := range map[string]string{
		"Don't PANIC: it’s John's 3.14 or 1,000.": "do n't panic it 's john 's 3.14 or 1,000",
		"e-mail me@example.com!":                  "e mail me example com",
		"naïve CAFÉ Cafe\u0301":                   "naïve café café",
		"東京 is big":                               "東 京 is big",
		"rock'n'roll can't n't 'quoted'":          "rock 'n 'roll ca n't n't quoted",
		"हिन्दी भाषा":                             "हिन्दी भाषा",
		"":                                        "",
		"... !!":                                  "",
		strings.Repeat("é", 200):                  strings.Repeat("é", 128),
	} {
		if got := strings.Join(slices.Collect(words.In(text)), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestVocabulary(t *testing.T) {
	v := words.Frequent(slices.Values([]string{"b a b", "a c a", "d d d d"}), 3, 1)
	if got := strings.Join(v.Words(), " "); got != "d a b" {
		t.Fatalf("the most frequent words are %q", got)
	}
	if v := words.Frequent(slices.Values([]string{"b a b", "a c a", "d d d d"}), 9, 2); v.Len() != 1 || v.Word(words.FirstWord) != "a" {
		t.Errorf("words of two texts: %q", v.Words())
	}
	if got := v.Append(nil, "A x d"); !slices.Equal(got, []int32{3, words.Unknown, 2}) {
		t.Errorf("ids %v", got)
	}
	again, err := words.Decode(v.Encode())
	if err != nil || again.Digest() != v.Digest() || again.Ids() != 5 {
		t.Errorf("decoded: %v, %v", again, err)
	}
	if _, err := words.Decode("AAAA"); err == nil {
		t.Error("damage was not noticed")
	}
	if _, err := words.NewVocabulary([]string{"a", "a"}); err == nil {
		t.Error("a word was there twice")
	}
}

func FuzzIn(f *testing.F) {
	f.Add("don't '' 'a'b'c 1,2.")
	f.Fuzz(func(t *testing.T, text string) {
		for word := range words.In(text) {
			if word == "" || strings.ContainsAny(word, " \n") {
				t.Errorf("the word %q", word)
			}
		}
	})
}

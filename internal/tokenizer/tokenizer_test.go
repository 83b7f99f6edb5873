package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The ids of all kinds of tokenizers are those of Hugging Face's library and of SentencePiece; testdata/make.py wrote them.
func TestReferenceIDs(t *testing.T) {
	var reference struct {
		Lines []string             `json:"lines"`
		IDs   map[string][][]int32 `json:"ids"`
	}
	readJSON(t, "testdata/ids.json", &reference)
	if len(reference.IDs) < 14 {
		t.Fatalf("%d tokenizers", len(reference.IDs))
	}
	for name, want := range reference.IDs {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			switch {
			case strings.HasPrefix(name, "sp_"):
				path += ".model"
			case !strings.HasPrefix(name, "vocab_"):
				path += ".json"
			}
			compare(t, path, reference.Lines, want)
		})
	}
}

// With TLPIPE_TOKENIZERS, the tokenizers that `make.py FOLDER TOKENIZER...` was given are compared on 10,000 lines.
func TestGivenTokenizers(t *testing.T) {
	folder := os.Getenv("TLPIPE_TOKENIZERS")
	if folder == "" {
		t.Skip("TLPIPE_TOKENIZERS names no folder")
	}
	var lines []string
	readJSON(t, filepath.Join(folder, "lines.json"), &lines)
	files, _ := filepath.Glob(filepath.Join(folder, "*.ids.json"))
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var given struct {
				Tokenizer string    `json:"tokenizer"`
				IDs       [][]int32 `json:"ids"`
			}
			readJSON(t, file, &given)
			compare(t, given.Tokenizer, lines, given.IDs)
		})
	}
}

func compare(t *testing.T, path string, lines []string, want [][]int32) {
	t.Helper()
	tok, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != len(lines) {
		t.Fatalf("%d lines, ids of %d", len(lines), len(want))
	}
	e := tok.NewEncoder()
	wrong := 0
	for i, line := range lines {
		got := e.Encode(line)
		if slices.Equal(got, want[i]) || len(got)+len(want[i]) == 0 {
			continue
		}
		if wrong++; wrong <= 5 {
			t.Errorf("%q:\n got %v %q\nwant %v %q", line, got, tokens(tok, got), want[i], tokens(tok, want[i]))
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d lines differ", wrong, len(lines))
	}
}

func tokens(tok *Tokenizer, ids []int32) []string {
	var out []string
	for _, id := range ids {
		out = append(out, tok.Token(id))
	}
	return out
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What Read refuses names what is wrong.
func TestFilesThatAreNoTokenizers(t *testing.T) {
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	words := `"model":{"type":"WordLevel","vocab":{"a":0,"[UNK]":1},"unk_token":"[UNK]"}`
	for _, c := range []struct{ name, text, want string }{
		{"tokenizer.json", `{`, "unexpected end of JSON"},
		{"tokenizer.json", `{}`, "there is no model"},
		{"tokenizer.json", `{"model":{"type":"Words","vocab":{}}}`, `there is no model "Words"`},
		{"tokenizer.json", `{"model":{"type":"WordPiece","vocab":{"a":0}}}`, "needs an unk_token"},
		{"tokenizer.json", `{"model":{"type":"WordPiece","unk_token":"b","vocab":{"a":0}}}`, `unk_token "b" is not in the vocabulary`},
		{"tokenizer.json", `{"model":{"type":"WordLevel","vocab":{"a":0,"b":0}}}`, `tokens "a" and "b" have the id 0`},
		{"tokenizer.json", `{"model":{"type":"WordLevel","vocab":{"a":2000000000}}}`, "expected 0 to"},
		{"tokenizer.json", `{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}}`, `merge 0 makes "ab"`},
		{"tokenizer.json", `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, `"b" is not in the vocabulary`},
		{"tokenizer.json", `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}}`, "not two tokens"},
		{"tokenizer.json", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}}`, "dropout"},
		{"tokenizer.json", `{"model":{"type":"Unigram","vocab":[["a",0]],"unk_id":3}}`, "unk_id 3"},
		{"tokenizer.json", `{"model":{"type":"Unigram","vocab":[["a"]]}}`, "entry 0 has 1 parts"},
		{"tokenizer.json", `{` + words + `,"normalizer":{"type":"Upper"}}`, `there is no normaliser "Upper"`},
		{"tokenizer.json", `{` + words + `,"normalizer":` + strings.Repeat(`{"type":"Sequence","normalizers":[`, 20) + strings.Repeat(`]}`, 20) + `}`, "more than 8 deep"},
		{"tokenizer.json", `{` + words + `,"normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="}}`, "trie"},
		{"tokenizer.json", `{` + words + `,"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a)\\1"},"behavior":"Isolated"}}`, "none that tlpipe knows"},
		{"tokenizer.json", `{` + words + `,"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Dropped"}}`, "there is no behavior"},
		{"tokenizer.json", `{` + words + `,"post_processor":{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",3]}}`, "is no token of the vocabulary"},
		{"vocab.txt", "a\nb\n", "has no [UNK]"},
		{"vocab.txt", "\xff\xfe", "not UTF-8"},
		{"vocab.json", "{}", "merges.txt"},
		{"spiece.model", "\x0a\x05", "SentencePiece"},
		{"spiece.model", "", "no pieces"},
		{"tokens.bin", "", "does not say what it is"},
	} {
		if _, err := Read(write(c.name, c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %.60q: error %v, want %q", c.name, c.text, err, c.want)
		}
	}
	if _, err := Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "has none of tokenizer.json") {
		t.Errorf("an empty folder: %v", err)
	}
}

// Text that is not UTF-8, is empty or very long gives ids of the vocabulary.
func TestAnyText(t *testing.T) {
	for _, path := range []string{"wordpiece_uncased.json", "bytes_roberta.json", "bytes_split.json", "bpe_fallback.json", "unigram.json", "sp_unigram.model", "sp_bpe.model", "clip.json"} {
		tok, err := Read(filepath.Join("testdata", path))
		if err != nil {
			t.Fatal(err)
		}
		e := tok.NewEncoder()
		for _, text := range []string{"", "\xff\xfe a\xc3", strings.Repeat("ab", 300_000), strings.Repeat("\u0301", 10_000), strings.Repeat("<mask>", 5_000), strings.Repeat(" ", 200_000)} {
			for _, id := range e.Encode(text) {
				if id < 0 || int(id) >= tok.Size() {
					t.Fatalf("%s: id %d of %d", path, id, tok.Size())
				}
			}
		}
	}
}

// An encoder gives a text the same ids whatever it met before.
func TestEncodersRememberNothing(t *testing.T) {
	tok, err := Read("testdata/unigram.json")
	if err != nil {
		t.Fatal(err)
	}
	const text = "Das Wetter ist heute schön, isn't it?"
	used := tok.NewEncoder()
	for range 3 {
		used.Encode("schön schön heute " + text)
	}
	if got, want := used.Encode(text), tok.NewEncoder().Encode(text); !slices.Equal(got, want) {
		t.Errorf("%v, new %v", got, want)
	}
	plain := used.AppendTokens(nil, text)
	if got, want := tok.Wrap(plain), used.Encode(text); !slices.Equal(got, want) || len(want) != len(plain)+tok.Around() {
		t.Errorf("wrapped %v, want %v", got, want)
	}
}

func FuzzTokenizerJSON(f *testing.F) {
	for _, name := range []string{"wordpiece_cased.json", "clip.json", "unigram.json", "bpe_fallback.json", "words.json", "bytes_split.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "It's 3 cafés\n<mask>")
	}
	f.Fuzz(func(t *testing.T, file []byte, text string) {
		tok, err := parseJSON(file)
		if err != nil {
			return
		}
		for _, id := range tok.NewEncoder().Encode(text) {
			if tok.Token(id) == "" && id != 0 && !slices.Contains(tok.template.before, id) {
				if _, named := tok.tokens[id]; !named {
					t.Fatalf("id %d is no token", id)
				}
			}
		}
	})
}

func FuzzSentencePiece(f *testing.F) {
	for _, name := range []string{"sp_bpe.model", "sp_unigram.model"} {
		blob, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(blob, " a  caf\u00e9 ")
	}
	f.Fuzz(func(t *testing.T, blob []byte, text string) {
		if tok, err := parseSentencePiece(blob); err == nil {
			tok.NewEncoder().Encode(text)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	path := os.Getenv("TLPIPE_TOKENIZER")
	if path == "" {
		path = "testdata/wordpiece_uncased.json"
	}
	var reference struct{ Lines []string }
	text, err := os.ReadFile("testdata/ids.json")
	if err == nil {
		err = json.Unmarshal(text, &reference)
	}
	if err != nil {
		b.Fatal(err)
	}
	tok, err := Read(path)
	if err != nil {
		b.Fatal(err)
	}
	e := tok.NewEncoder()
	var ids []int32
	n := 0
	for _, line := range reference.Lines {
		n += len(line)
	}
	b.SetBytes(int64(n))
	for b.Loop() {
		for _, line := range reference.Lines {
			ids = e.AppendTokens(ids[:0], line)
		}
	}
}

package textinput_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
	"github.com/tlpipe/tlpipe/internal/tfidf"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/internal/wordvectors"
)

// stored is what becomes of steps that are written and read again.
func stored(t *testing.T, step record.Transform) record.Transforms {
	t.Helper()
	text, err := record.Transforms{record.ReadTextStep{}, step}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var out record.Transforms
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func vocabulary(t *testing.T, all ...string) *words.Vocabulary {
	t.Helper()
	v, err := words.NewVocabulary(all)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Terms that were stored weigh a text as those that were fitted do, to the bit.
func TestStoredTerms(t *testing.T) {
	texts := []string{"a good film", "a bad film", "good and long", "so good"}
	fitted := tfidf.Fit(slices.Values(texts), tfidf.Options{Most: 8, Least: 1, Longest: 2})
	holding, of := fitted.Holding()
	p, err := textinput.Prepare(stored(t, record.TermsStep{Terms: vocabulary(t, fitted.Terms()...).Encode(), Holding: holding, Texts: of, Longest: 2}), "")
	if err != nil {
		t.Fatal(err)
	}
	_, v, err := p.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	got, want := make([]float32, v.Width), make([]float32, len(holding))
	for _, text := range append(texts, "unheard of", "good good film") {
		if v.Vector(got, text) != fitted.Vector(want, text) || !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// Word vectors are those of the digest, and what SIF learned is taken.
func TestStoredWordMean(t *testing.T) {
	table, err := wordvectors.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	common := make([]float64, table.Width)
	common[3] = 1
	at := func(word string) int32 { return table.Vocabulary().ID(word) - words.FirstWord }
	step := record.WordMeanStep{Vectors: wordvectors.BuiltinName, Digest: table.Digest, Width: table.Width,
		SIF: &record.SIFWeights{A: 0.5, Places: []int32{at("good")}, Counts: []int64{7}, Common: common}}
	p, err := textinput.Prepare(stored(t, step), "")
	if err != nil {
		t.Fatal(err)
	}
	_, v, err := p.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, v.Width)
	v.Vector(got, "good film")
	// good is all that was counted: its weight is 0.5/(0.5 + 1), that of film 1.
	good, film := table.Vector(int(at("good"))), table.Vector(int(at("film")))
	for i, x := range got {
		want := (float64(good[i])/3 + float64(film[i])) / 2
		if i == 3 {
			want = 0
		}
		if d := float64(x) - want; d > 1e-6 || d < -1e-6 {
			t.Fatalf("number %d is %v, want %v", i, x, want)
		}
	}
	step.Digest = strings.Repeat("0", 64)
	if _, err := textinput.Prepare(stored(t, step), ""); err == nil || !strings.Contains(err.Error(), "are not those that were learned with") {
		t.Errorf("other vectors: %v", err)
	}
	step.Vectors = "file"
	if _, err := textinput.Prepare(stored(t, step), ""); err == nil || !strings.Contains(err.Error(), "give it as weights") {
		t.Errorf("no file: %v", err)
	}
}

func TestStoredWords(t *testing.T) {
	made := record.Tokenisation{Length: 3, Truncate: record.TruncateTail}
	p, err := textinput.Prepare(stored(t, record.TokensStep{Tokenisation: made, Vocabulary: vocabulary(t, "good", "film").Encode()}), "")
	if err != nil {
		t.Fatal(err)
	}
	cutter, _, err := p.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	if ids, tokens, unknown := cutter.Cut("So what: a good film"); !slices.Equal(ids, []int32{1, 2, 3}) || tokens != 5 || unknown != 3 {
		t.Errorf("ids %v of %d, %d unknown", ids, tokens, unknown)
	}
}

// Steps that no version of the program writes are refused.
func TestDamagedSteps(t *testing.T) {
	for _, text := range []string{
		`[{"transform":"terms","with":{"terms":"","holding":[1],"texts":1,"longest":1}}]`,
		`[{"transform":"text"},{"transform":"terms","with":{"terms":"!","holding":[1],"texts":1,"longest":1}}]`,
		`[{"transform":"text"},{"transform":"terms","with":{"terms":"AwA=","holding":[1],"texts":1,"longest":1}}]`,
		`[{"transform":"text"},{"transform":"terms","with":{"terms":"AwA=","holding":[2],"texts":1,"longest":1}}]`,
		`[{"transform":"text"},{"transform":"tokens","with":{"length":0,"truncate":"head"}}]`,
		`[{"transform":"text"},{"transform":"tokens","with":{"length":4,"truncate":"head","digest":""}}]`,
		`[{"transform":"text"},{"transform":"word_mean","with":{"vectors":"builtin","width":100,"sif":{"a":1,"places":[-1],"counts":[1]}}}]`,
		`[{"transform":"text"},{"transform":"upright"}]`,
		`[{"transform":"text"}]`,
	} {
		var steps record.Transforms
		err := json.Unmarshal([]byte(text), &steps)
		if err == nil {
			_, err = textinput.Prepare(steps, "")
		}
		if err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func TestRead(t *testing.T) {
	for data, want := range map[string]string{"\x89PNG\r\n\x1a\n": "it is a picture (image/png)", " \n": "there is no text", "\x00\x01": "control characters"} {
		if _, err := textinput.Read([]byte(data), document.Plain); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", data, err, want)
		}
	}
}

// A long text lies in windows, each with the special tokens of the encoder, and none of its tokens is lost.
func TestWindows(t *testing.T) {
	tokens, err := tokenizer.Read("../encoder/testdata/bert")
	if err != nil {
		t.Fatal(err)
	}
	made := record.Tokenisation{For: "bert", Length: 5, Truncate: record.TruncateWindow}
	cutter := (&textinput.Tokeniser{Made: made, Encoder: tokens}).NewCutter()
	for text, want := range map[string][][]int32{
		"the film is":                       {{2, 6, 7, 8, 3}},
		"the film is good bad nice":         {{2, 6, 7, 8, 3}, {2, 9, 10, 11, 3}},
		"the film is good bad nice long":    {{2, 6, 7, 8, 3}, {2, 9, 10, 11, 3}, {2, 12, 3}},
		strings.Repeat("the film is ", 100): slices.Repeat([][]int32{{2, 6, 7, 8, 3}}, record.MostWindows),
	} {
		ids, count, _ := cutter.Cut(text)
		if got := made.Windows(ids); !slices.EqualFunc(got, want, slices.Equal) || count != len(strings.Fields(text))+2 {
			t.Errorf("%.40q: %v of %d tokens, want %v", text, got, count, want)
		}
	}
}

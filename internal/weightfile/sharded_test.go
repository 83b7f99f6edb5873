package weightfile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// writeShard writes a file of tensors of one number each.
func writeShard(t *testing.T, dir, name string, numbers map[string]float32) {
	t.Helper()
	var tensors []safetensors.Tensor
	for tensor, x := range numbers {
		tensors = append(tensors, safetensors.Tensor{Name: tensor, Shape: []int{1}, Data: []float32{x}})
	}
	var out bytes.Buffer
	if err := safetensors.Write(&out, tensors, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeIndex writes an index into a folder.
func writeIndex(t *testing.T, dir, content string) string {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors.index.json")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const twoShards = `{"metadata": {"total_size": 8},
 "weight_map": {"b": "model-2.safetensors", "a": "model-1.safetensors"}}`

func TestShards(t *testing.T) {
	dir := t.TempDir()
	writeShard(t, dir, "model-1.safetensors", map[string]float32{"a": 1})
	writeShard(t, dir, "model-2.safetensors", map[string]float32{"b": 2})
	path := writeIndex(t, dir, twoShards)
	f, err := weightfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range f.Tensors {
		numbers, err := x.Float32()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(x.Name, numbers))
	}
	if want := []string{"a[1]", "b[2]"}; !slices.Equal(got, want) {
		t.Errorf("tensors %v, want %v", got, want)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}

	before, err := weightfile.FileDigest(path)
	if err != nil {
		t.Fatal(err)
	}
	writeShard(t, dir, "model-2.safetensors", map[string]float32{"b": 3})
	if after, err := weightfile.FileDigest(path); err != nil || after == before {
		t.Errorf("digest %s of a shard that changed, before %s, error %v", after, before, err)
	}
}

// An index may come from anywhere: it opens nothing but files beside it, and says what does not fit.
func TestShardsThatDoNotFit(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	writeShard(t, dir, "outside.safetensors", map[string]float32{"a": 1})
	writeShard(t, inside, "one.safetensors", map[string]float32{"a": 1})
	writeShard(t, inside, "two.safetensors", map[string]float32{"a": 1, "b": 1})
	var many strings.Builder
	for i := range weightfile.MaxTensors + 1 {
		fmt.Fprintf(&many, `"t%d": "one.safetensors",`, i)
	}
	for content, want := range map[string]string{
		`{"weight_map": {"a": "../outside.safetensors"}}`:                            `"../outside.safetensors" is not the name of a file beside the index`,
		`{"weight_map": {"a": "..\\outside.safetensors"}}`:                           "is not the name of a file beside the index",
		`{"weight_map": {"a": "` + filepath.ToSlash(dir) + `/outside.safetensors"}}`: "is not the name of a file beside the index",
		`{"weight_map": {"a": ".."}}`:                                                "is not the name of a file beside the index",
		`{"weight_map": {"a": ""}}`:                                                  "is not the name of a file beside the index",
		`{"weight_map": {"a": "three.safetensors"}}`:                                 "names three.safetensors, which is not beside it",
		`{"weight_map": {"a": "model.safetensors.index.json"}}`:                      "the index of weights in several files",
		`{"weight_map": {"c": "one.safetensors"}}`:                                   `tensor "c" is in one.safetensors, which does not hold it`,
		`{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}`:           `tensor "a" is in two files, one.safetensors and two.safetensors`,
		`{"weight_map": {"a": "one.safetensors", "a": "two.safetensors"}}`:           `tensor "a" is said to lie in two files`,
		`{"weight_map": {}}`:                                                         "names no tensors",
		`{"weight_map": [1]}`:                                                        "weight_map is no object",
		`{"weight_map": {"a": 1}}`:                                                   `tensor "a"`,
		`{"weight_map": {"a"`:                                                        "unexpected end of JSON",
		`{"weight_map": {` + many.String() + `"z": "one.safetensors"}}`:              "more than 32768 entries",
	} {
		path := writeIndex(t, inside, content)
		f, err := weightfile.Open(path)
		if err == nil {
			_ = f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.80s: error %v, want one with %q", content, err, want)
		}
	}
}

func TestIndexOf(t *testing.T) {
	for path, want := range map[string]string{
		"d/model-00001-of-00002.safetensors": "d/model.safetensors.index.json",
		"pytorch_model-00002-of-00002.bin":   "pytorch_model.bin.index.json",
		"model.safetensors":                  "",
		"model-1-of-2.safetensors":           "",
	} {
		if got, ok := weightfile.IndexOf(path); got != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// FuzzIndex reads indices beside which there is one file.
func FuzzIndex(f *testing.F) {
	f.Add(`{"weight_map": {"a": "one.safetensors"}}`)
	f.Add(twoShards)
	f.Add(`{"weight_map": {"a": "../one.safetensors"}}`)
	f.Fuzz(func(t *testing.T, content string) {
		dir := t.TempDir()
		writeShard(t, dir, "one.safetensors", map[string]float32{"a": 1})
		path := writeIndex(t, dir, content)
		files, err := weightfile.Files(path)
		if err != nil {
			return
		}
		for _, file := range files {
			if filepath.Dir(file) != dir {
				t.Errorf("%s is not beside the index in %s", file, dir)
			}
		}
		if file, err := weightfile.Open(path); err == nil {
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

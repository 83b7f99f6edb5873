package starter

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChoices(t *testing.T) {
	for _, c := range []struct {
		facts   Facts
		has     []string
		without []string
	}{
		{
			Facts{Rows: 200, Classes: map[string]int{"a": 100, "b": 100}, ShortSide: 300, Aspect: 1.3},
			[]string{"uses: extract", "head: logistic", "split: {train: 0.7", "copies: 4"}, []string{"class_weights", "size:", "letterbox", "strategy"},
		},
		{
			Facts{Rows: 2000, Classes: map[string]int{"a": 1600, "b": 400}, ShortSide: 32, Aspect: 2},
			[]string{"strategy: partial", "class_weights: balanced", "a has 4 times as many pictures as b", "size: 96", "resize: letterbox"}, []string{"uses: extract"},
		},
		{
			Facts{Rows: 20_000, Classes: map[string]int{"a": 8000, "b": 8000}, Splits: map[string]int{"train": 16000, "test": 4000}},
			[]string{"strategy: progressive", "split: {train: 0.85, val: 0.15, within: train}"}, nil,
		},
		{
			Facts{Rows: 200_000, Classes: map[string]int{"a": 8000, "b": 8000}, Splits: map[string]int{"train": 160000, "val": 10000, "test": 30000}},
			[]string{"strategy: full", "split: given", "from: images"}, []string{"uses: augment"},
		},
		{
			Facts{Rows: 20, Classes: map[string]int{"a": 16, "b": 4}, Splits: map[string]int{"train": 16, "val": 4}, Domains: []string{"x $(y)", "z"}, Folder: "/d"},
			[]string{"split: {val: 0.5, test: 0.5, within: val}", `{folder: "/d/x $$(y)", domain: "x $$(y)"}`, "slices: [domain]"}, nil,
		},
	} {
		text, err := Pipeline("my: pictures", c.facts)
		if err != nil {
			t.Errorf("%+v: %v", c.facts, err)
		}
		for _, want := range c.has {
			if !strings.Contains(text, want) {
				t.Errorf("%+v: there is no %q in\n%s", c.facts, want, text)
			}
		}
		for _, no := range c.without {
			if strings.Contains(text, no) {
				t.Errorf("%+v: there is %q in\n%s", c.facts, no, text)
			}
		}
	}
	for _, f := range []Facts{{}, {Rows: 5}, {Rows: 5, Classes: map[string]int{"a": 5}}} {
		if text, err := Pipeline("x", f); err == nil {
			t.Errorf("%+v gives\n%s", f, text)
		}
	}
}

func TestLook(t *testing.T) {
	dir := t.TempDir()
	for _, place := range []string{"day/cat", "day/dog", "night/cat", "night/dog"} {
		folder := filepath.Join(dir, place)
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(filepath.Join(folder, "1.png"))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, image.NewGray(image.Rect(0, 0, 60, 30))); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	if err := os.WriteFile(filepath.Join(dir, "day/cat/2.png"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Look(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Domains) != 2 || f.Rows != 5 || f.Classes["cat"] != 3 || f.Classes["dog"] != 2 || f.ShortSide != 30 || f.Aspect != 2 || f.Broken != 1 {
		t.Errorf("%+v", f)
	}
	one, err := Look(t.Context(), filepath.Join(dir, "day"))
	if err != nil || len(one.Domains) != 0 || len(one.Classes) != 2 {
		t.Errorf("%+v, %v", one, err)
	}
	if _, err := Look(t.Context(), filepath.Join(dir, "day/cat/1.png")); err == nil {
		t.Error("a file was taken for a folder")
	}
}

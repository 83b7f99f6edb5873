package hdf5_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/hdf5"
	"github.com/tlpipe/tlpipe/internal/stored"
)

func content(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// find opens an object of a file that testdata/make.py made.
func find(t *testing.T, file, path string) *hdf5.Object {
	t.Helper()
	o, err := hdf5.Parse(content(t, file))
	for name := range strings.SplitSeq(path, "/") {
		if err == nil && name != "" {
			o, err = o.Child(name)
		}
		if err != nil || o == nil {
			t.Fatalf("%s: %s: object %v, error %v", file, path, o, err)
		}
	}
	return o
}

func dataset(t *testing.T, file, path string) stored.Tensor {
	t.Helper()
	x, is, err := find(t, file, path).Dataset(path)
	if err != nil || !is {
		t.Fatalf("%s: %s: dataset %v, error %v", file, path, is, err)
	}
	return x
}

func names(t *testing.T, file, path string) []string {
	t.Helper()
	links, err := find(t, file, path).Links()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range links {
		out = append(out, l.Name)
	}
	return out
}

func count(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(i)
	}
	return out
}

var bothForms = []string{"old.h5", "new.h5"}

func TestNumbers(t *testing.T) {
	for _, file := range append(bothForms, "block.h5") {
		for path, want := range map[string]stored.Tensor{
			"numbers/F32":       {Type: stored.F32, Shape: []int{5, 12}},
			"numbers/again":     {Type: stored.F32, Shape: []int{5, 12}},
			"numbers/F64":       {Type: stored.F64, Shape: []int{5, 12}},
			"numbers/F16":       {Type: stored.F16, Shape: []int{5, 12}},
			"numbers/big":       {Type: stored.F32, Shape: []int{5, 12}},
			"numbers/big64":     {Type: stored.F64, Shape: []int{5, 12}},
			"numbers/compact":   {Type: stored.F32, Shape: []int{5, 12}},
			"chunks/plain":      {Type: stored.F32, Shape: []int{5, 12}},
			"chunks/one":        {Type: stored.F32, Shape: []int{5, 12}},
			"chunks/one packed": {Type: stored.F32, Shape: []int{5, 12}},
			"chunks/larger":     {Type: stored.F32, Shape: []int{5, 12}},
			"chunks/gzip":       {Type: stored.F32, Shape: []int{5, 12}},
			"chunks/all":        {Type: stored.F32, Shape: []int{5, 12}},
			"chunks/checked":    {Type: stored.F32, Shape: []int{5, 12}},
			"chunks/early":      {Type: stored.F32, Shape: []int{5, 12}},
			"chunks/line":       {Type: stored.F32, Shape: []int{60}},
			"chunks/cube":       {Type: stored.F32, Shape: []int{3, 4, 5}},
			"chunks/pages":      {Type: stored.F32, Shape: []int{1100}},
		} {
			if file == "block.h5" && path != "numbers/F32" || path == "chunks/pages" && file != "new.h5" {
				continue
			}
			x := dataset(t, file, path)
			if x.Type != want.Type || !slices.Equal(x.Shape, want.Shape) {
				t.Errorf("%s: %s: %v, want %v", file, path, x, want)
			}
			if got, err := x.Float32(); err != nil || !slices.Equal(got, count(want.Elements())) {
				t.Errorf("%s: %s: %v, error %v", file, path, got, err)
			}
		}
	}
	for _, file := range bothForms {
		if got, err := dataset(t, file, "numbers/scalar").Float32(); err != nil || !slices.Equal(got, []float32{7}) {
			t.Errorf("%s: a single number: %v, error %v", file, got, err)
		}
		if got, err := dataset(t, file, "numbers/empty").Float32(); err != nil || len(got) != 0 {
			t.Errorf("%s: no numbers: %v, error %v", file, got, err)
		}
		for _, kind := range []stored.Type{stored.I64, stored.U8, stored.Bool} {
			if x := dataset(t, file, "numbers/"+string(kind)); x.Type != kind {
				t.Errorf("%s: %s has type %s", file, kind, x.Type)
			}
		}
		if x := dataset(t, file, "numbers/text"); x.Type.Real() {
			t.Errorf("%s: a text has type %s", file, x.Type)
		}
	}
}

func TestLinks(t *testing.T) {
	for _, file := range bothForms {
		// Links that lead to names are left out.
		got := names(t, file, "/")
		slices.Sort(got)
		if want := []string{"chunks", "many", "numbers", "ordered", "texts"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
		got = names(t, file, "many")
		slices.Sort(got)
		if len(slices.Compact(got)) != 40 || got[39] != "child 9" {
			t.Errorf("%s: %q", file, got)
		}
		got = names(t, file, "ordered")
		slices.Sort(got)
		if !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("%s: %q", file, got)
		}
		if o, err := find(t, file, "numbers").Child("nothing"); o != nil || err != nil {
			t.Errorf("%s: a name that there is not: %v, %v", file, o, err)
		}
		if names := names(t, file, "numbers/F32"); len(names) != 0 {
			t.Errorf("%s: a dataset has links %q", file, names)
		}
	}
}

func TestTexts(t *testing.T) {
	var layers, huge []string
	for i := range 500 {
		layers = append(layers, fmt.Sprintf("layer %d", i))
	}
	for range 100 {
		huge = append(huge, strings.Repeat("x", 60), strings.Repeat("y", 10))
	}
	for _, file := range bothForms {
		texts := find(t, file, "texts")
		for name, want := range map[string][]string{
			"one":           {"a text of variable length: é"},
			"fixed":         {"fixed"},
			"list":          {"first", "the second", ""},
			"variable list": {"first", "the second", ""},
			"none":          nil,
			"attribute 0":   {"text 0"},
			"attribute 11":  {"text 11"},
			"long":          layers,
			"huge":          huge,
		} {
			if name == "huge" && file == "old.h5" {
				continue
			}
			got, there, err := texts.Texts(name)
			if err != nil || !there || !slices.Equal(got, want) {
				t.Errorf("%s: %s: %q, %v, error %v", file, name, got, there, err)
			}
		}
		if _, there, err := texts.Texts("nothing"); there || err != nil {
			t.Errorf("%s: an attribute that there is not: %v, %v", file, there, err)
		}
		if _, _, err := texts.Texts("number"); err == nil || !strings.Contains(err.Error(), "no text") {
			t.Errorf("%s: a number as a text: error %v", file, err)
		}
	}
}

func TestWhatIsNotRead(t *testing.T) {
	for file, want := range map[string]string{
		"refused_lzf.h5":       "filter 32000",
		"refused_growing.h5":   "without maxshape",
		"refused_unwritten.h5": "never written",
		"refused_sequences.h5": "sequences of variable length",
	} {
		if _, _, err := find(t, file, "x").Dataset("x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", file, err, want)
		}
	}
	if _, err := hdf5.Parse([]byte("no such file")); err == nil {
		t.Error("read what is no file")
	}
}

// visit reads all there is in a file, to a depth.
func visit(o *hdf5.Object, depth int) error {
	if _, _, err := o.Texts("name"); err != nil {
		return err
	}
	x, is, err := o.Dataset("x")
	if err != nil {
		return err
	}
	if is && x.Type.Real() && x.Elements() < 1<<20 {
		if _, err := x.Float32(); err != nil {
			return err
		}
	}
	links, err := o.Links()
	if err != nil || depth == 0 {
		return err
	}
	for _, l := range links {
		child, err := o.Open(l)
		if err == nil {
			err = visit(child, depth-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestTruncatedFilesAreRefused(t *testing.T) {
	for _, file := range []string{"old.h5", "new.h5", "cycle.h5"} {
		data := content(t, file)
		for n := 0; n < len(data); n += 97 {
			if _, err := hdf5.Parse(data[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes were read", file, n, len(data))
			}
		}
	}
}

// A group that is its own child has no end, but the reader's patience has.
func TestACycleComesToAnEnd(t *testing.T) {
	root := find(t, "cycle.h5", "")
	if err := visit(root, 1<<30); err == nil || !strings.Contains(err.Error(), "more entries than a file of its size can hold") {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	var seeds [][]byte
	for _, file := range []string{"small_old.h5", "small_new.h5", "block.h5", "cycle.h5"} {
		seeds = append(seeds, content(f, file))
	}
	budgettest.Seeds(f, 1000, seeds...)
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Within(t, len(data), func() {
			if root, err := hdf5.Parse(data); err == nil {
				_ = visit(root, 8)
			}
		})
	})
}

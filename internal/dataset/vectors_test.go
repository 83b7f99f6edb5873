package dataset_test

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// vectorsOf lists and reads all rows.
func vectorsOf(t *testing.T, v dataset.Vectors) (*dataset.Table, [][]float32) {
	t.Helper()
	table := list(t, of(v))
	set, err := dataset.Open([]dataset.Part{of(v)})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	var out [][]float32
	for _, row := range table.All {
		raw, err := set.Read(context.Background(), 0, row.At, row.Digest)
		if err != nil {
			t.Fatal(err)
		}
		var numbers []float32
		for i := 0; i < len(raw); i += 4 {
			numbers = append(numbers, math.Float32frombits(binary.LittleEndian.Uint32(raw[i:])))
		}
		out = append(out, numbers)
	}
	return table, out
}

// All formats give the same rows: testdata/make_vectors.py made the files.
func TestVectors(t *testing.T) {
	want := [][]float32{{0.5, -1, 2}, {3, 4, 5.25}, {6, 7, 8}, {9, 1e-3, 11}}
	csv := filepath.Join(write(t, map[string]string{"rows.csv": "label,x,y,z,site\n1,0.5,-1,2,a\n2,3,4,5.25,b\n1,6,7,8,\n10,9,1e-3,11,a\n"}), "rows.csv")
	at := func(name string) string { return "testdata/vectors/" + name }
	for name, v := range map[string]dataset.Vectors{
		"csv":                   {Path: csv},
		"npy":                   {Path: at("double.npy"), Labels: at("labels.npy")},
		"npy, column by column": {Path: at("columns.npy"), Labels: at("labels.npy")},
		"mat":                   {Path: at("rows.mat")},
		"mat, named":            {Path: at("rows.mat"), Features: []string{"fts"}, Labels: "labels"},
		"lists":                 {Path: at("lists.parquet")},
		"fixed-size lists":      {Path: at("fixed.parquet"), Features: []string{"v"}},
		"columns":               {Path: at("columns.parquet")},
		"feather, lists":        {Path: at("lists.feather")},
		"arrow, fixed lists":    {Path: at("fixed.arrow")},
		"arrow, columns":        {Path: at("columns.ipc")},
	} {
		table, got := vectorsOf(t, v)
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: %v, want %v", name, got, want)
			continue
		}
		var labels []string
		for _, row := range table.All {
			labels = append(labels, row.Label)
		}
		if !slices.Equal(labels, []string{"1", "2", "1", "10"}) {
			t.Errorf("%s: labels %v", name, labels)
		}
		if name == "csv" && (len(table.Notes) != 1 || !strings.Contains(table.Notes[0], "kept as texts: site") || table.All[1].Extra[0] != "b") {
			t.Errorf("a column of texts: notes %v, row %+v", table.Notes, table.All[1])
		}
	}
	some, rows := vectorsOf(t, dataset.Vectors{Path: csv, Others: []string{"y", "site"}})
	if !slices.Equal(rows[1], []float32{3, 5.25}) || !slices.Equal(some.Extra, []string{"y", "site"}) || len(some.Notes) > 0 {
		t.Errorf("without a column: %v, further columns %v, notes %q", rows[1], some.Extra, some.Notes)
	}
	some, rows = vectorsOf(t, dataset.Vectors{Path: csv, Features: []string{"x", "z"}})
	if !slices.Equal(rows[1], []float32{3, 5.25}) || !slices.Equal(some.Extra, []string{"y", "site"}) {
		t.Errorf("two columns: %v, further columns %v", rows[1], some.Extra)
	}
}

// Numbers of 16 bits and whole numbers are numbers; labels may be texts.
func TestVectorsOfOtherTypes(t *testing.T) {
	half := [][]float32{{0.5, -1, 2}, {3, 4, 5.25}, {6, 7, 8}, {9, 0.25, 11}}
	whole := [][]float32{{1, -2, 3}, {4, 5, 6}, {7, 8, 9}, {10, 11, 12}}
	const past = 1 << 31
	unsigned := [][]float32{{past + 1, past + 2, past + 3}, {past + 4, past + 5, past + 6}, {past + 7, past + 8, past + 9}, {past + 10, past + 11, past + 12}}
	numbers, words := []string{"1", "2", "1", "10"}, []string{"ä", "bird", "ä", "cat"}
	at := func(name string) string { return "testdata/vectors/" + name }
	for name, c := range map[string]struct {
		v      dataset.Vectors
		want   [][]float32
		labels []string
	}{
		"npy, half":              {dataset.Vectors{Path: at("half.npy"), Labels: at("labels.npy")}, half, numbers},
		"npy, texts":             {dataset.Vectors{Path: at("half.npy"), Labels: at("words.npy")}, half, words},
		"npy, texts, big-endian": {dataset.Vectors{Path: at("half.npy"), Labels: at("words_big.npy")}, half, words},
		"npy, texts of bytes":    {dataset.Vectors{Path: at("half.npy"), Labels: at("words_bytes.npy")}, half, words},
		"parquet, half":          {dataset.Vectors{Path: at("half.parquet")}, half, numbers},
		"parquet, int32":         {dataset.Vectors{Path: at("whole.parquet")}, whole, numbers},
		"parquet, int64":         {dataset.Vectors{Path: at("long.parquet"), Features: []string{"emb"}}, whole, numbers},
		"parquet, uint32":        {dataset.Vectors{Path: at("unsigned.parquet")}, unsigned, numbers},
		"arrow, half":            {dataset.Vectors{Path: at("half.arrow")}, half, numbers},
		"arrow, int32":           {dataset.Vectors{Path: at("whole.arrow")}, whole, numbers},
		"arrow, int64":           {dataset.Vectors{Path: at("long.arrow")}, whole, numbers},
		"arrow, uint32":          {dataset.Vectors{Path: at("unsigned.arrow")}, unsigned, numbers},
		"tags beside a number":   {dataset.Vectors{Path: at("tags.parquet")}, [][]float32{{0.5}, {3}, {6}, {9}}, numbers},
		"tags that are named":    {dataset.Vectors{Path: at("tags.parquet"), Features: []string{"tags"}}, whole, numbers},
	} {
		table, got := vectorsOf(t, c.v)
		if !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
			continue
		}
		for i, row := range table.All {
			if row.Label != c.labels[i] {
				t.Errorf("%s: row %d has label %q, want %q", name, i, row.Label, c.labels[i])
			}
		}
	}
}

// Labels of a MAT-file that cannot be read are told of, and no other matrix is taken for them.
func TestLabelsOfAMatrixThatAreNotRead(t *testing.T) {
	for file, why := range map[string]string{"words.mat": "labels is not read: it is a text", "cells.mat": "labels is not read: it is a cell array"} {
		table, _ := vectorsOf(t, dataset.Vectors{Path: "testdata/vectors/" + file})
		if len(table.All) != 4 || table.All[0].Label != "" || len(table.Notes) != 1 || !strings.Contains(table.Notes[0], file+": there are no labels: "+why) {
			t.Errorf("%s: notes %q, rows %+v", file, table.Notes, table.All)
		}
	}
}

// Rows with something missing are rejects; files that cannot be read say why.
func TestVectorsThatAreWrong(t *testing.T) {
	root := write(t, map[string]string{
		"holes.csv": "a,b,label\n1,2,x\n,3,y\n4,inf,x\n5,1e300,y\n", "ragged.csv": "a,b\n1\n", "numbers.csv": "1,2\n3,4\n", "empty.csv": "", "texts.csv": "a,b\nx,y\n",
		"labels.txt": "one\ntwo\n", "vectors.bin": "x",
	})
	table, rows := vectorsOf(t, dataset.Vectors{Path: filepath.Join(root, "holes.csv")})
	if len(rows) != 1 || len(table.Rejects) != 3 || !slices.Equal(rows[0], []float32{1, 2}) {
		t.Errorf("rows %v, rejects %v", rows, table.Rejects)
	}
	for _, holes := range []string{"holes.parquet", "holes.arrow"} {
		table, rows = vectorsOf(t, dataset.Vectors{Path: "testdata/vectors/" + holes})
		if len(rows) != 2 || len(table.Rejects) != 2 || !slices.Equal(rows[1], []float32{5, 6}) {
			t.Errorf("%s: rows %v, rejects %v", holes, rows, table.Rejects)
		}
	}
	for want, v := range map[string]dataset.Vectors{
		"line 2 has 1 values for 2 columns":          {Path: filepath.Join(root, "ragged.csv")},
		"the first line has numbers":                 {Path: filepath.Join(root, "numbers.csv")},
		"it is empty":                                {Path: filepath.Join(root, "empty.csv")},
		"no column has numbers; columns: a, b":       {Path: filepath.Join(root, "texts.csv")},
		"there is no column \"z\"":                   {Path: filepath.Join(root, "texts.csv"), Features: []string{"z"}},
		"another number of features":                 {Path: "testdata/vectors/ragged.parquet"},
		"row 1 has another number":                   {Path: "testdata/vectors/ragged.arrow"},
		"2 labels in":                                {Path: "testdata/vectors/double.npy", Labels: filepath.Join(root, "labels.txt")},
		"there is no matrix \"X\"; the file has fts": {Path: "testdata/vectors/rows.mat", Features: []string{"X"}},
		"note: it is a text":                         {Path: "testdata/vectors/rows.mat", Features: []string{"note"}},
		"fts is not read: it is a sparse matrix; store it as a full matrix": {Path: "testdata/vectors/sparse.mat"},
		"columns of lists that are not numbers: note":                       {Path: "testdata/vectors/notes.parquet"},
		"it holds objects of Python (|O)":                                   {Path: "testdata/vectors/double.npy", Labels: "testdata/vectors/objects.npy"},
		"not from \".bin\"":                                                 {Path: filepath.Join(root, "vectors.bin")},
		"no such file":                                                      {Path: filepath.Join(root, "none.npy")},
	} {
		if _, err := tryList(t, of(v)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", v.Path, err, want)
		}
	}
}

func FuzzVectors(f *testing.F) {
	endings := []string{".csv", ".parquet", ".npy", ".mat", ".arrow"}
	var seeds [][]byte
	for _, name := range []string{"lists.parquet", "fixed.parquet", "double.npy", "columns.npy", "rows.mat", "fixed.arrow", "ragged.arrow"} {
		raw, err := os.ReadFile("testdata/vectors/" + name)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, append([]byte{byte(slices.Index(endings, filepath.Ext(name)))}, raw...))
	}
	seeds = append(seeds, []byte("\x00a,b,label\n1,2,x\n3,4,y\n"))
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) == 0 || endings[int(raw[0])%5] == ".parquet" {
			return // the Parquet reader has a target of its own
		}
		path := filepath.Join(t.TempDir(), "v"+endings[int(raw[0])%5])
		if err := os.WriteFile(path, raw[1:], 0o600); err != nil {
			t.Fatal(err)
		}
		v := dataset.Vectors{Path: path, Limits: dataset.Limits{Memory: 1 << 20, Unpacked: 1 << 20}}
		budgettest.Within(t, len(raw), func() {
			rows, err := v.List(context.Background(), pipelinetest.Env(t).Files)
			if err == nil && len(rows.All) > 0 && rows.All[0].At.Size < 4 {
				t.Errorf("a row of %d bytes", rows.All[0].At.Size)
			}
		})
	})
}

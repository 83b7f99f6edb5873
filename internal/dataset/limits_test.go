package dataset_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/dataset"
)

// Each source ends with an error or a reject that names the limit, and reads the same data when the limit is raised.
func TestLimits(t *testing.T) {
	columns := "path,a,b,c\nx.png,1,2,3\n"
	var rows strings.Builder
	rows.WriteString("path,id\n")
	for i := range 1000 {
		fmt.Fprintf(&rows, "x.png,%d\n", i)
	}
	root := write(t, map[string]string{
		"columns.csv": columns, "rows.csv": rows.String(), "x.png": "x", "folder/a/1.png": "1", "folder/a/2.png": "2", "folder/b/3.png": "3",
		"pictures.gz": gzipped(t, string(idx([]int{1000, 2, 2}, make([]byte, 4000)...))),
		"labels.gz":   gzipped(t, string(idx([]int{1000}, make([]byte, 1000)...))),
		"a.tar.gz":    gzipped(t, archive(t, []tar.Header{{Name: "1.png", Size: 1000}, {Name: "1.json", Size: 100_000}, {Name: "2.png", Size: 1000}})),
	})
	at := func(name string) string { return filepath.Join(root, name) }
	plain, err := filepath.Abs("testdata/plain.parquet")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		source func(l dataset.Limits) dataset.Source
		limits dataset.Limits
		want   string
	}{
		"columns": {func(l dataset.Limits) dataset.Source { return dataset.CSV{Path: at("columns.csv"), Limits: l} },
			dataset.Limits{Columns: 3}, "it has 4 columns, the limit is 3 (raise limits.columns"},
		"rows": {func(l dataset.Limits) dataset.Source { return dataset.CSV{Path: at("rows.csv"), Limits: l} },
			dataset.Limits{Rows: 999}, "more than 999 entries, which is the limit for it (raise limits.rows"},
		"a table's memory": {func(l dataset.Limits) dataset.Source { return dataset.CSV{Path: at("rows.csv"), Limits: l} },
			dataset.Limits{Memory: 5000}, "more than 5000 bytes of memory, which is the limit for it (raise limits.memory"},
		"files": {func(l dataset.Limits) dataset.Source { return dataset.Folder{Path: at("folder"), Limits: l} },
			dataset.Limits{Rows: 4}, "more than 4 entries"},
		"IDX unpacks": {func(l dataset.Limits) dataset.Source { return dataset.IDX{Images: at("pictures.gz"), Limits: l} },
			dataset.Limits{Unpacked: 2000}, "unpacks to more than 2000 bytes"},
		"IDX's memory": {func(l dataset.Limits) dataset.Source { return dataset.IDX{Images: at("pictures.gz"), Limits: l} },
			dataset.Limits{Memory: 100_000}, "more than 100 kB of memory"},
		"tar unpacks": {func(l dataset.Limits) dataset.Source {
			return dataset.Tar{Patterns: []string{at("a.tar.gz")}, Limits: l}
		},
			dataset.Limits{Unpacked: 20_000}, "unpacks to more than 20 kB"},
		"tar's memory": {func(l dataset.Limits) dataset.Source {
			return dataset.Tar{Patterns: []string{at("a.tar.gz")}, Limits: l}
		},
			dataset.Limits{Memory: 50_000}, "more than 50 kB of memory"},
		"Parquet's memory": {func(l dataset.Limits) dataset.Source {
			return dataset.Parquet{Patterns: []string{plain}, Columns: map[string]string{"image": "picture"}, Limits: l}
		},
			dataset.Limits{Memory: 1000}, "more than 1000 bytes of memory"},
		"Parquet unpacks": {func(l dataset.Limits) dataset.Source {
			return dataset.Parquet{Patterns: []string{plain}, Columns: map[string]string{"image": "picture"}, Limits: l}
		},
			dataset.Limits{Unpacked: 100}, "unpacks to more than 100 bytes"},
		"Parquet's columns": {func(l dataset.Limits) dataset.Source {
			return dataset.Parquet{Patterns: []string{plain}, Columns: map[string]string{"image": "picture"}, Limits: l}
		},
			dataset.Limits{Columns: 1}, "the limit is 1"},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := tryList(t, of(c.source(c.limits)))
			told := fmt.Sprint(err)
			if err == nil {
				told = rejected(table)
				if len(table.All) > 0 {
					t.Errorf("%d rows", len(table.All))
				}
			}
			if !strings.Contains(told, c.want) {
				t.Errorf("%s, want %q", told, c.want)
			}
			if table := list(t, of(c.source(dataset.Limits{}))); len(table.All) == 0 {
				t.Errorf("without the limit: no rows, %s", rejected(table))
			}
		})
	}
	_, err = tryList(t, of(dataset.IDX{Images: at("pictures.gz"), Labels: at("labels.gz"), Limits: dataset.Limits{Unpacked: 500_000, Memory: 520_000}}))
	if err != nil {
		t.Errorf("labels: %v", err)
	}
}

// A row whose quote is never closed is not held to its end.
func TestEndlessRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.csv")
	if err := os.WriteFile(path, append([]byte("path,label\n\""), bytes.Repeat([]byte("y\n"), 9<<20)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tryList(t, of(dataset.CSV{Path: path})); err == nil || !strings.Contains(err.Error(), "a row of more than 16 MB") {
		t.Error(err)
	}
}

// Members that are stored without their holes have other sizes than places.
func TestSparseMembers(t *testing.T) {
	raw := []byte(archive(t, []tar.Header{{Name: "1.png", Size: 512}, {Name: "2.png", Size: 512, Format: tar.FormatGNU}, {Name: "3.png", Size: 512}}))
	// The library does not write sparse files: 512 bytes at the end of a terabyte, as GNU tar writes it.
	head := raw[2*512 : 3*512]
	head[156] = tar.TypeGNUSparse
	copy(head[386:], "17777777000\x0000000001000\x00")
	copy(head[483:], "20000000000\x00")
	copy(head[148:156], "        ")
	sum := 0
	for _, b := range head {
		sum += int(b)
	}
	copy(head[148:156], fmt.Sprintf("%06o\x00 ", sum))
	root := write(t, map[string]string{"s.tar": string(raw)})
	table := list(t, of(dataset.Tar{Patterns: []string{filepath.Join(root, "s.tar")}}))
	expect(t, "rows", described(table), `
s/1 label= split= domain=
s/3 label= split= domain=
`)
	expect(t, "rejects", rejected(table), "\ns/2.png: a sparse file, whose holes are not read\n")
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// archive makes a tar archive of files: JSON of a long text, or zeros with another first byte each.
func archive(t *testing.T, files []tar.Header) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i, head := range files {
		head.Mode, head.Typeflag = 0o644, tar.TypeReg
		data := make([]byte, head.Size)
		data[0] = byte(i)
		if strings.HasSuffix(head.Name, ".json") {
			data = []byte(`{"caption": "` + strings.Repeat("x", int(head.Size)-15) + `"}`)
		}
		if err := w.WriteHeader(&head); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

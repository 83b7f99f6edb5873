package dataset_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/tlpipe/tlpipe/internal/dataset"
)

// TestArchivesAsPeopleHaveThem reads archives whose names are not as simple as WebDataset's examples.
func TestArchivesAsPeopleHaveThem(t *testing.T) {
	for name, want := range map[string]struct{ rows, rejects, notes, err string }{
		"uid": {rows: `
uid/1.2.840.113619.0 label=0 split= domain=
uid/1.2.840.113619.1 label=1 split= domain=
uid/1.2.840.113619.2 label=0 split= domain=
uid/1.2.840.113619.3 label=1 split= domain=
uid/1.2.840.113619.4 label=0 split= domain=
uid/1.2.840.113619.5 label=1 split= domain=
uid/1.2.840.113619.6 label=0 split= domain=
uid/1.2.840.113619.7 label=1 split= domain=
uid/1.2.840.113619.8 label=0 split= domain=
uid/1.2.840.113619.9 label=1 split= domain=
`},
		"dots":    {rows: "dots/a.b label=0 split= domain=\ndots/a.c label=1 split= domain=\n"},
		"dupkey":  {err: "two files of the archive are named a.jpg"},
		"cut1500": {rejects: "cut1500/s0: the archive has no end mark, so it may have been cut: its last sample is left out\n", notes: "testdata/archives/cut1500.tar is cut or damaged: 0 samples were read before that, and what follows is missing; get the archive again"},
		"folders": {
			rows:  "folders/cat/1 label=cat split= domain=\nfolders/dog/2 label=dog split= domain=\n",
			notes: "the archives hold no labels: the 2 folders in them are taken as classes",
		},
	} {
		table, err := tryList(t, of(dataset.Tar{Patterns: []string{filepath.Join("testdata", "archives", name+".tar")}}))
		if want.err != "" {
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%s: error %v, want one with %q", name, err, want.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		expect(t, name+": rows", described(table), want.rows)
		expect(t, name+": rejects", rejected(table), want.rejects)
		if got := strings.Join(table.Notes, "\n"); got != want.notes {
			t.Errorf("%s: notes %q, want %q", name, got, want.notes)
		}
	}
}

// The picture of a sample is the one with the plain ending, wherever it stands.
func TestPictureBesideOthers(t *testing.T) {
	source := of(dataset.Tar{Patterns: []string{filepath.Join("testdata", "archives", "depth.tar")}})
	table := list(t, source)
	if got := strings.Join(table.Notes, "\n"); !strings.HasSuffix(got, ".depth.png files beside the pictures of their samples are not used") {
		t.Errorf("notes %q", got)
	}
	archive, err := os.ReadFile(filepath.Join("testdata", "archives", "depth.tar"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		head, err := in.Next()
		if err != nil {
			break
		}
		if id, ok := strings.CutSuffix(head.Name, ".jpg"); ok {
			content, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			want["depth/"+id] = string(content)
		}
	}
	if got := readAll(t, table, source); len(want) != 2 || !reflect.DeepEqual(got, want) {
		t.Error("other pictures were read than those that end in .jpg")
	}
}

func TestBraces(t *testing.T) {
	files := map[string]string{}
	for _, shard := range []string{"s-000", "s-001", "s-002", "x"} {
		files[shard+".tar"] = string(tarOf(t, entry{"1.jpg", shard}, entry{"1.cls", "0"}))
	}
	root := write(t, files)
	table := list(t, of(dataset.Tar{Patterns: []string{filepath.Join(root, "{s-{000..001},x}.tar")[:len(root)+1] + "s-{000..001}.tar", filepath.Join(root, "{x,s-002}.tar")}}))
	expect(t, "rows", described(table), "s-000/1 label=0 split= domain=\ns-001/1 label=0 split= domain=\ns-002/1 label=0 split= domain=\nx/1 label=0 split= domain=\n")
	for pattern, want := range map[string]string{
		"s-{001..000}.tar":    "no range of numbers",
		"s-{0..9999999}.tar":  "more than 100000 names",
		"s-{000..003}.tar":    "1 of the 4 files of " + filepath.Join(root, "s-{000..003}.tar") + " are not there: s-003.tar",
		"t-{000..003}.tar":    "there is no file of " + filepath.Join(root, "t-{000..003}.tar") + ", from t-000.tar to t-003.tar",
		"u.tar":               "there is no file " + filepath.Join(root, "u.tar"),
		"{a,b}{1..60000}.tar": "more than 100000 names",
	} {
		if _, err := tryList(t, of(dataset.Tar{Patterns: []string{filepath.Join(root, pattern)}})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", pattern, err, want)
		}
	}
}

// Files that are numbered "of" so many are told of where some are missing.
func TestShardsThatAreMissing(t *testing.T) {
	files := map[string]string{}
	for _, name := range []string{"train-00000-of-00003", "train-00001-of-00003", "val-00000-of-00001"} {
		files[name+".tar"] = string(tarOf(t, entry{"1.jpg", name}, entry{"1.cls", "0"}))
	}
	root := write(t, files)
	for pattern, want := range map[string]string{
		"*.tar":   "train-*-of-00003.tar are 3 files, of which 2 are read; the others: 00002",
		"v*.tar":  "",
		"*01.tar": "",
	} {
		table := list(t, of(dataset.Tar{Patterns: []string{filepath.Join(root, pattern)}}))
		if got := strings.Join(table.Notes, "; "); got != want {
			t.Errorf("%s: notes %q, want %q", pattern, got, want)
		}
	}
}

// Archives of one name in two folders are two archives.
func TestArchivesOfOneName(t *testing.T) {
	root := write(t, map[string]string{
		"train/0.tar": string(tarOf(t, entry{"1.jpg", "a"}, entry{"1.cls", "0"})),
		"val/0.tar":   string(tarOf(t, entry{"1.jpg", "b"}, entry{"1.cls", "1"})),
	})
	table := list(t, of(dataset.Tar{Patterns: []string{filepath.Join(root, "*", "0.tar")}}))
	expect(t, "rows", described(table), "train/0/1 label=0 split= domain=\nval/0/1 label=1 split= domain=\n")
}

// TestTablesAsPeopleHaveThem reads tables with headers, encodings and line ends of other programs.
func TestTablesAsPeopleHaveThem(t *testing.T) {
	root := write(t, map[string]string{"p0.jpg": "a", "p1.jpg": "b"})
	for _, name := range []string{"Lab", "space", "latin", "lazyq", "cr"} {
		data, err := os.ReadFile(filepath.Join("testdata", "tables", name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(root, name+".csv"), string(data))
	}
	wide := []byte{0xFF, 0xFE}
	for _, unit := range utf16.Encode([]rune("path,label\r\np0.jpg,Äpfel\r\np1.jpg,b\r\n")) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	put(t, filepath.Join(root, "wide.csv"), string(wide))
	put(t, filepath.Join(root, "nan.csv"), "path,label\np0.jpg,NaN\np1.jpg,b\n")
	put(t, filepath.Join(root, "class.csv"), "path,Class\np0.jpg,a\np1.jpg,b\n")
	put(t, filepath.Join(root, "nfd.csv"), "path,label\np0.jpg,A\u0308pfel\np1.jpg,\u00c4pfel\n")
	for name, want := range map[string]struct{ rows, note string }{
		"Lab":   {"p0.jpg label=a split= domain=\np1.jpg label=b split= domain=\n", `the column "Label" is taken for label`},
		"space": {"p0.jpg label=a split= domain=\np1.jpg label=b split= domain=\n", ""},
		"latin": {"p0.jpg label=Äpfel split= domain=\np1.jpg label=b split= domain=\n", "not valid UTF-8, read as Windows-1252 (Latin-1)"},
		"wide":  {"p0.jpg label=Äpfel split= domain=\np1.jpg label=b split= domain=\n", "read as UTF-16"},
		"lazyq": {"p0.jpg label=a split= domain= notes=5\" tall\np1.jpg label=b split= domain= notes=ok\n", "the quotes in line 2 are not a table's: quotes inside values are kept as they are"},
		"cr":    {"p0.jpg label=a split= domain=\np1.jpg label=b split= domain=\n", ""},
		"nan":   {"p0.jpg label= split= domain=\np1.jpg label=b split= domain=\n", "1 labels are NaN, which counts as no label"},
		"class": {"p0.jpg label= split= domain= Class=a\np1.jpg label= split= domain= Class=b\n", `if "Class" holds them, say columns: {label: Class}`},
		"nfd":   {"p0.jpg label=Äpfel split= domain=\np1.jpg label=Äpfel split= domain=\n", "spelled with different Unicode characters"},
	} {
		table := list(t, of(dataset.CSV{Path: filepath.Join(root, name+".csv")}))
		expect(t, name, described(table), want.rows)
		if notes := strings.Join(table.Notes, "\n"); !strings.Contains(notes, want.note) || want.note == "" && notes != "" {
			t.Errorf("%s: notes %q, want %q", name, notes, want.note)
		}
	}
}

// Two different rows of one id are an error: which is meant cannot be told.
func TestRowsOfOneIDThatDiffer(t *testing.T) {
	root := write(t, map[string]string{
		"a.jpg": "a", "b.jpg": "b",
		"labels.csv": "path,label\na.jpg,cat\na.jpg,dog\n",
		"ids.csv":    "id,path,label\n1,a.jpg,cat\n1,b.jpg,cat\n",
	})
	for name, want := range map[string]string{
		"labels.csv": `lines 2 and 3 have the same id, "a.jpg", and are different rows: label "cat" and "dog"`,
		"ids.csv":    `lines 2 and 3 have the same id, "1", and are different rows: path `,
	} {
		if _, err := tryList(t, of(dataset.CSV{Path: filepath.Join(root, name)})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
	put(t, filepath.Join(root, "x.tar"), string(tarOf(t, entry{"1.jpg", "a"}, entry{"2.jpg", "b"}, entry{"1.jpg", "c"})))
	if _, err := tryList(t, of(dataset.Tar{Patterns: []string{filepath.Join(root, "x.tar")}})); err == nil || !strings.Contains(err.Error(), "two different rows have the id") {
		t.Errorf("archive: %v", err)
	}
}

// Rows without bytes are the files that their paths name; one of the three is missing.
func TestParquetOfPaths(t *testing.T) {
	source := of(dataset.Parquet{Patterns: []string{"testdata/paths/pathonly.parquet"}})
	table := list(t, source)
	expect(t, "rows", described(table), "pathonly/0 label=0 split= domain=\npathonly/1 label=1 split= domain=\n")
	expect(t, "rejects", rejected(table), "pathonly/2: there are no bytes of a picture in the row, and the file testdata/paths/p2.jpg that it names cannot be read: no such file or directory\n")
	first, err := os.ReadFile("testdata/paths/p0.jpg")
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, table, source)["pathonly/0"]; got != string(first) {
		t.Errorf("%d bytes were read, want %d", len(got), len(first))
	}
}

// pyarrow's compression="lz4" is LZ4_RAW.
func TestParquetOfLZ4(t *testing.T) {
	source := of(dataset.Parquet{Patterns: []string{"testdata/c_lz4.parquet"}})
	table := list(t, source)
	if len(table.Rejects) > 0 || len(table.All) == 0 {
		t.Fatalf("%d rows, rejects %v", len(table.All), table.Rejects)
	}
	for id, data := range readAll(t, table, source) {
		if !strings.HasPrefix(data, "\xff\xd8") {
			t.Errorf("%s is no JPEG", id)
		}
	}
}

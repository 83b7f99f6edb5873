package dataset_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sourcegraph/conc"
	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

func list(t testing.TB, parts ...dataset.Part) *dataset.Table {
	t.Helper()
	table, err := tryList(t, parts...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func tryList(t testing.TB, parts ...dataset.Part) (*dataset.Table, error) {
	t.Helper()
	return dataset.List(context.Background(), pipelinetest.Env(t).Files, 2, parts)
}

func of(s dataset.Source) dataset.Part { return dataset.Part{Source: s} }

// write makes files below a new folder.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		put(t, filepath.Join(root, name), content)
	}
	return root
}

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// described gives rows as lines, for comparing.
func described(table *dataset.Table) string {
	var b strings.Builder
	for _, row := range table.All {
		fmt.Fprintf(&b, "%s label=%s split=%s domain=%s", row.ID, row.Label, row.Split, row.Domain)
		for i, v := range row.Extra {
			fmt.Fprintf(&b, " %s=%s", table.Extra[i], v)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func rejected(table *dataset.Table) string {
	var b strings.Builder
	for _, r := range table.Rejects {
		fmt.Fprintf(&b, "%s: %s\n", r.ID, r.Reason)
	}
	return b.String()
}

func expect(t testing.TB, what, got, want string) {
	t.Helper()
	if want = strings.TrimLeft(want, "\n"); got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

// readAll reads every row of a table through a new set, in an order drawn by
// seed, and holds the bytes against the digest once more.
func readAll(t testing.TB, table *dataset.Table, parts ...dataset.Part) map[string]string {
	t.Helper()
	set, err := dataset.Open(parts)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for i, row := range table.All {
		data, err := set.Read(context.Background(), table.Part(i), row.At, row.Digest)
		if err != nil {
			t.Fatalf("%s: %v", row.ID, err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != row.Digest {
			t.Errorf("%s: other bytes than listed", row.ID)
		}
		out[row.ID] = string(data)
	}
	if err := set.Close(); err != nil {
		t.Error(err)
	}
	return out
}

func TestFolderOfClasses(t *testing.T) {
	root := write(t, map[string]string{
		"cat/1.jpg": "a", "cat/2.JPEG": "b", "cat/deep/er/3.png": "c", "dog/1.webp": "d", "4.gif": "e",
		"cat/.hidden.jpg": "x", ".git/cat/1.jpg": "x", "__MACOSX/cat/1.jpg": "x",
		"cat/notes.txt": "x", "dog/Thumbs.db": "x", "dog/LICENSE": "x",
		"鳥/鶴 1.jpg": "f", "птица/ö.png": "g", "dog/empty.jpg": "",
		"folder.png/inside.jpg": "h",
	})
	if err := os.Mkdir(filepath.Join(root, "cat", "x.png"), 0o755); err != nil {
		t.Fatal(err)
	}
	source := of(dataset.Folder{Path: root})
	table := list(t, source)
	expect(t, "rows", described(table), `
4.gif label= split= domain=
cat/1.jpg label=cat split= domain=
cat/2.JPEG label=cat split= domain=
cat/deep/er/3.png label=cat split= domain=
dog/1.webp label=dog split= domain=
folder.png/inside.jpg label=folder.png split= domain=
птица/ö.png label=птица split= domain=
鳥/鶴 1.jpg label=鳥 split= domain=
`)
	expect(t, "rejects", rejected(table), `
cat/x.png: a folder, not a picture
dog/empty.jpg: the file is empty
`)
	want := root + ": passed over 3 files that are not named as pictures are (1 .db, 1 .txt, 1 without an ending)"
	if len(table.Notes) != 2 || table.Notes[0] != want || table.Notes[1] != root+": 1 picture lies in no class folder and has no label" {
		t.Errorf("notes %q, want %q", table.Notes, want)
	}
	if got := readAll(t, table, source)["鳥/鶴 1.jpg"]; got != "f" {
		t.Errorf("read %q", got)
	}
}

func TestFolderOfSplits(t *testing.T) {
	root := write(t, map[string]string{
		"Train/cat/1.jpg": "a", "Train/dog/1.jpg": "b", "validation/cat/2.jpg": "c", "test/3.jpg": "d",
	})
	expect(t, "rows", described(list(t, of(dataset.Folder{Path: root}))), `
Train/cat/1.jpg label=cat split=train domain=
Train/dog/1.jpg label=dog split=train domain=
test/3.jpg label= split=test domain=
validation/cat/2.jpg label=cat split=val domain=
`)
	expect(t, "as classes", described(list(t, of(dataset.Folder{Path: root, Layout: dataset.LayoutClasses}))), `
Train/cat/1.jpg label=Train split= domain=
Train/dog/1.jpg label=Train split= domain=
test/3.jpg label=test split= domain=
validation/cat/2.jpg label=validation split= domain=
`)
}

func TestFolderThatCouldBeEither(t *testing.T) {
	vehicles := write(t, map[string]string{"train/1.jpg": "a", "bus/1.jpg": "b"})
	expect(t, "rows", described(list(t, of(dataset.Folder{Path: vehicles}))), `
bus/1.jpg label=bus split= domain=
train/1.jpg label=train split= domain=
`)
	both := write(t, map[string]string{"train/a/1.jpg": "a", "test/a/1.jpg": "b", "extra/1.jpg": "c"})
	_, err := tryList(t, of(dataset.Folder{Path: both}))
	if want := both + " has folders named as splits are, and others: extra; say layout: splits or layout: classes"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFolderNamesThatAreNotUTF8(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "caf\xe9.jpg"), []byte("a"), 0o644); err != nil {
		t.Skip("the file system refuses such names")
	}
	source := of(dataset.Folder{Path: root})
	table := list(t, source)
	expect(t, "rows", described(table), "caf%E9.jpg label= split= domain=\n")
	if got := readAll(t, table, source)["caf%E9.jpg"]; got != "a" {
		t.Errorf("read %q", got)
	}
}

// failing fails for some files, as a disk or a permission would.
type failing struct {
	pipeline.Files
	errs map[string]error // by base name
}

func (f failing) Digest(ctx context.Context, path string) (string, error) {
	if err := f.errs[filepath.Base(path)]; err != nil {
		return "", err
	}
	return f.Files.Digest(ctx, path)
}

func TestUnreadableFilesAreRejected(t *testing.T) {
	root := write(t, map[string]string{"a/1.jpg": "a", "a/2.jpg": "b", "a/3.jpg": "c"})
	files := failing{pipelinetest.Env(t).Files, map[string]error{
		"1.jpg": &os.PathError{Op: "open", Path: "1.jpg", Err: syscall.EACCES},
		"3.jpg": &os.PathError{Op: "read", Path: "3.jpg", Err: syscall.EIO},
	}}
	parts := []dataset.Part{of(dataset.Folder{Path: root})}
	table, err := dataset.List(context.Background(), files, 2, parts)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "rows", described(table), "a/2.jpg label=a split= domain=\n")
	expect(t, "rejects", rejected(table), `
a/1.jpg: the file cannot be read: permission denied
a/3.jpg: the file cannot be read: input/output error
`)
	changed := errors.New("changed while it was read")
	files.errs["2.jpg"] = changed
	if _, err := dataset.List(context.Background(), files, 2, parts); !errors.Is(err, changed) {
		t.Errorf("got %v, want %v", err, changed)
	}
	if _, err := tryList(t, of(dataset.Folder{Path: filepath.Join(root, "none")})); err == nil || !strings.HasPrefix(err.Error(), "list the folder: ") {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestCSVWithAnotherSeparator(t *testing.T) {
	root := write(t, map[string]string{"table.csv": "path;label\na.jpg;cat\n"})
	_, err := tryList(t, of(dataset.CSV{Path: filepath.Join(root, "table.csv")}))
	if err == nil || !strings.Contains(err.Error(), `separated by ";", say so with separator`) {
		t.Errorf("error is %v", err)
	}
}

func TestCSV(t *testing.T) {
	root := write(t, map[string]string{
		"pictures/b.jpg": "b", "pictures/a.jpg": "a", "pictures/c.jpg": "c",
		"table.csv": "\xEF\xBB\xBFpath,label,fold,domain,height,copy\n" +
			"b.jpg,\"cat, big\",Validation,zoo,12,x\n" +
			"a.jpg,dog,,,\n" +
			"a.jpg,dog,train,,7,\n" +
			"a.jpg,dog,train,,7,\n" +
			"c.jpg,cat,fold3,,7,\n" +
			",cat,train,,,\n" +
			"none.jpg,cat,train,,,\n",
	})
	source := of(dataset.CSV{Path: filepath.Join(root, "table.csv"), Root: filepath.Join(root, "pictures"), Columns: map[string]string{"split": "fold"}})
	table := list(t, source)
	expect(t, "rows", described(table), `
a.jpg label=dog split=train domain= height=7 copy_=
b.jpg label=cat, big split=val domain=zoo height=12 copy_=x
`)
	expect(t, "rejects", rejected(table), `
line 3: 5 values for 6 columns
a.jpg: listed again in line 5
c.jpg: split "fold3" in line 6 is not train, val or test
line 7: there is no path in line 7
none.jpg: the file cannot be read: no such file or directory
`)
	if want := []string{`the column "copy" is kept as "copy_"`}; !slices.Equal(table.Notes, want) {
		t.Errorf("notes %q", table.Notes)
	}
	readAll(t, table, source)
}

func TestCSVColumns(t *testing.T) {
	root := write(t, map[string]string{
		"1.jpg": "a", "2.jpg": "b",
		"t.tsv": "file\tname\tsplit\n1.jpg\tx\t0\n2.jpg\ty\t1\n",
		"s.csv": "path;label\n1.jpg;a\n",
		"twice": "path,path\n", "none": "", "quote": "path\n\"a\n",
	})
	table := list(t, of(dataset.CSV{Path: filepath.Join(root, "t.tsv"), Columns: map[string]string{"path": "file", "id": "name", "split": ""}}))
	expect(t, "rows", described(table), "x label= split= domain= split_=0\ny label= split= domain= split_=1\n")
	table = list(t, of(dataset.CSV{Path: filepath.Join(root, "s.csv"), Separator: ';'}))
	expect(t, "rows", described(table), "1.jpg label=a split= domain=\n")
	for name, want := range map[string]string{
		"t.tsv": `there is no column "path" for the path; columns: file, name, split; if "file" holds the paths, say columns: {path: file}`,
		"twice": `two columns are named "path"`,
		"none":  "it is empty; the first line must name the columns",
		"quote": `line 2: a quote is opened and not closed in its line`,
	} {
		_, err := tryList(t, of(dataset.CSV{Path: filepath.Join(root, name)}))
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want … %s", name, err, want)
		}
	}
}

type entry struct{ name, content string }

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		head := &tar.Header{Name: e.name, Size: int64(len(e.content)), Mode: 0o644, Typeflag: tar.TypeReg}
		if strings.HasSuffix(e.name, "/") {
			head.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(head); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var shard = []entry{
	{"a/", ""},
	{"a/0001.jpg", "one"}, {"a/0001.cls", "1\n"}, {"a/0001.txt", " A cat. "},
	{"a/0002.json", `{"label": 0, "split": "val", "width": 12, "blue": true, "boxes": [1]}`}, {"a/0002.png", "two"},
	{"a/0003.cls", "1"},
	{"a/0004.jpg", "four"}, {"a/0004.json", "{"},
	{"a/0005.jpg", ""},
	{"a/0006.left.jpg", "six"}, {"a/0006.seg.png", "mask"}, {"a/0006.cls", "7"},
	{"a/._0007.jpg", "rubbish of a Mac"},
	{"a/0001.jpg", "one"}, {"a/0001.cls", "1"},
}

func TestTar(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "train-000.tar"), string(tarOf(t, shard...)))
	put(t, filepath.Join(root, "test-000.tar.gz"), string(zipped(t, tarOf(t, shard[1], shard[5]))))
	put(t, filepath.Join(root, "text.tar"), strings.Repeat("no archive ", 100))
	source := of(dataset.Tar{Patterns: []string{filepath.Join(root, "*.tar*")}, Classes: []string{"dog", "cat"}})
	table := list(t, source)
	expect(t, "rows", described(table), `
test-000/a/0001 label= split=test domain= blue= caption= width=
test-000/a/0002 label= split=test domain= blue= caption= width=
train-000/a/0001 label=cat split=train domain= blue= caption=A cat. width=
train-000/a/0002 label=dog split=val domain= blue=true caption= width=12
`)
	expect(t, "rejects", rejected(table), `
text: not a tar archive: archive/tar: invalid tar header
train-000/a/0003: there is no picture in the sample
train-000/a/0004: its .json file is malformed: unexpected EOF
train-000/a/0005: the file is empty
train-000/a/0006: which of its pictures is meant cannot be told: 0006.left.jpg, 0006.seg.png
train-000/a/0001: another row has the same id
`)
	got := readAll(t, table, source)
	if want := map[string]string{"test-000/a/0001": "one", "test-000/a/0002": "two", "train-000/a/0001": "one", "train-000/a/0002": "two"}; !reflect.DeepEqual(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

// What an archive is unpacked into has no name while it is read, so that a
// process that is killed leaves nothing in the folder of temporary files.
func TestUnpackingLeavesNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("open files have names there")
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	root := t.TempDir()
	put(t, filepath.Join(root, "a.tar.gz"), string(zipped(t, tarOf(t, shard...))))
	source := dataset.Tar{Patterns: []string{filepath.Join(root, "*.tar.gz")}}
	table := list(t, of(source))
	reader, err := source.Open()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		data, err := reader.Read(context.Background(), table.All[0].At)
		if err != nil || string(data) != "one" {
			t.Errorf("read %q, %v", data, err)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
			t.Errorf("%v %v", left, err)
		}
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
}

// A data set may be of more archives than a process may have open files.
func TestManyArchives(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("open files are counted in /proc")
	}
	const archives = 80
	t.Setenv("TMPDIR", t.TempDir())
	root := t.TempDir()
	for i := range archives {
		packed := tarOf(t, entry{"1.jpg", fmt.Sprint("picture ", i)})
		put(t, filepath.Join(root, fmt.Sprintf("plain-%03d.tar", i)), string(packed))
		put(t, filepath.Join(root, fmt.Sprintf("zipped-%03d.tar.gz", i)), string(zipped(t, packed)))
	}
	openFiles := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := openFiles()
	source := dataset.Tar{Patterns: []string{filepath.Join(root, "*")}}
	table := list(t, of(source))
	reader, err := source.Open()
	if err != nil {
		t.Fatal(err)
	}
	var group conc.WaitGroup
	var most atomic.Int64
	for range 4 {
		group.Go(func() {
			for i, row := range table.All {
				data, err := reader.Read(context.Background(), row.At)
				if err != nil || string(data) != fmt.Sprint("picture ", i%archives) {
					t.Errorf("%s: %q, %v", row.ID, data, err)
				}
				most.Store(max(most.Load(), int64(openFiles()-before)))
			}
		})
	}
	group.Wait()
	if n := most.Load(); n < 4 || n > 60 {
		t.Errorf("%d files were open for %d archives", n, 2*archives)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if n := openFiles(); n > before {
		t.Errorf("%d files are open afterwards", n-before)
	}
}

func TestDamagedTar(t *testing.T) {
	whole := tarOf(t, entry{"1.jpg", strings.Repeat("a", 600)}, entry{"2.jpg", strings.Repeat("b", 600)})
	root := write(t, map[string]string{"cut.tar": string(whole[:1536+512+100])})
	table := list(t, of(dataset.Tar{Patterns: []string{filepath.Join(root, "cut.tar")}}))
	expect(t, "rows", described(table), "cut/1 label= split= domain=\n")
	expect(t, "rejects", rejected(table), "cut/2: the archive is damaged after 1 samples: unexpected EOF\n")
	if _, err := tryList(t, of(dataset.Tar{Patterns: []string{filepath.Join(root, "*.tgz")}})); err == nil {
		t.Error("a pattern that names no file was taken")
	}
}

func TestParquet(t *testing.T) {
	var digests []string
	text, err := os.ReadFile("testdata/pixels.json")
	if err == nil {
		err = json.Unmarshal(text, &digests)
	}
	if err != nil {
		t.Fatal(err)
	}
	source := of(dataset.Parquet{Patterns: []string{"testdata/train-*.parquet"}})
	table := list(t, source)
	expect(t, "rows", described(table), `
train-00000-of-00001/0 label=cat split=train domain= width=3
train-00000-of-00001/1 label=dog split=train domain= width=3
train-00000-of-00001/2 label=cat split=train domain= width=
train-00000-of-00001/4 label= split=train domain= width=3
train-00000-of-00001/5 label=dog split=train domain= width=3
`)
	expect(t, "rejects", rejected(table), "train-00000-of-00001/3: there are no bytes of a picture in the row, and the file testdata/3.png that it names cannot be read: no such file or directory\n")
	for i, at := range []int{0, 1, 2, 4, 5} {
		if table.All[i].Digest != digests[at] {
			t.Errorf("row %d: digest %s, pyarrow says %s", at, table.All[i].Digest, digests[at])
		}
	}
	readAll(t, table, source)
	slices.Reverse(table.All) // every read a step back
	readAll(t, table, source)

	plain := of(dataset.Parquet{Patterns: []string{"testdata/plain.parquet"}, Columns: map[string]string{"image": "picture", "label": "kind", "id": "key", "split": "fold"}})
	table = list(t, plain)
	expect(t, "rows", described(table), `
plain/a label=cat split=train domain=
plain/b label= split=val domain=
plain/c label=dog split=test domain=
`)
	readAll(t, table, plain)
}

func TestParquetThatIsNone(t *testing.T) {
	root := write(t, map[string]string{"a.parquet": "PAR1 not at all PAR1", "b.parquet": ""})
	expect(t, "rejects", rejected(list(t, of(dataset.Parquet{Patterns: []string{filepath.Join(root, "*.parquet")}}))), `
a: not a Parquet file: a footer of 543976545 bytes in a file of 20
b: not a Parquet file: it is too short
`)
	for column, want := range map[string]string{
		"image": "plain: there is no column of pictures; columns: picture, kind, key, fold\n",
		"label": `plain: there is no column "none" for the label; columns: kind, key, fold` + "\n",
	} {
		source := dataset.Parquet{Patterns: []string{"testdata/plain.parquet"}, Columns: map[string]string{column: "none"}}
		expect(t, "rejects", rejected(list(t, of(source))), want)
	}
}

func idx(shape []int, values ...byte) string {
	out := []byte{0, 0, 8, byte(len(shape))}
	for _, n := range shape {
		out = append(out, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return string(append(out, values...))
}

func TestIDX(t *testing.T) {
	root := write(t, map[string]string{
		"t10k-images": idx([]int{3, 1, 2}, 1, 2, 3, 4, 5, 6), "labels": idx([]int{3}, 7, 0, 1),
		"short": idx([]int{3, 1, 2}, 1, 2, 3), "lies": idx([]int{1 << 30, 1, 1}), "one": idx([]int{1}, 0), "text": "no",
		"floats": "\x00\x00\x0D\x03",
	})
	put(t, filepath.Join(root, "colour.gz"), string(zipped(t, []byte(idx([]int{2, 1, 1, 3}, 1, 2, 3, 4, 5, 6)))))
	at := func(name string) string { return filepath.Join(root, name) }

	source := of(dataset.IDX{Images: at("t10k-images"), Labels: at("labels")})
	table := list(t, source)
	expect(t, "rows", described(table), `
t10k-images/0 label=7 split=test domain=
t10k-images/1 label=0 split=test domain=
t10k-images/2 label=1 split=test domain=
`)
	if got := readAll(t, table, source)["t10k-images/1"]; got != "P5 2 1 255\n\x03\x04" {
		t.Errorf("read %q", got)
	}
	table = list(t, of(dataset.IDX{Images: at("t10k-images"), Labels: at("labels"), Classes: []string{"x", "y"}}))
	expect(t, "rows", described(table), "t10k-images/1 label=x split=test domain=\nt10k-images/2 label=y split=test domain=\n")
	expect(t, "rejects", rejected(table), "t10k-images/0: label 7, but 2 classes are named\n")

	colour := of(dataset.IDX{Images: at("colour.gz")})
	table = list(t, colour)
	if got := readAll(t, table, colour)["colour/1"]; got != "P6 1 1 255\n\x04\x05\x06" {
		t.Errorf("read %q", got)
	}
	for name, want := range map[string]string{
		"short":  "short: the data ends after 1 of 3 pictures\n",
		"lies":   "lies: the data ends after 0 of 1073741824 pictures\n",
		"one":    "one: shape [1] is not that of pictures\n",
		"text":   "text: not an IDX file: it is too short\n",
		"floats": "floats: IDX values of type 0x0d are not supported, only bytes (0x08)\n",
	} {
		expect(t, name, rejected(list(t, of(dataset.IDX{Images: at(name)}))), want)
	}
	if _, err := tryList(t, of(dataset.IDX{Images: at("none")})); err == nil || err.Error() != "there is no file "+at("none") {
		t.Errorf("pictures that are not there: %v", err)
	}
	_, err := tryList(t, of(dataset.IDX{Images: at("t10k-images"), Labels: at("one")}))
	if err == nil || !strings.Contains(err.Error(), "1 labels for the 3 pictures") {
		t.Errorf("labels that are too few: %v", err)
	}
}

func TestEmoji(t *testing.T) {
	source := dataset.Part{Source: dataset.Emoji{}, Only: map[string][]string{"domain": {"noto", "fluent"}, "label": {"face"}}}
	table := list(t, source)
	if len(table.All) != 42 || !slices.Equal(table.Extra, []string{"object", "caption"}) {
		t.Fatalf("%d rows with %v", len(table.All), table.Extra)
	}
	for id, data := range readAll(t, table, source) {
		if len(data) < 100 || strings.HasPrefix(id, "twemoji") {
			t.Errorf("%s has %d bytes", id, len(data))
		}
	}
}

func TestSeveralSources(t *testing.T) {
	root := write(t, map[string]string{
		"a/cat/1.jpg": "a", "a/dog/1.jpg": "b", "b/cat/1.jpg": "c",
		"b.csv": "path,label,age\nb/cat/1.jpg,cat,3\n",
	})
	parts := []dataset.Part{
		{Source: dataset.Folder{Path: filepath.Join(root, "a")}, Domain: "photo"},
		{Source: dataset.CSV{Path: filepath.Join(root, "b.csv")}, Domain: "sketch", Label: "CAT"},
		{Source: dataset.Folder{Path: filepath.Join(root, "a")}, Split: "test", Domain: "again"},
	}
	table := list(t, parts...)
	expect(t, "rows", described(table), `
photo/cat/1.jpg label=cat split= domain=photo age=
photo/dog/1.jpg label=dog split= domain=photo age=
sketch/b/cat/1.jpg label=CAT split= domain=sketch age=3
again/cat/1.jpg label=cat split=test domain=again age=
again/dog/1.jpg label=dog split=test domain=again age=
`)
	readAll(t, table, parts...)
	_, err := tryList(t, of(dataset.Folder{Path: filepath.Join(root, "a")}), of(dataset.Folder{Path: filepath.Join(root, "b")}))
	if want := `the id "cat/1.jpg" occurs in sources 1 and 2; give each a domain, which becomes part of its ids`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = tryList(t, dataset.Part{Source: dataset.Folder{Path: root}, Only: map[string][]string{"size": {"1"}}})
	if want := `there is no column "size"; columns: id, label, split, domain`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A draw of n rows is a part of every larger draw, and of the draw from more
// rows only those are missing that new ones displaced.
func TestLimit(t *testing.T) {
	files := map[string]string{}
	for i := range 60 {
		files[fmt.Sprintf("c/%02d.jpg", i)] = fmt.Sprint(i)
	}
	root := write(t, files)
	draw := func(n int) []string {
		var ids []string
		for _, row := range list(t, dataset.Part{Source: dataset.Folder{Path: root}, Limit: n}).All {
			ids = append(ids, row.ID)
		}
		return ids
	}
	few, more := draw(10), draw(25)
	if len(few) != 10 || len(more) != 25 || len(draw(0)) != 60 || len(draw(1000)) != 60 {
		t.Fatalf("%d and %d rows", len(few), len(more))
	}
	for _, id := range few {
		if !slices.Contains(more, id) {
			t.Errorf("%s is in the draw of 10, not in that of 25", id)
		}
	}
	put(t, filepath.Join(root, "c/new.jpg"), "new")
	gone := 0
	after := draw(25)
	for _, id := range more {
		if !slices.Contains(after, id) {
			gone++
		}
	}
	if gone > 1 {
		t.Errorf("one file more displaced %d rows", gone)
	}
}

// What changed between listing and reading is never handed out.
func TestChanged(t *testing.T) {
	root := write(t, map[string]string{
		"f/1.jpg": "before", "a.csv": "path\nf/1.jpg\n",
		"i":     idx([]int{1, 2, 3}, 1, 2, 3, 4, 5, 6),
		"t.tar": string(tarOf(t, entry{"1.jpg", "before"})),
	})
	parquet, err := os.ReadFile("testdata/train-00000-of-00001.parquet")
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(root, "p.parquet"), string(parquet))
	at := func(name string) string { return filepath.Join(root, name) }
	for name, c := range map[string]struct {
		source dataset.Source
		file   string
		after  string // "" removes the file
	}{
		"file":         {dataset.Folder{Path: at("f")}, "f/1.jpg", "after!"},
		"shorter file": {dataset.Folder{Path: at("f")}, "f/1.jpg", "aft"},
		"file gone":    {dataset.CSV{Path: at("a.csv")}, "f/1.jpg", ""},
		"tar":          {dataset.Tar{Patterns: []string{at("t.tar")}}, "t.tar", string(tarOf(t, entry{"1.jpg", "after!"}))},
		"shorter tar":  {dataset.Tar{Patterns: []string{at("t.tar")}}, "t.tar", "short"},
		"idx":          {dataset.IDX{Images: at("i")}, "i", idx([]int{1, 3, 2}, 1, 2, 3, 4, 5, 6)},
		"parquet":      {dataset.Parquet{Patterns: []string{at("p.parquet")}}, "p.parquet", strings.ReplaceAll(string(parquet), "IDAT", "IDAX")},
	} {
		before, err := os.ReadFile(at(c.file))
		if err != nil {
			t.Fatal(err)
		}
		table := list(t, of(c.source))
		if c.after == "" {
			err = os.Remove(at(c.file))
		} else {
			err = os.WriteFile(at(c.file), []byte(c.after), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		set, err := dataset.Open([]dataset.Part{of(c.source)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = set.Read(context.Background(), 0, table.All[0].At, table.All[0].Digest)
		if want := at(c.file) + " changed while the pipeline was running; run it again"; !errors.Is(err, dataset.ErrChanged) || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if err := set.Close(); err != nil {
			t.Error(err)
		}
		put(t, at(c.file), string(before))
	}
}

func TestListingGoesThereAndBack(t *testing.T) {
	root := write(t, map[string]string{"x.csv": "path,label,age\na.jpg,cat,3\nb.jpg,,\n", "a.jpg": "a", "b.jpg": "b"})
	table := list(t, of(dataset.CSV{Path: filepath.Join(root, "x.csv")}))
	rec := table.Record()
	defer rec.Release()
	for _, f := range rec.Schema().Fields() {
		where, _ := f.Metadata.GetValue(pipeline.LocationColumn)
		if (where == "true") != strings.HasPrefix(f.Name, "location.") {
			t.Errorf("column %s: location %q", f.Name, where)
		}
	}
	part := rec.NewSlice(1, 2)
	defer part.Release()
	listed, err := dataset.ParseListing(part)
	if err != nil {
		t.Fatal(err)
	}
	source, at, digest := listed.Source(0)
	if listed.Len() != 1 || source != 0 || at != table.All[1].At || digest != table.All[1].Digest {
		t.Errorf("row of source %d at %+v", source, at)
	}
	if want := []string{"id", dataset.ContentColumn, "label", "split", "domain", "age"}; !slices.Equal(record.ColumnNames(rec.Schema())[:6], want) {
		t.Errorf("columns %v, want %v", record.ColumnNames(rec.Schema()), want)
	}
}

func TestUniformIsUniformAndStable(t *testing.T) {
	if got := dataset.Uniform("limit", "cat/1.jpg"); got != 0.930209626760657 {
		t.Errorf("draw is %v: every split would change", got)
	}
	const n = 20000
	var bins [10]int
	for i := range n {
		bins[int(10*dataset.Uniform("", fmt.Sprint(i)))]++
	}
	for i, count := range bins {
		if count < n/10-250 || count > n/10+250 { // 5.9 standard deviations
			t.Errorf("bin %d has %d of %d", i, count, n)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		if dataset.Uniform(a, b) == dataset.Uniform(a+"x", b) || dataset.Uniform(a+"x", b) == dataset.Uniform(a, "x"+b) {
			t.Fatal("two texts give one draw")
		}
	})
}

// The fuzz targets hold one thing: a file of any content is listed, rejected
// or refused, and what is listed can be read.

func FuzzIDX(f *testing.F) {
	budgettest.Seeds(f, 300, []byte(idx([]int{2, 1, 2}, 1, 2, 3, 4)), []byte(idx([]int{1, 1, 1, 3}, 1, 2, 3)), zipped(f, []byte(idx([]int{2, 1, 2}, 1, 2, 3, 4))))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "file")
		put(t, path, string(data))
		fuzzed(t, len(data), dataset.IDX{Images: path, Limits: fuzzLimits})
		fuzzed(t, len(data), dataset.IDX{Images: path, Labels: path, Limits: fuzzLimits})
	})
}

func FuzzTar(f *testing.F) {
	budgettest.Seeds(f, 400, tarOf(f, shard...), zipped(f, tarOf(f, shard...)))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "file.tar")
		put(t, path, string(data))
		fuzzed(t, len(data), dataset.Tar{Patterns: []string{path}, Classes: []string{"a", "b"}, Limits: fuzzLimits})
	})
}

func FuzzCSV(f *testing.F) {
	budgettest.Seeds(f, 300, []byte("path,label,split,domain,id,age\nfile,a,val,b,c,3\n"), []byte("\xEF\xBB\xBFpath\n\"fi\"\"le\"\n\n,"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "file")
		put(t, path, string(data))
		fuzzed(t, len(data), dataset.CSV{Path: path, Limits: fuzzLimits})
		fuzzed(t, len(data), dataset.CSV{Path: path, Separator: ';', Columns: map[string]string{"path": "a", "split": ""}, Limits: fuzzLimits})
	})
}

func FuzzParquet(f *testing.F) {
	var seeds [][]byte
	for _, name := range []string{"plain.parquet", "train-00000-of-00001.parquet"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, data)
	}
	budgettest.Seeds(f, 500, seeds...)
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "file.parquet")
		put(t, path, string(data))
		fuzzed(t, len(data), dataset.Parquet{Patterns: []string{path}, Limits: fuzzLimits})
		fuzzed(t, len(data), dataset.Parquet{Patterns: []string{path}, Columns: map[string]string{"image": "picture", "label": "kind"}, Limits: fuzzLimits})
	})
}

// fuzzLimits keep what a few damaged bytes may cost below what the test allows.
var fuzzLimits = dataset.Limits{Memory: 4 << 20, Unpacked: 16 << 20}

func fuzzed(t *testing.T, size int, source dataset.Source) {
	budgettest.Within(t, size, func() {
		table, err := tryList(t, of(source))
		if err != nil {
			return
		}
		readAll(t, table, of(source))
		table.Record().Release()
	})
}

// fewFiles is a process that has too many files open.
type fewFiles struct{ pipeline.Files }

func (fewFiles) Digest(_ context.Context, path string) (string, error) {
	return "", &os.PathError{Op: "open", Path: path, Err: syscall.EMFILE}
}

func (fewFiles) Derived(_ context.Context, path, _ string, _ func() ([]byte, error)) ([]byte, error) {
	return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EMFILE}
}

// That a process has too many files open says nothing of a picture: no row is
// rejected for it.
func TestTooManyOpenFilesIsNoReject(t *testing.T) {
	root := write(t, map[string]string{"a/1.png": "one", "b/2.png": "two", "a.tar": string(tarOf(t, shard...))})
	for _, source := range []dataset.Source{dataset.Folder{Path: root}, dataset.Tar{Patterns: []string{filepath.Join(root, "a.tar")}}} {
		table, err := dataset.List(context.Background(), fewFiles{}, 2, []dataset.Part{of(source)})
		if !errors.Is(err, syscall.EMFILE) {
			t.Errorf("%T: %+v, %v", source, table, err)
		}
	}
}

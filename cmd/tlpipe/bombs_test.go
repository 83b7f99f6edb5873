//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
)

// What reading any file may take, however few bytes it has.
const (
	bombMemory = 1 << 30
	bombTime   = 10 * time.Second // of the processor, so that a busy machine does not matter
)

// TestBombs feeds every reader files that stand for far more than they are. Each must be refused, or read, within the
// memory and time that reading may take, and with an error that is for people.
func TestBombs(t *testing.T) {
	if os.Getenv("TLPIPE_HEAVY") == "" {
		t.Skip("makes gigabytes")
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	create := func(name string, write func(w io.Writer)) string {
		f, err := os.Create(at(name))
		if err != nil {
			t.Fatal(err)
		}
		write(f)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return at(name)
	}
	hole := func(name string) string {
		path := create(name, func(io.Writer) {})
		if err := os.Truncate(path, 4<<40); err != nil {
			t.Skip(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		source  string // of the pictures
		weights string // of the backbone
		yaml    string // of the whole pipeline
		want    string
		code    int
	}{
		"an IDX file of zeros": {code: 1, want: "limits.memory",
			source: "{idx: {images: " + create("zeros.idx.gz", func(w io.Writer) { gzipZeros(w, idxHead(1<<31-1, 1, 1), 2<<30) }) + "}}"},
		"labels of zeros": {code: 1, want: "labels",
			source: "{idx: {images: " + create("one.idx", func(w io.Writer) { _, _ = w.Write(append(idxHead(1, 1, 1), 0)) }) +
				", labels: " + create("labels.gz", func(w io.Writer) { gzipZeros(w, []byte{0, 0, 8, 1, 0x7F, 0xFF, 0xFF, 0xFF}, 2<<30) }) + "}}"},
		"a picture of zeros in an archive": {code: 1, want: "limits.unpacked",
			source: "{tar: " + create("zeros.tar.gz", func(w io.Writer) { gzipZeros(w, tarHead(t, "1.png", 6<<30), 6<<30) }) + "}"},
		"labels of zeros in an archive": {code: 1, want: "limits.memory",
			source: "{tar: " + create("sidecars.tar.gz", func(w io.Writer) {
				z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
				for i := range 40 {
					_, _ = z.Write(tarHead(t, fmt.Sprintf("1.%d.json", i), 15<<20))
					_, _ = z.Write(make([]byte, 15<<20))
				}
				_ = z.Close()
			}) + "}"},
		"a value that many rows share": {code: 1, want: "limits.", source: "{parquet: " + create("dictionary.parquet", func(w io.Writer) { parquetBomb(t, w, 40, 40<<20) }) + "}"},
		"a value of hundreds of MB":    {code: 1, want: "limits.", source: "{parquet: " + create("page.parquet", func(w io.Writer) { parquetBomb(t, w, 1, 300<<20) }) + "}"},
		"a million columns": {code: 1, want: "limits.columns",
			source: "{csv: " + create("columns.csv", func(w io.Writer) {
				var b bytes.Buffer
				b.WriteString("path")
				for i := range 1_000_000 {
					fmt.Fprintf(&b, ",c%d", i)
				}
				_, _ = w.Write(append(b.Bytes(), '\n'))
			}) + "}"},
		"a line without end": {code: 1, want: "a row of more than 16 MB",
			source: "{csv: " + create("line.csv", func(w io.Writer) { text(w, "path\n", "x", 300<<20) }) + "}"},
		"a quote without end": {code: 1, want: "a row of more than 16 MB",
			source: "{csv: " + create("quote.csv", func(w io.Writer) { text(w, "path\n\"", "y\n", 300<<20) }) + "}"},
		"a picture that is a hole":       {code: 1, want: "sparse", source: "{folder: " + filepath.Dir(hole(mkdir(t, dir, "hole", "1.png"))) + "}"},
		"an archive that is a hole":      {code: 1, want: "sparse", source: "{tar: " + hole("hole.tar") + "}"},
		"a table that is a hole":         {code: 1, want: "sparse", source: "{csv: " + hole("hole.csv") + "}"},
		"a picture of 98 million pixels": {code: 0, want: "1 row", source: "{folder: " + filepath.Dir(create(mkdir(t, dir, "large", "1.png"), func(w io.Writer) { greyPNG(w, 9900) })) + "}"},
		"pixels upon pixels":             {code: 1, want: "more than the 100 million allowed", source: "{folder: " + filepath.Dir(create(mkdir(t, dir, "larger", "1.png"), func(w io.Writer) { greyPNG(w, 12_000) })) + "}"},
		"weights that are a hole":        {code: 2, want: "no", weights: hole("hole.safetensors")},
		"folders that link to others":    {code: 1, want: "", source: "{folder: " + linked(t, dir) + "}"},
		"names without end": {code: 2, want: "more than 32768 entries", weights: create("names.safetensors", func(w io.Writer) {
			var b bytes.Buffer
			b.WriteString("{")
			for i := range 300_000 {
				fmt.Fprintf(&b, `"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`, i)
			}
			b.Truncate(b.Len() - 1)
			b.WriteString("}")
			_, _ = w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.Bytes()...))
		})},
		"variables that double": {code: 2, want: "the limit", yaml: doubling()},
		"a matrix of a million": {code: 2, want: "max_instances", yaml: "stages:\n  a: {uses: preprocess, with: {source: {builtin: emoji}, for: pixels}, matrix: {" +
			strings.Join(axes(6), ", ") + "}}\n"},
		"an axis of 100,000": {code: 2, want: "max_instances", yaml: "stages:\n  a: {uses: preprocess, with: {source: {builtin: emoji}, for: pixels}, matrix: {a: [" + numbers(100_000) + "]}}\n"},
		"a million variables": {code: 2, want: "max_values", yaml: "vars:\n" + repeated(1_000_000, func(i int) string { return fmt.Sprintf("  k%d: 1\n", i) }) +
			"stages:\n  a: {uses: preprocess, with: {source: {builtin: emoji}, for: pixels}}\n"},
		"100,000 unknown keys": {code: 2, want: "more problems", yaml: repeated(100_000, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }) +
			"stages:\n  a: {uses: preprocess, with: {source: {builtin: emoji}, for: pixels}}\n"},
		"pixels beyond memory": {code: 2, want: "each of its rows takes about 7.25 GB of memory, and stages may take 1 GB together", yaml: "stages:\n  a: {uses: preprocess, with: {source: {builtin: emoji}, for: pixels, size: 16384, store: float32}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.yaml
			switch {
			case c.source != "":
				text = "stages:\n  images: {uses: preprocess, with: {source: " + c.source + ", for: pixels, size: 8}}\n"
			case c.weights != "":
				text = "stages:\n  images: {uses: preprocess, with: {source: {builtin: emoji, limit: 2}, for: mobilenet_v2}}\n" +
					"  features: {uses: extract, from: images, with: {backbone: mobilenet_v2, weights: " + c.weights + "}}\n"
			}
			file := filepath.Join(t.TempDir(), "p.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*bombTime)
			defer cancel()
			command := exec.CommandContext(ctx, "tlpipe", "run", "--memory", "1GB", file)
			command.Env = append(os.Environ(), "TLPIPE_CACHE="+filepath.Join(t.TempDir(), "cache"), "GOMAXPROCS=2")
			forgetPeak(t)
			out, err := command.CombinedOutput()
			code := 0
			if exit := new(exec.ExitError); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			used := command.ProcessState.SysUsage().(*syscall.Rusage)
			took := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
			t.Logf("%d MB, %s", used.Maxrss>>10, took)
			if memory := used.Maxrss << 10; memory > bombMemory || took > bombTime {
				t.Errorf("it took %d MB and %s", memory>>20, took)
			}
			if code != c.code || !strings.Contains(string(out), c.want) || bytes.Contains(out, []byte("goroutine ")) {
				t.Errorf("exit code %d, want %d and %q:\n%.2000s", code, c.code, c.want, out)
			}
		})
	}
}

// forgetPeak makes the memory that this process took before no part of what is told of the ones that it starts: on Linux
// a process begins with its parent's peak.
func forgetPeak(t *testing.T) {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skip("the peak of this process cannot be forgotten: ", err)
	}
}

func idxHead(shape ...uint32) []byte {
	out := []byte{0, 0, 8, byte(len(shape))}
	for _, n := range shape {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	return out
}

// gzipZeros writes a beginning and then zeros, packed.
func gzipZeros(w io.Writer, begin []byte, zeros int) {
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
	_, _ = z.Write(begin)
	_ = z.Close()
	// The rest is one packed member of zeros, again and again.
	var member bytes.Buffer
	const size = 64 << 20
	z.Reset(&member)
	_, _ = z.Write(make([]byte, size))
	_ = z.Close()
	for range zeros / size {
		_, _ = w.Write(member.Bytes())
	}
}

// greyPNG writes a square picture of one shade, packed.
func greyPNG(w io.Writer, side uint32) {
	chunk := func(kind string, body []byte) {
		out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
		out = append(append(out, kind...), body...)
		_, _ = w.Write(binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:])))
	}
	_, _ = io.WriteString(w, "\x89PNG\r\n\x1a\n")
	chunk("IHDR", append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, side), side), 8, 0, 0, 0, 0))
	var body bytes.Buffer
	z := zlib.NewWriter(&body)
	row := make([]byte, 1+side)
	for range side {
		_, _ = z.Write(row)
	}
	_ = z.Close()
	chunk("IDAT", body.Bytes())
	chunk("IEND", nil)
}

func tarHead(t *testing.T, name string, size int64) []byte {
	var out bytes.Buffer
	if err := tar.NewWriter(&out).WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// parquetBomb writes rows that all have the same long text beside a picture.
func parquetBomb(t *testing.T, w io.Writer, rows, length int) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "image", Type: arrow.BinaryTypes.Binary}, {Name: "note", Type: arrow.BinaryTypes.String}}, nil)
	properties := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithDictionaryDefault(true),
		parquet.WithDictionaryPageSizeLimit(1<<30), parquet.WithStats(false))
	out, err := pqarrow.NewFileWriter(schema, struct{ io.Writer }{w}, properties, pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	note := strings.Repeat("x", length)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for range rows {
		b.Field(0).(*array.BinaryBuilder).Append([]byte("picture"))
		b.Field(1).(*array.StringBuilder).Append(note)
		rec := b.NewRecord()
		if err := out.WriteBuffered(rec); err != nil {
			t.Fatal(err)
		}
		rec.Release()
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func text(w io.Writer, begin, again string, length int) {
	_, _ = io.WriteString(w, begin)
	piece := strings.Repeat(again, 1<<20/len(again))
	for range length / len(piece) {
		_, _ = io.WriteString(w, piece)
	}
}

// mkdir makes a folder for a file and returns the file's name within dir.
func mkdir(t *testing.T, dir, folder, file string) string {
	if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, file)
}

// linked makes folders each of which has a link to every other, and to the whole of /sys and /proc.
func linked(t *testing.T, dir string) string {
	root := filepath.Join(dir, "linked")
	for i := range 12 {
		folder := filepath.Join(root, fmt.Sprint("d", i))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 12 {
			if err := os.Symlink(filepath.Join("..", fmt.Sprint("d", j)), filepath.Join(folder, fmt.Sprint("l", j))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, outside := range []string{"/sys/class", "/proc/self"} {
		if err := os.Symlink(outside, filepath.Join(root, filepath.Base(outside))); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func doubling() string {
	text := "vars:\n  v0: xxxxxxxxxx\n"
	for i := range 40 {
		text += fmt.Sprintf("  v%d: $(v%d)$(v%[2]d)$(v%[2]d)$(v%[2]d)\n", i+1, i)
	}
	return text + "stages:\n  a: {uses: preprocess, with: {source: {folder: $(v40)}, for: pixels}}\n"
}

func axes(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("a%d: [%s]", i, numbers(10)))
	}
	return out
}

func numbers(n int) string {
	return strings.TrimSuffix(repeated(n, func(i int) string { return fmt.Sprint(i, ",") }), ",")
}

func repeated(n int, line func(int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
	}
	return b.String()
}

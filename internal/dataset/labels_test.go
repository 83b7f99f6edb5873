package dataset_test

import (
	"bytes"
	"compress/gzip"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"

	"github.com/tlpipe/tlpipe/internal/dataset"
)

// labelled is a record with a picture, a text, a feature and a label a row; the metadata are Hugging Face's.
func labelled(t *testing.T, meta string, labels ...float64) arrow.Record {
	t.Helper()
	described := arrow.NewMetadata([]string{"huggingface"}, []string{meta})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "image", Type: arrow.BinaryTypes.Binary}, {Name: "text", Type: arrow.BinaryTypes.String},
		{Name: "x", Type: arrow.PrimitiveTypes.Float32}, {Name: "label", Type: arrow.PrimitiveTypes.Float64},
	}, &described)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i, label := range labels {
		b.Field(0).(*array.BinaryBuilder).Append([]byte{byte(i)})
		b.Field(1).(*array.StringBuilder).Append(strings.Repeat("word ", i+1))
		b.Field(2).(*array.Float32Builder).Append(float32(i))
		b.Field(3).(*array.Float64Builder).Append(label)
	}
	rec := b.NewRecord()
	t.Cleanup(rec.Release)
	return rec
}

func parquetOf(t *testing.T, rec arrow.Record) string {
	t.Helper()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(rec.Schema(), &out, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{w.AppendKeyValueMetadata("huggingface", rec.Schema().Metadata().Values()[0]), w.Write(rec), w.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func arrowOf(t *testing.T, rec arrow.Record) string {
	t.Helper()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(rec.Schema()))
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// labelsOf are the labels of a table, in order.
func labelsOf(table *dataset.Table) string {
	var labels []string
	for _, row := range table.All {
		labels = append(labels, row.Label)
	}
	return strings.Join(labels, ",")
}

func TestLabelsThatAreNoNumber(t *testing.T) {
	rec := labelled(t, `{}`, 0, math.NaN(), 1)
	root := write(t, map[string]string{
		"a.parquet": parquetOf(t, rec), "a.arrow": arrowOf(t, rec),
		"a.csv":   "path,text,label\np,one,0\nq,two,nan\nr,three,1\n",
		"x.csv":   "x,label\n1,0\n2,NaN\n3,1\n",
		"s.jsonl": `{"text": "one", "label": "0"}` + "\n" + `{"text": "two", "label": "NaN"}` + "\n" + `{"text": "three", "label": 1}`,
		"n.jsonl": `{"text": "one NaN \" NaN", "label": 0}` + "\n" + `{"text": "two", "label":NaN, "note": NaN}` + "\n" + `{"text": "three", "label": 1}`,
		"n.json":  `[{"text": "one NaN \" NaN", "label": 0}, {"text": "two", "label": NaN}, {"text": "three", "label": 1}]`,
		"p.jpg":   "p", "q.jpg": "q", "r.jpg": "r",
		"p.csv": "path,label\np.jpg,0\nq.jpg,NaN\nr.jpg,1\n",
	})
	const one = "1 labels are NaN, which counts as no label"
	for name, c := range map[string]struct {
		source func(path string) dataset.Source
		note   string
	}{
		"pictures a.parquet": {func(p string) dataset.Source { return dataset.Parquet{Patterns: []string{p}} }, one},
		"pictures p.csv":     {func(p string) dataset.Source { return dataset.CSV{Path: p} }, one},
		"texts a.parquet":    {texts, one},
		"texts a.arrow":      {texts, one},
		"texts a.csv":        {texts, one},
		"texts s.jsonl":      {texts, one},
		"texts n.jsonl":      {texts, "2 values are NaN, which counts as a missing value"},
		"texts n.json":       {texts, "1 values are NaN, which counts as a missing value"},
		"vectors a.parquet":  {vectors, one},
		"vectors x.csv":      {vectors, one},
	} {
		_, file, _ := strings.Cut(name, " ")
		table := list(t, of(c.source(filepath.Join(root, file))))
		expect(t, name, labelsOf(table), "0,,1")
		if notes := strings.Join(table.Notes, "\n"); strings.Count(notes, "NaN") != 1 || !strings.Contains(notes, file+": "+c.note) {
			t.Errorf("%s: notes %q, want %q", name, notes, c.note)
		}
		if strings.HasPrefix(file, "n.") {
			for _, raw := range readAll(t, table, of(c.source(filepath.Join(root, file)))) {
				if strings.HasPrefix(raw, "one") && raw != `one NaN " NaN` {
					t.Errorf("%s: the text is %q", name, raw)
				}
			}
		}
	}
}

func texts(path string) dataset.Source { return dataset.TextTable{Patterns: []string{path}} }

func vectors(path string) dataset.Source {
	return dataset.Vectors{Path: path, Features: []string{"x"}}
}

func TestLabelsBeyondTheNamedClasses(t *testing.T) {
	rec := labelled(t, `{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["a", "b"]}}}}`, 0, 7, 1, -1, math.NaN(), -2)
	root := write(t, map[string]string{"a.parquet": parquetOf(t, rec), "a.arrow": arrowOf(t, rec)})
	for name, source := range map[string]dataset.Source{
		"pictures":       dataset.Parquet{Patterns: []string{filepath.Join(root, "a.parquet")}},
		"texts":          texts(filepath.Join(root, "a.parquet")),
		"texts of Arrow": texts(filepath.Join(root, "a.arrow")),
		"vectors":        vectors(filepath.Join(root, "a.parquet")),
	} {
		table := list(t, of(source))
		expect(t, name, labelsOf(table), "a,b,,")
		expect(t, name, strings.ReplaceAll(rejected(table), "a.arrow/", "a/"), "a/1: label 7, but 2 classes are named\na/5: label -2, but 2 classes are named\n")
	}
}

func TestTablesOfMixedEncodings(t *testing.T) {
	for body, want := range map[string]string{
		"grö,1\nfein,0\ncaf\xe9,1\nÖl,0\n":           "line 4 is not valid UTF-8 (byte 0xe9), while the file is UTF-8 for the most part (2 of the 3 characters",
		"grö,1\r\nfein,0\r\ncaf\xe9,1\r\nÖl,0\r\n":   "line 4 is not valid UTF-8",
		"grö,1\rfein,0\rcaf\xe9,1\rÖl,0\r":           "line 4 is not valid UTF-8",
		"gr\xf6,1\nÉ,0\ncaf\xe9,1\n":                 "", // mostly Windows-1252, and one pair that is UTF-8 too
		"gr\xf6,1\ncaf\x80,0\n":                      "",
		"gr\xf6,1\nx\x81,0\n":                        "line 3 has the byte 0x81, which Windows-1252 does not have",
		"gr\xf6,1\nx\x8d,0\n":                        "line 3 has the byte 0x8d",
		"gr\xf6,1\nx\x8f,0\n":                        "line 3 has the byte 0x8f",
		"gr\xf6,1\nx\x90,0\n":                        "line 3 has the byte 0x90",
		"x,1\ngr\xf6\x9d,0\n":                        "line 3 has the byte 0x9d",
		"Á" + strings.Repeat("x", 1<<16) + "Á,1\n":   "", // a character across the end of what is read at once
		strings.Repeat("Á", 1<<16) + "x,1\n\xc3,1\n": "line 3 is not valid UTF-8 (byte 0xc3)",
	} {
		newline := "\n"
		for _, other := range []string{"\r\n", "\r"} {
			if newline == "\n" && strings.Contains(body, other) {
				newline = other
			}
		}
		root := write(t, map[string]string{
			"pictures.csv": "path,label" + newline + body, "texts.csv": "text,label" + newline + body, "vectors.csv": "name,x" + newline + body,
		})
		for name, source := range map[string]dataset.Source{
			"pictures": dataset.CSV{Path: filepath.Join(root, "pictures.csv")},
			"texts":    texts(filepath.Join(root, "texts.csv")),
			"vectors":  vectors(filepath.Join(root, "vectors.csv")),
		} {
			_, err := tryList(t, of(source))
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "iconv")) {
				t.Errorf("%s of %.40q: %v, want %q", name, body, err, want)
			}
		}
	}
}

func TestCutArchivesAreNoted(t *testing.T) {
	random := rand.NewPCG(1, 2)
	var entries []entry
	for _, name := range []string{"1.jpg", "2.jpg", "3.jpg", "4.jpg"} {
		var content []byte // of no pattern that gzip would find
		for range 2000 {
			content = append(content, byte(random.Uint64()))
		}
		entries = append(entries, entry{name, string(content)})
	}
	whole := tarOf(t, entries...)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(whole); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	root := write(t, map[string]string{
		"cut.tar.gz": packed.String()[:packed.Len()*5/8], "cut.tar": string(whole[:2*(512+2048)+100]),
		"whole.tar.gz": packed.String(), "whole.tar": string(whole),
	})
	for name, want := range map[string]string{
		"cut.tar.gz": "cut.tar.gz is cut or damaged: 2 samples were read before that", "cut.tar": "cut.tar is cut or damaged: 1 samples were read before that",
		"whole.tar.gz": "", "whole.tar": "",
	} {
		table := list(t, of(dataset.Tar{Patterns: []string{filepath.Join(root, name)}}))
		notes := strings.Join(table.Overview(nil).Notes, "\n")
		if !strings.Contains(notes, want) || (want == "") != (notes == "") || (want == "") != (len(table.Rejects) == 0) {
			t.Errorf("%s: notes %q, rejects %v, want %q", name, notes, table.Rejects, want)
		}
	}
}

package dataset_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
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

// reviews is a record of texts, with labels that Hugging Face's metadata name.
func reviews() arrow.Record {
	meta := arrow.NewMetadata([]string{"huggingface"}, []string{`{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["bad", "good"]}}}}`})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "review", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "label", Type: arrow.PrimitiveTypes.Int64},
		{Name: "note", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}},
	}, &meta)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i, said := range []string{"fine, really", "awful\nthing", ""} {
		if said == "" {
			b.Field(0).AppendNull()
		} else {
			b.Field(0).(*array.StringBuilder).Append(said)
		}
		b.Field(1).(*array.Int64Builder).Append(int64(1 - i%2))
		_ = b.Field(2).(*array.BinaryDictionaryBuilder).AppendString(fmt.Sprint("n", i))
	}
	return b.NewRecord()
}

func TestTextTables(t *testing.T) {
	const csv = "review,label,note\n\"fine, really\",good,n0\n\"awful\nthing\",bad,n1\n,good,n2\n"
	rec := reviews()
	defer rec.Release()
	var stream, file, pq bytes.Buffer
	w := ipc.NewWriter(&stream, ipc.WithSchema(rec.Schema()))
	f, err := ipc.NewFileWriter(seeker{&file}, ipc.WithSchema(rec.Schema()), ipc.WithLZ4())
	if err != nil {
		t.Fatal(err)
	}
	p, err := pqarrow.NewFileWriter(rec.Schema(), &pq, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{w.Write(rec), w.Close(), f.Write(rec), f.Close(), p.AppendKeyValueMetadata("huggingface", rec.Schema().Metadata().Values()[0]), p.Write(rec), p.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"a.csv": csv, "a.tsv": strings.ReplaceAll(strings.ReplaceAll(csv, "fine, really", "fine; really"), ",", "\t"),
		"a.jsonl":   "{\"review\": \"fine, really\", \"label\": \"good\", \"note\": \"n0\"}\n{\"label\": \"bad\", \"review\": \"awful\\nthing\", \"note\": \"n1\"}\n{\"label\": \"good\", \"note\": null, \"review\": null}\n",
		"a.json":    "\ufeff[{\"review\": \"fine, really\", \"label\": \"good\", \"note\": \"n0\"}, {\"review\": \"awful\\nthing\", \"label\": \"bad\", \"note\": \"n1\"}, {\"review\": \"\", \"label\": \"good\", \"note\": \"n2\"}]",
		"a.parquet": pq.String(), "a.arrow": stream.String(), "a.feather": file.String(),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		parts := []dataset.Part{of(dataset.TextTable{Patterns: []string{path}})}
		table, err := tryList(t, parts...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(table.All) != 2 || len(table.Rejects) != 1 || table.Rejects[0].Reason != "there is no text" || len(table.Notes) != 1 {
			t.Errorf("%s: rows %+v, rejects %+v, notes %q", name, table.All, table.Rejects, table.Notes)
			continue
		}
		set, err := dataset.Open(parts)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"fine, really|good|n0", "awful\nthing|bad|n1"} {
			row := table.All[i]
			said, err := set.Read(context.Background(), 0, row.At, row.Digest)
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprintf("%s|%s|%s", said, row.Label, strings.Join(row.Extra, ","))
			if got != want && got != strings.Replace(want, "fine,", "fine;", 1) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	}
}

// seeker lets the writer of Arrow files ask where it is.
type seeker struct{ *bytes.Buffer }

func (s seeker) Seek(int64, int) (int64, error) { return int64(s.Len()), nil }

func TestTextTablesThatAreWrong(t *testing.T) {
	for content, want := range map[string]string{
		"a.csv:a,b\n1,2\n":                             "no column is named text",
		"a.csv:text;label\nx;y\n":                      `separated by ";"`,
		"a.csv:text,label\nx\n":                        "line 2 has 1 values for 2 columns",
		"a.csv:":                                       "it is empty",
		"a.jsonl:{\"text\": 1":                         "row 1",
		"a.jsonl:[1, 2]":                               "expected an object",
		"a.json:{\"text\": \"x\"} trailing":            "row 2",
		"a.parquet:PAR1":                               "not a Parquet file",
		"a.arrow:ARROW1\x00\x00\xff\xff\xff\x7fARROW1": "Arrow",
		"a.arrow:\xff\xff\xff\xff\xff\xff\xff\x7f":     "not an Arrow file",
		"a.csv:text\n":                                 "it has no rows",
	} {
		name, data, _ := strings.Cut(content, ":")
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := tryList(t, of(dataset.TextTable{Patterns: []string{path}}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}

func FuzzTextTable(f *testing.F) {
	rec := reviews()
	defer rec.Release()
	var stream bytes.Buffer
	w := ipc.NewWriter(&stream, ipc.WithSchema(rec.Schema()))
	if err := w.Write(rec); err != nil {
		f.Fatal(err)
	}
	f.Add(".arrow", stream.Bytes())
	f.Add(".jsonl", []byte(`{"text": "x", "n": {"a": [1]}}`))
	f.Add(".json", []byte(`[{"text": "x"}]`))
	f.Add(".csv", []byte("text,label\n\"x\ny\",1\n"))
	f.Fuzz(func(t *testing.T, ending string, data []byte) {
		if ending == ".parquet" { // has a target of its own
			return
		}
		path := filepath.Join(t.TempDir(), "a"+filepath.Ext(filepath.Base(ending)))
		if os.WriteFile(path, data, 0o666) != nil {
			return
		}
		fuzzed(t, len(data), dataset.TextTable{Patterns: []string{path}, Limits: fuzzLimits})
	})
}

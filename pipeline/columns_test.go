package pipeline_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// thing is a row of a source that changes between runs.
type thing struct {
	id, content, label string
}

// things is a world whose stages read and make columns.
type things struct {
	rows          []thing
	extra         bool         // the source has a further column
	read, doubled atomic.Int64 // rows that were mapped
}

type noParams struct{}

func (w *things) kinds() []pipeline.Kind {
	port := []pipeline.Port{{Name: "rows", Kind: pipeline.Features}}
	define := func(name string, in []pipeline.Port, stage pipeline.Stage) pipeline.Kind {
		return pipeline.Define(pipeline.Kind{Name: name, Version: 1, Inputs: in, Outputs: port}, noParams{},
			func(noParams) (pipeline.Stage, error) { return stage, nil })
	}
	return []pipeline.Kind{
		define("list", nil, lister{w}), define("double", port, doubler{w}), define("measure", port, measurer{w}),
	}
}

const thingsPipeline = `
stages:
  listed: {uses: list}
  doubled: {uses: double, from: listed}
  measured: {uses: measure, from: doubled}
`

// lister reads the content of rows: content that begins with x is rejected.
type lister struct {
	w *things
}

func (lister) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}

func (s lister) List(context.Context, *pipeline.Env) (pipeline.Listing, error) {
	text := func(name string) arrow.Field { return arrow.Field{Name: name, Type: arrow.BinaryTypes.String} }
	place := text("place")
	place.Metadata = arrow.MetadataFrom(map[string]string{pipeline.LocationColumn: "true"})
	fields := []arrow.Field{text("id"), text("digest"), text("label"), place}
	if s.w.extra {
		fields = append(fields, text("extra"))
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer b.Release()
	for i, r := range s.w.rows {
		for f, value := range []string{r.id, r.content, r.label, fmt.Sprint("at ", i), "more"}[:len(fields)] {
			b.Field(f).(*array.StringBuilder).Append(value)
		}
	}
	return pipeline.Listing{Rows: b.NewRecord()}, nil
}

func (lister) Columns(*arrow.Schema) (pipeline.Columns, error) {
	return pipeline.Columns{Reads: []string{"digest"}, Drops: []string{"digest"}}, nil
}

func (s lister) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	return mapFunc(func(_ context.Context, in arrow.Record) (pipeline.Mapped, error) {
		s.w.read.Add(in.NumRows())
		out := pipeline.Mapped{Rejects: map[int]string{}}
		var texts []string
		for i := range int(in.NumRows()) {
			if !strings.HasPrefix(in.Column(1).ValueStr(i), "at ") {
				return out, fmt.Errorf("the place is %s", in.Column(1).ValueStr(i))
			}
			if text := in.Column(0).ValueStr(i); strings.HasPrefix(text, "x") {
				out.Rejects[i] = "it begins with x"
			} else {
				texts = append(texts, "content of "+text)
			}
		}
		out.Rows = textColumn("content", texts)
		return out, nil
	}), nil
}

func textColumn(name string, texts []string) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: name, Type: arrow.BinaryTypes.String}}, nil))
	defer b.Release()
	b.Field(0).(*array.StringBuilder).AppendValues(texts, nil)
	return b.NewRecord()
}

// doubler adds rows to those labelled a or b: as many as their content is long, modulo 3.
type doubler struct {
	w *things
}

func (doubler) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}

var copied = arrow.Field{Name: "copy", Type: arrow.PrimitiveTypes.Int32}

func (doubler) Columns(*arrow.Schema) (pipeline.Columns, error) {
	return pipeline.Columns{
		Reads: []string{"content"}, Keeps: true, Adds: []arrow.Field{copied},
		Where: &pipeline.Where{Column: "label", Values: []string{"a", "b"}},
	}, nil
}

func (s doubler) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	return mapFunc(func(_ context.Context, in arrow.Record) (pipeline.Mapped, error) {
		s.w.doubled.Add(in.NumRows())
		schema := arrow.NewSchema([]arrow.Field{in.Schema().Field(0), copied}, nil)
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer b.Release()
		out := pipeline.Mapped{}
		for i := range int(in.NumRows()) {
			text := in.Column(0).ValueStr(i)
			n := len(text) % 3
			for c := range n {
				b.Field(0).(*array.StringBuilder).Append(fmt.Sprint(text, "+", c+1))
				b.Field(1).(*array.Int32Builder).Append(int32(c + 1))
			}
			out.Counts = append(out.Counts, int32(n))
		}
		out.Rows = b.NewRecord()
		return out, nil
	}), nil
}

// measurer puts the length in the place of the content.
type measurer struct {
	w *things
}

func (measurer) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}

func (measurer) Columns(*arrow.Schema) (pipeline.Columns, error) {
	return pipeline.Columns{Reads: []string{"content"}, Drops: []string{"content"}}, nil
}

func (s measurer) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	return mapFunc(func(_ context.Context, in arrow.Record) (pipeline.Mapped, error) {
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "length", Type: arrow.PrimitiveTypes.Int64}}, nil))
		defer b.Release()
		for i := range int(in.NumRows()) {
			b.Field(0).(*array.Int64Builder).Append(int64(len(in.Column(0).ValueStr(i))))
		}
		return pipeline.Mapped{Rows: b.NewRecord()}, nil
	}), nil
}

// run runs the pipeline and tells the digests and all rows of each stage.
func (w *things) run(t *rapid.T, dir string) (digests, tables []string) {
	ctx := context.Background()
	g, err := pipeline.Load("things.yaml", []byte(thingsPipeline), w.kinds())
	if err != nil {
		t.Fatal(err)
	}
	store, err := cache.Open(ctx, dir, unsynced{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	runner := &pipeline.Runner{Store: store, Jobs: 1}
	plan, err := runner.Plan(ctx, g)
	if err != nil {
		t.Fatal(err)
	}
	result, err := runner.Run(ctx, g)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	defer result.Journal.Close()
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	for i, n := range result.Nodes {
		// What a plan says is what a run does, and what it plans to put together has the same digest.
		if p := plan.Nodes[i]; p.State == pipeline.Cached {
			if n.Ended.ChunksComputed != 0 {
				t.Fatalf("%s was planned as cached, and %d chunks were computed", n.Node.Name, n.Ended.ChunksComputed)
			}
			if planned := pipeline.NewArtifact(store, "", nil, p.Outputs["rows"]); planned.Digest() != n.Ended.Digest {
				t.Fatalf("%s: planned and run differ", n.Node.Name)
			}
		}
		digests = append(digests, n.Ended.Digest)
		var rows []string
		table, err := n.Outputs["rows"].Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range n.Outputs["rows"].Batches(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range int(rec.NumRows()) {
				row := ""
				for c := range int(rec.NumCols()) {
					row += rec.ColumnName(c) + "=" + rec.Column(c).ValueStr(i) + " "
					// The same, found by its number.
					at, place := table.Find(len(rows))
					if other := table.Records()[at].Column(c).ValueStr(place); other != rec.Column(c).ValueStr(i) {
						t.Fatalf("row %d of %s: %s in order, %s by number", len(rows), n.Node.Name, rec.Column(c).ValueStr(i), other)
					}
				}
				rows = append(rows, row)
			}
		}
		if table.Len() != len(rows) {
			t.Fatalf("%d rows by number, %d in order", table.Len(), len(rows))
		}
		if err := table.Close(); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, strings.Join(rows, "\n"))
	}
	return digests, tables
}

// Whatever was edited between runs, the rows are those of a run from nothing,
// with the same digests, and only rows whose content is new are read.
func TestEditsGiveWhatARunFromNothingGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &things{}
		for i := range rapid.IntRange(1, 150).Draw(t, "rows") {
			w.rows = append(w.rows, thing{fmt.Sprintf("row-%04d", i), fmt.Sprintf("%d", i), []string{"a", "b", "c"}[i%3]})
		}
		dir := tempDir(t)
		seen, copied := map[string]bool{}, map[string]bool{}
		for range rapid.IntRange(1, 3).Draw(t, "runs") {
			w.read.Store(0)
			w.doubled.Store(0)
			digests, tables := w.run(t, dir)
			fresh, copies := map[string]bool{}, map[string]bool{}
			for _, r := range w.rows {
				if !seen[r.content] {
					fresh[r.content] = true
				}
				if !strings.HasPrefix(r.content, "x") && r.label != "c" && !copied[r.content] {
					copies[r.content] = true
				}
				if r.label != "c" {
					copied[r.content] = true
				}
				seen[r.content] = true
			}
			if w.read.Load() != int64(len(fresh)) || w.doubled.Load() != int64(len(copies)) {
				t.Fatalf("%d rows were read and %d doubled, want %d and %d", w.read.Load(), w.doubled.Load(), len(fresh), len(copies))
			}
			wantDigests, wantTables := w.run(t, tempDir(t))
			for i := range wantTables {
				if tables[i] != wantTables[i] {
					t.Fatalf("stage %d has\n%s\nfrom nothing\n%s", i, tables[i], wantTables[i])
				}
			}
			if !slices.Equal(digests, wantDigests) {
				t.Fatalf("digests %v, from nothing %v", digests, wantDigests)
			}
			w.edit(t)
		}
	})
}

// edit changes something.
func (w *things) edit(t *rapid.T) {
	at := rapid.IntRange(0, len(w.rows)-1).Draw(t, "at")
	switch rapid.SampledFrom([]string{"label", "content", "bad", "more", "less", "names", "extra", "order"}).Draw(t, "edit") {
	case "label":
		w.rows[at].label = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "label")
	case "content":
		w.rows[at].content += "'"
	case "bad":
		if at == 0 { // some row stays good
			return
		}
		w.rows[at].content = "x" + w.rows[at].content
	case "more":
		w.rows = slices.Insert(w.rows, at+1, thing{fmt.Sprintf("more-%d-%d", len(w.rows), at), w.rows[at].content + "n", "b"})
	case "less":
		if at > 0 {
			w.rows = slices.Delete(w.rows, at, at+1)
		}
	case "names":
		for i := range w.rows {
			w.rows[i].id = "new-" + w.rows[i].id
		}
	case "extra":
		w.extra = !w.extra
	case "order":
		slices.Reverse(w.rows[1:])
	}
}

// unsynced is a file system that does not wait for the disk.
type unsynced struct{ cache.OS }

func (unsynced) SyncDir(string) error { return nil }

func (u unsynced) Create(name string) (cache.File, error) {
	f, err := u.OS.Create(name)
	return unsyncedFile{f}, err
}

type unsyncedFile struct{ cache.File }

func (unsyncedFile) Sync() error { return nil }

func tempDir(t *rapid.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tlpipe-things-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// What is passed on through several stages rests with the stage that made it: if it is gone, that one makes it again.
func TestWhatIsPassedOnIsMadeAgain(t *testing.T) {
	ctx := context.Background()
	w := &things{}
	for i := range 200 {
		w.rows = append(w.rows, thing{fmt.Sprintf("row-%04d", i), fmt.Sprintf("%d", i), []string{"a", "b", "c"}[i%3]})
	}
	g, err := pipeline.Load("things.yaml", []byte(thingsPipeline), w.kinds())
	if err != nil {
		t.Fatal(err)
	}
	store, err := cache.Open(ctx, t.TempDir(), unsynced{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	run := func(s pipeline.Selection) *pipeline.Result {
		result, err := (&pipeline.Runner{Store: store, Jobs: 2, Selection: s}).Run(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		result.Journal.Close()
		t.Cleanup(func() { result.Close() })
		want(t, result.Err, nil)
		return result
	}
	first := run(pipeline.Selection{})
	for i, c := range first.Nodes[0].Outputs["rows"].Blobs() {
		for b := range c.Blobs() {
			if i%2 == 0 {
				if err := os.Remove(filepath.Join(store.Dir(), "blobs", b.Digest[:2], b.Digest)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
		}
	}
	second := run(pipeline.Selection{Force: []string{"measured"}})
	for i, n := range second.Nodes {
		want(t, n.Ended.Digest, first.Nodes[i].Ended.Digest)
	}

	// The same when the columns that are passed on are all that is read.
	for _, c := range second.Nodes[2].Outputs["rows"].Blobs() {
		for b := range c.Blobs() {
			_ = os.Remove(filepath.Join(store.Dir(), "blobs", b.Digest[:2], b.Digest))
		}
	}
	rows := 0
	for rec, err := range second.Nodes[2].Outputs["rows"].Select("id", "label").Batches(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		rows += int(rec.NumRows())
	}
	want(t, int64(rows), second.Nodes[2].Ended.Rows)
}

// --only puts together what edits of other columns took apart, and computes nothing.
func TestLookingUpPutsTogether(t *testing.T) {
	ctx := context.Background()
	w := &things{rows: []thing{{"row-1", "one", "a"}, {"row-2", "two", "b"}, {"row-3", "three", "c"}}}
	g, err := pipeline.Load("things.yaml", []byte(thingsPipeline), w.kinds())
	if err != nil {
		t.Fatal(err)
	}
	store, err := cache.Open(ctx, t.TempDir(), unsynced{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	run := func(s pipeline.Selection) error {
		result, err := (&pipeline.Runner{Store: store, Selection: s}).Run(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		result.Journal.Close()
		defer result.Close()
		return result.Err
	}
	want(t, run(pipeline.Selection{}), nil)
	w.extra = true
	want(t, run(pipeline.Selection{Only: []string{"measured"}}), nil)
	w.rows[0].content = "another"
	if err := run(pipeline.Selection{Only: []string{"measured"}}); err == nil || !strings.Contains(err.Error(), "run with --until listed first") {
		t.Errorf("a row that is not in the cache: %v", err)
	}
}

// What is put together of cached rows needs no cache that can be written; rows that are new do.
func TestReadOnlyCacheComposes(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	w := &things{}
	for i := range 60 {
		w.rows = append(w.rows, thing{id: fmt.Sprint("row ", i), content: fmt.Sprint(i % 50), label: "a"})
	}
	w.rows[7].content = "x"
	run := func(fs cache.FS) ([]string, error) {
		g, err := pipeline.Load("things.yaml", []byte(thingsPipeline), w.kinds())
		if err != nil {
			t.Fatal(err)
		}
		store, err := cache.Open(ctx, dir, fs)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		result, err := (&pipeline.Runner{Store: store, Jobs: 2, Selection: pipeline.Selection{Until: []string{"doubled"}}}).Run(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		defer result.Close()
		defer result.Journal.Close()
		var digests []string
		for _, n := range result.Nodes {
			digests = append(digests, n.Ended.Digest)
		}
		return digests, result.Err
	}
	if _, err := run(unsynced{}); err != nil {
		t.Fatal(err)
	}
	w.rows[3].label = "b"
	w.rows = append(w.rows[10:], w.rows[:5]...)
	got, err := run(readOnly{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := run(unsynced{})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v where nothing can be written, else %v, %v", got, want, err)
	}
	w.rows[0].content = "new"
	if _, err := run(readOnly{}); !cache.IsReadOnly(err) || strings.Count(err.Error(), "choose another with --cache") != 1 {
		t.Errorf("a row that is new: %v", err)
	}
}

// readOnly is a file system that cannot be written.
type readOnly struct{ cache.OS }

func (readOnly) Create(name string) (cache.File, error) {
	return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrPermission}
}
func (readOnly) MkdirAll(string) error       { return fs.ErrPermission }
func (readOnly) Rename(string, string) error { return fs.ErrPermission }
func (readOnly) Remove(string) error         { return fs.ErrPermission }

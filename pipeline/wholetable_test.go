package pipeline

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

var counting = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)

func counted(from, to int) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, counting)
	defer b.Release()
	for n := from; n < to; n++ {
		b.Field(0).(*array.Int64Builder).Append(int64(n))
	}
	return b.NewRecord()
}

// A large table rests in several blobs, none much larger than the limit, and is
// read as one.
func TestLargeTablesRestInSeveralBlobs(t *testing.T) {
	ctx := context.Background()
	store, err := cache.Open(ctx, t.TempDir(), cache.OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	write := func(rows, atOnce int) []cache.Chunk {
		t.Helper()
		out := newTableTask(store, nil)
		out.blobBytes = 10_000
		w, err := out.open("numbers", counting)
		if err != nil {
			t.Fatal(err)
		}
		for from := 0; from < rows; from += atOnce {
			rec := counted(from, min(from+atOnce, rows))
			if err := w.Write(rec); err != nil {
				t.Fatal(err)
			}
			rec.Release()
		}
		if _, err := out.finish([]string{"numbers"}); err == nil {
			t.Error("a table that is not closed was taken")
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if w.Write(counted(0, 1)) == nil || w.Close() == nil {
			t.Error("an output can be written after its end")
		}
		chunks, err := out.finish([]string{"numbers"})
		if err != nil {
			t.Fatal(err)
		}
		return chunks["numbers"]
	}
	const rows = 10_000
	chunks := write(rows, 100)
	if len(chunks) < 7 || len(chunks) > 10 {
		t.Errorf("80 kB are %d blobs", len(chunks))
	}
	for _, c := range chunks {
		if c.Bytes > 12_000 {
			t.Errorf("a blob has %d bytes", c.Bytes)
		}
	}
	if again := write(rows, 100); fmt.Sprint(again) != fmt.Sprint(chunks) {
		t.Error("the same table rests in other blobs")
	}
	a := NewArtifact(store, "numbers", nil, chunks)
	var got []int64
	for rec, err := range a.Batches(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rec.Column(0).(*array.Int64).Int64Values()...)
	}
	want := make([]int64, rows)
	for i := range want {
		want[i] = int64(i)
	}
	if !slices.Equal(got, want) {
		t.Error("the table is read as another")
	}
	if small := write(100, 100); len(small) != 1 || small[0].Rows != 100 {
		t.Errorf("%v", small)
	}
	if none := write(0, 1); len(none) != 1 || none[0].Rows != 0 {
		t.Errorf("an empty table is %v", none)
	}
	if whole := write(rows, rows); len(whole) != 1 { // what is written at once stays together
		t.Errorf("%v", whole)
	}
}

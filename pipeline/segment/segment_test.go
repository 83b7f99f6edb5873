package segment_test

import (
	"context"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/segment"
)

var schema = arrow.NewSchema([]arrow.Field{
	{Name: "a", Type: arrow.PrimitiveTypes.Int64}, {Name: "b", Type: arrow.PrimitiveTypes.Int64}, {Name: "c", Type: arrow.PrimitiveTypes.Int32},
}, nil)

// blobs of rows that count up, each in batches of few.
type blobs map[string]*segment.Blob

func (b blobs) open(_ context.Context, ref cache.Blob) (*segment.Blob, error) {
	return b[ref.Digest], nil
}

func (b blobs) draw(t *rapid.T, name string, rows int64) {
	var records []arrow.Record
	for from := int64(0); from < rows; {
		n := min(rapid.Int64Range(1, 5).Draw(t, "batch"), rows-from)
		build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for i := range n {
			build.Field(0).(*array.Int64Builder).Append(from + i)
			build.Field(1).(*array.Int64Builder).Append(1000 * (from + i))
			build.Field(2).(*array.Int32Builder).Append(int32(from + i))
		}
		records = append(records, build.NewRecord())
		from += n
	}
	b[name] = segment.NewBlob(records)
}

// rows reads segments: what each row says in a, b and c.
func (b blobs) rows(t *rapid.T, segments []cache.Segment) (out [][3]int64) {
	for rec, err := range segment.Records(context.Background(), schema, segments, segment.Recent(b.open)) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			out = append(out, [3]int64{
				rec.Column(0).(*array.Int64).Value(i), rec.Column(1).(*array.Int64).Value(i), int64(rec.Column(2).(*array.Int32).Value(i)),
			})
		}
	}
	return out
}

// Rows that are picked, repeated and joined say what the rows that they stand for say, and their digest does not depend on
// how they were joined.
func TestPickedRowsSayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := blobs{}
		all.draw(t, "x", 40)
		all.draw(t, "y", 40)
		digests := func(blob string, start, n int64) cache.RowDigests {
			var out cache.RowDigests
			for i := range n {
				d := segment.Sum([]byte{blob[0], byte(start + i)})
				out = append(out, d[:]...)
			}
			return out
		}
		slice := func(blob string, rows int64, columns ...string) cache.Slice {
			s := cache.Slice{Columns: columns, Blob: cache.Blob{Digest: blob}, Each: rapid.Int64Range(1, 4).Draw(t, "each")}
			s.Skip = rapid.Int64Range(0, s.Each-1).Draw(t, "skip")
			n := (s.Skip + rows + s.Each - 1) / s.Each
			s.Start = rapid.Int64Range(0, 40-n).Draw(t, "start")
			s.Digests = digests(blob, s.Start, n)
			return s
		}
		rows := rapid.Int64Range(1, 12).Draw(t, "rows")
		from := cache.Segment{Rows: rows, Slices: []cache.Slice{slice("x", rows, "a", "c"), slice("y", rows, "b")}}
		before := all.rows(t, []cache.Segment{from})
		if int64(len(before)) != rows {
			t.Fatalf("%d rows of %d", len(before), rows)
		}

		var joined, apart []cache.Segment
		var want [][3]int64
		for range rapid.IntRange(1, 6).Draw(t, "picks") {
			at := rapid.Int64Range(0, rows-1).Draw(t, "at")
			n := rapid.Int64Range(1, rows-at).Draw(t, "n")
			each := rapid.Int64Range(1, 3).Draw(t, "times")
			without := rapid.SampledFrom([]string{"", "c"}).Draw(t, "without")
			next := cache.Segment{Rows: n * each, Slices: segment.Pick(&from, at, n, each, func(name string) bool { return name != without })}
			apart = append(apart, next)
			joined = segment.Append(joined, next)
			for r := range n * each {
				row := before[at+r/each]
				if without == "c" {
					row[2] = 0 // a column that no slice has
				}
				want = append(want, row)
			}
		}
		if got := all.rows(t, joined); !slices.Equal(got, want) {
			t.Fatalf("joined rows say %v, want %v", got, want)
		}
		a, b := segment.Compose(cache.Blob{Digest: "schema"}, joined), segment.Compose(cache.Blob{Digest: "schema"}, apart)
		if a.Digest != b.Digest || a.Rows != b.Rows {
			t.Fatalf("joined: %s of %d rows, apart: %s of %d", a.Digest, a.Rows, b.Digest, b.Rows)
		}
	})
}

func TestDigestsAreOfWhatRowsSay(t *testing.T) {
	text := func(values ...string) arrow.Array {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		for _, v := range values {
			if v == "null" {
				b.AppendNull()
			} else {
				b.Append(v)
			}
		}
		return b.NewArray()
	}
	d := segment.Digests(text("a", "", "null", "a", "ab"), text("b", "ab", "ab", "b", ""))
	if d.At(0) != d.At(3) {
		t.Error("equal rows differ")
	}
	for i, j := range map[int]int{0: 1, 1: 2, 2: 4, 4: 0} {
		if d.At(i) == d.At(j) {
			t.Errorf("rows %d and %d are taken for one", i, j)
		}
	}
	// A slice of a column says what the whole does there.
	whole := text("x", "y", "z")
	if part := segment.Digests(array.NewSlice(whole, 1, 3)); part.At(0) != segment.Digests(whole).At(1) {
		t.Error("a slice says something else")
	}
	list := array.NewFixedSizeListBuilder(memory.DefaultAllocator, 2, arrow.PrimitiveTypes.Float32)
	for i := range 4 {
		list.Append(true)
		list.ValueBuilder().(*array.Float32Builder).AppendValues([]float32{float32(i), 1}, nil)
	}
	tensors := list.NewArray()
	if part := segment.Digests(array.NewSlice(tensors, 2, 4)); part.At(1) != segment.Digests(tensors).At(3) {
		t.Error("a slice of tensors says something else")
	}
}

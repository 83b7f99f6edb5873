package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// pick gives the slices of some rows of a segment, repeated, for the columns
// wanted.
func pick(s *cache.Segment, from, n, each int64, wanted func(name string) bool) []cache.Slice {
	var out []cache.Slice
	for _, slice := range s.Slices {
		var columns []string
		for _, name := range slice.Columns {
			if wanted(name) {
				columns = append(columns, name)
			}
		}
		if len(columns) == 0 {
			continue
		}
		// Row r of the result is row from + r/each of the segment, and so row
		// start + ((skip + from)·each + r) / (slice.Each·each) of the blob.
		at := slice.Skip + from
		first, last := at/slice.Each, (at+n-1)/slice.Each
		picked := cache.Slice{
			Columns: columns, Blob: slice.Blob, Start: slice.Start + first,
			Skip: at % slice.Each * each, Each: slice.Each * each,
		}
		if len(slice.Digests) > 0 {
			picked.Digests = slice.Digests.Slice(int(first), int(last+1))
		}
		out = append(out, picked)
	}
	return out
}

// rowOf is the row of the blob, counted from Start, in which row r of a
// segment rests.
func rowOf(s cache.Slice, r int64) int64 { return (s.Skip + r) / s.Each }

// joined appends a segment to others, to the last of them if it goes on where
// that ends.
func joined(segments []cache.Segment, next cache.Segment) []cache.Segment {
	if next.Rows == 0 {
		return segments
	}
	if len(segments) == 0 {
		return append(segments, next)
	}
	last := &segments[len(segments)-1]
	if len(last.Slices) != len(next.Slices) {
		return append(segments, next)
	}
	for i, a := range last.Slices {
		b := next.Slices[i]
		// The next must begin at the row of the blob, and of its repetitions,
		// where the last ends.
		at := a.Skip + last.Rows
		if a.Blob != b.Blob || a.Each != b.Each || a.Start+at/a.Each != b.Start || at%a.Each != b.Skip || !slices.Equal(a.Columns, b.Columns) {
			return append(segments, next)
		}
	}
	for i := range last.Slices {
		a, b := &last.Slices[i], next.Slices[i]
		more := b.Digests
		if b.Skip > 0 { // they share a row of the blob
			more = more.Slice(1, more.Len())
		}
		a.Digests = slices.Concat(a.Digests, more)
	}
	last.Rows += next.Rows
	return segments
}

// ordered sorts the slices of a segment as their columns stand in the schema,
// and the columns within each.
func ordered(s []cache.Slice, schema *arrow.Schema) []cache.Slice {
	at := func(name string) int {
		if i := schema.FieldIndices(name); len(i) > 0 {
			return i[0]
		}
		return -1
	}
	slices.SortFunc(s, func(a, b cache.Slice) int { return at(a.Columns[0]) - at(b.Columns[0]) })
	return s
}

// contentDigest is what a composed chunk is known by: it covers the schema and
// what each row says, and not where it rests.
func contentDigest(schema string, segments []cache.Segment) string {
	hash := sha256.New()
	hash.Write([]byte("tlpipe rows 1\x00" + schema))
	for _, s := range segments {
		names := make([][]byte, len(s.Slices))
		for i, slice := range s.Slices {
			sum := sha256.Sum256([]byte(strings.Join(slice.Columns, "\x00")))
			names[i] = sum[:len(cache.RowDigest{})]
		}
		for r := range s.Rows {
			for i, slice := range s.Slices {
				d := slice.Digests.At(int(rowOf(slice, r)))
				hash.Write(names[i])
				hash.Write(d[:])
			}
			hash.Write([]byte{'\n'})
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// composed makes a chunk of segments.
func composed(schema cache.Blob, segments []cache.Segment) cache.Chunk {
	c := cache.Chunk{Digest: contentDigest(schema.Digest, segments), Schema: &schema, Segments: segments}
	seen := map[string]bool{}
	for _, s := range segments {
		c.Rows += s.Rows
	}
	for b := range c.Blobs() {
		if !seen[b.Digest] {
			seen[b.Digest] = true
			c.Bytes += b.Bytes
		}
	}
	return c
}

// opened is a blob whose rows are read.
type openedBlob struct {
	records []arrow.Record
	ends    []int64 // of each record
}

func newOpenedBlob(records []arrow.Record) *openedBlob {
	b := &openedBlob{records: records}
	var n int64
	for _, rec := range records {
		n += rec.NumRows()
		b.ends = append(b.ends, n)
	}
	return b
}

// find returns the record that holds a row, the row's place in it, and how
// many rows of it there are from there on.
func (b *openedBlob) find(row int64) (rec arrow.Record, at, left int64, err error) {
	i := sort.Search(len(b.ends), func(i int) bool { return row < b.ends[i] })
	if row < 0 || i == len(b.ends) {
		return nil, 0, 0, fmt.Errorf("a blob has no row %d: %w", row, cache.ErrCorrupt)
	}
	at = row - (b.ends[i] - b.records[i].NumRows())
	return b.records[i], at, b.ends[i] - row, nil
}

// assembled yields the rows of segments as records of the schema, which may be
// narrower than the segments. open gives the rows of a blob. The records are
// released when the loop goes on.
func assembled(ctx context.Context, schema *arrow.Schema, segments []cache.Segment, open func(context.Context, cache.Blob) (*openedBlob, error)) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		for i := range segments {
			for from := int64(0); from < segments[i].Rows; {
				rec, err := assemble(ctx, schema, &segments[i], from, open)
				if err != nil {
					yield(nil, err)
					return
				}
				from += rec.NumRows()
				more := yield(rec, nil)
				rec.Release()
				if !more {
					return
				}
			}
		}
	}
}

// assemble makes a record of the rows of a segment from one on, as far as they
// lie together in each blob.
func assemble(ctx context.Context, schema *arrow.Schema, s *cache.Segment, from int64, open func(context.Context, cache.Blob) (*openedBlob, error)) (arrow.Record, error) {
	type source struct {
		slice cache.Slice
		rec   arrow.Record
		at    int64 // row of rec
	}
	n := s.Rows - from
	byColumn := map[string]*source{}
	for _, slice := range s.Slices {
		if !slices.ContainsFunc(slice.Columns, schema.HasField) {
			continue
		}
		blob, err := open(ctx, slice.Blob)
		if err != nil {
			return nil, err
		}
		rec, at, left, err := blob.find(slice.Start + rowOf(slice, from))
		if err != nil {
			return nil, err
		}
		n = min(n, left*slice.Each-(slice.Skip+from)%slice.Each)
		src := &source{slice, rec, at}
		for _, name := range slice.Columns {
			byColumn[name] = src
		}
	}
	columns := make([]arrow.Array, 0, schema.NumFields())
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	for _, f := range schema.Fields() {
		src := byColumn[f.Name]
		if src == nil {
			zeros, err := zeros(f, int(n))
			if err != nil {
				return nil, err
			}
			columns = append(columns, zeros)
			continue
		}
		i := src.rec.Schema().FieldIndices(f.Name)
		if len(i) != 1 {
			return nil, fmt.Errorf("a blob has no column %q: %w", f.Name, cache.ErrCorrupt)
		}
		column := src.rec.Column(i[0])
		if src.slice.Each == 1 {
			columns = append(columns, array.NewSlice(column, src.at, src.at+n))
			continue
		}
		repeated, err := repeat(column, src.at, (src.slice.Skip+from)%src.slice.Each, src.slice.Each, n)
		if err != nil {
			return nil, fmt.Errorf("repeat column %q: %w", f.Name, err)
		}
		columns = append(columns, repeated)
	}
	return array.NewRecord(schema, columns, n), nil
}

// repeat makes a column of n rows: each of column, from one on, as often as
// each says, the first less often by skip.
func repeat(column arrow.Array, at, skip, each, n int64) (arrow.Array, error) {
	var runs []arrow.Array
	defer func() {
		for _, r := range runs {
			r.Release()
		}
	}()
	for r := range n {
		i := at + (skip+r)/each
		runs = append(runs, array.NewSlice(column, i, i+1))
	}
	return array.Concatenate(runs, memory.DefaultAllocator)
}

// zeros is a column of zeros, of a type of fixed width.
func zeros(f arrow.Field, n int) (arrow.Array, error) {
	t, ok := f.Type.(arrow.FixedWidthDataType)
	if !ok {
		return nil, fmt.Errorf("column %q has no value in some rows, and %s has no zero", f.Name, f.Type)
	}
	if _, nested := f.Type.(arrow.NestedType); nested {
		return nil, fmt.Errorf("column %q has no value in some rows, and %s has no zero", f.Name, f.Type)
	}
	data := array.NewData(t, n, []*memory.Buffer{nil, memory.NewBufferBytes(make([]byte, (n*t.BitWidth()+7)/8))}, nil, 0, 0)
	defer data.Release()
	return array.MakeFromData(data), nil
}

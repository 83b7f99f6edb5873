package segment

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// Opener gives the rows of a blob.
type Opener func(ctx context.Context, b cache.Blob) (*Blob, error)

// Open reads a blob into memory: its records may outlive the reading.
func Open(store *cache.Store, b cache.Blob) (*Blob, error) {
	raw, err := store.Blob(b.Digest)
	if err != nil {
		return nil, err
	}
	records, err := record.View(raw)
	if err != nil {
		return nil, err
	}
	return NewBlob(records), nil
}

// Recent keeps the last few blobs that were opened, for segments that take
// turns in them.
func Recent(open Opener) Opener {
	const kept = 4
	type slot struct {
		digest string
		blob   *Blob
	}
	var slots []slot
	return func(ctx context.Context, b cache.Blob) (*Blob, error) {
		for i, s := range slots {
			if s.digest == b.Digest {
				slots = append(append(slots[:i:i], slots[i+1:]...), s)
				return s.blob, nil
			}
		}
		blob, err := open(ctx, b)
		if err != nil {
			return nil, err
		}
		slots = append(slots, slot{b.Digest, blob})
		if len(slots) > kept {
			slots = slots[1:]
		}
		return blob, nil
	}
}

// Blob is a blob whose rows are read.
type Blob struct {
	Records []arrow.Record
	ends    []int64 // of each record, in rows
}

// NewBlob makes a blob of its records.
func NewBlob(records []arrow.Record) *Blob {
	b := &Blob{Records: records}
	var n int64
	for _, rec := range records {
		n += rec.NumRows()
		b.ends = append(b.ends, n)
	}
	return b
}

// find returns the record that holds a row, the row's place in it, and how
// many rows of it there are from there on.
func (b *Blob) find(row int64) (rec arrow.Record, at, left int64, err error) {
	i := sort.Search(len(b.ends), func(i int) bool { return row < b.ends[i] })
	if row < 0 || i == len(b.ends) {
		return nil, 0, 0, fmt.Errorf("a blob has no row %d: %w", row, cache.ErrCorrupt)
	}
	at = row - (b.ends[i] - b.Records[i].NumRows())
	return b.Records[i], at, b.ends[i] - row, nil
}

// Records yields the rows of segments as records of the schema, which may be
// narrower than the segments. open gives the rows of a blob. The records are
// released when the loop goes on.
func Records(ctx context.Context, schema *arrow.Schema, segments []cache.Segment, open Opener) iter.Seq2[arrow.Record, error] {
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
func assemble(ctx context.Context, schema *arrow.Schema, s *cache.Segment, from int64, open Opener) (arrow.Record, error) {
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
		rec, at, left, err := blob.find(slice.Start + Row(slice, from))
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

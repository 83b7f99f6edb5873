package pipeline

import (
	"context"
	"fmt"
	"os"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// MapRecord gives what a row-wise stage makes of a record, with the columns
// that are passed on: what a run would give, without a pipeline. rows is nil if
// none is left.
func MapRecord(ctx context.Context, stage RowWise, mapper Mapper, rec arrow.Record) (rows arrow.Record, rejects []Reject, err error) {
	dir, err := os.MkdirTemp("", "tlpipe-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	store, err := cache.Open(ctx, dir, cache.OS{})
	if err != nil {
		return nil, nil, err
	}
	defer store.Close()
	c := newComposer(store, &Node{Stage: stage}, nil)
	in, sc, err := c.listed(rec)
	if err != nil {
		return nil, nil, err
	}
	_, given, err := c.selected(ctx, in, sc)
	if err != nil {
		return nil, nil, err
	}
	var missing []int
	for row, is := range given {
		if is {
			missing = append(missing, row)
		}
	}
	e, err := mapMissing(ctx, c, in, sc, mapper, missing)
	if err != nil {
		return nil, nil, err
	}
	e.Made.Rows = make(cache.RowDigests, len(missing)*len(cache.RowDigest{}))
	made, err := newMadeEntry(e)
	if err != nil {
		return nil, nil, err
	}
	found := make([]*madeRow, in.n)
	for i, row := range missing {
		found[row] = &madeRow{made, i}
	}
	chunk, rejects, ok, err := c.compose(ctx, in, sc, given, found)
	if err != nil || !ok {
		return nil, rejects, err
	}
	records, err := chunkRef{Chunk: chunk}.records(ctx, store, nil)
	if err != nil {
		return nil, nil, err
	}
	rows, err = concatenated(records)
	return rows, rejects, err
}

// concatenated is one record of several.
func concatenated(records []arrow.Record) (arrow.Record, error) {
	schema := records[0].Schema()
	var n int64
	columns := make([]arrow.Array, schema.NumFields())
	for i := range columns {
		parts := make([]arrow.Array, len(records))
		for j, rec := range records {
			parts[j] = rec.Column(i)
		}
		var err error
		if columns[i], err = array.Concatenate(parts, memory.DefaultAllocator); err != nil {
			return nil, fmt.Errorf("column %q: %w", schema.Field(i).Name, err)
		}
	}
	for _, rec := range records {
		n += rec.NumRows()
	}
	return array.NewRecord(schema, columns, n), nil
}

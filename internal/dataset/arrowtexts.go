package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/arrowmeta"
	"github.com/tlpipe/tlpipe/internal/budget"
)

// arrow reads the columns of plain values of an Arrow IPC file or stream. What the reader beneath allocates is bounded; its
// panics are caught by who calls.
func (t TextTable) arrow(ctx context.Context, f *os.File, size int64, b *budget.Budget) (*texts, error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, errors.New("not an Arrow file: it ends early")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	allocator := &boundedAllocator{Allocator: memory.NewGoAllocator(), left: b.Left(budget.Memory)}
	out := &texts{}
	if string(head[:6]) == "ARROW1" {
		if err := arrowmeta.CheckFile(f, size); err != nil {
			return nil, fmt.Errorf("not an Arrow file: %w", err)
		}
		in, err := ipc.NewFileReader(f, ipc.WithAllocator(allocator))
		if err != nil {
			return nil, fmt.Errorf("not an Arrow file: %w", err)
		}
		for i := range in.NumRecords() {
			rec, err := in.Record(i)
			if err != nil {
				return nil, err
			}
			if err := out.addArrow(ctx, rec, t.Limits, b); err != nil {
				return nil, err
			}
		}
		return out, in.Close()
	}
	stream := arrowmeta.NewStream(withContext(ctx, f), size, allocator)
	defer stream.Release()
	in, err := ipc.NewReaderFromMessageReader(stream, ipc.WithAllocator(allocator))
	if err != nil {
		return nil, fmt.Errorf("not an Arrow file: %w", err)
	}
	defer in.Release()
	for in.Next() {
		if err := out.addArrow(ctx, in.Record(), t.Limits, b); err != nil {
			return nil, err
		}
	}
	return out, in.Err()
}

// addArrow adds the rows of a record.
func (o *texts) addArrow(ctx context.Context, rec arrow.Record, limits Limits, b *budget.Budget) error {
	if err := errors.Join(ctx.Err(), limits.checkColumns(int(rec.NumCols()))); err != nil {
		return err
	}
	if at := rec.Schema().Metadata().FindKey(featuresKey); at >= 0 && o.described == nil {
		o.described = parseFeatures(rec.Schema().Metadata().Values()[at])
	}
	first := o.names == nil
	if err := b.Take(budget.Items, rec.NumRows()); err != nil {
		return err
	}
	place := 0
	for i, field := range rec.Schema().Fields() {
		column := rec.Column(i)
		if dictionary, ok := column.(*array.Dictionary); ok && plainArrow(dictionary.Dictionary().DataType()) {
			field.Type = dictionary.Dictionary().DataType()
		}
		if !plainArrow(field.Type) {
			continue
		}
		if first {
			o.names, o.columns = append(o.names, text(field.Name)), append(o.columns, nil)
		}
		classes := o.described[field.Name].Names
		for row := range column.Len() {
			value := ""
			if !column.IsNull(row) {
				value = arrowText(column, row)
			}
			if len(classes) > 0 {
				value = className(classes, value)
			}
			if err := b.Take(budget.Memory, int64(16+len(value))); err != nil {
				return err
			}
			o.columns[place] = append(o.columns[place], text(value))
		}
		place++
	}
	o.rows += int(rec.NumRows())
	return nil
}

func plainArrow(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW, arrow.BOOL, arrow.DATE32, arrow.DATE64, arrow.TIMESTAMP:
		return true
	}
	return arrow.IsPrimitive(t.ID())
}

// arrowText is a value that is not null.
func arrowText(column arrow.Array, row int) string {
	if dictionary, ok := column.(*array.Dictionary); ok {
		return arrowText(dictionary.Dictionary(), dictionary.GetValueIndex(row))
	}
	return column.ValueStr(row)
}

// boundedAllocator panics where a file asks for more memory than it may.
type boundedAllocator struct {
	memory.Allocator
	left int64
}

func (a *boundedAllocator) take(n int) {
	if a.left -= int64(n); a.left < 0 {
		panic("it asks for more memory than limits.memory allows")
	}
}

func (a *boundedAllocator) Allocate(n int) []byte {
	a.take(n)
	return a.Allocator.Allocate(n)
}

func (a *boundedAllocator) Reallocate(n int, b []byte) []byte {
	a.take(n - len(b))
	return a.Allocator.Reallocate(n, b)
}

func (a *boundedAllocator) Free(b []byte) {
	a.left += int64(len(b))
	a.Allocator.Free(b)
}

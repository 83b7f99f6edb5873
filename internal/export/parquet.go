package export

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
)

// groupBytes is about how much of a table a row group of Parquet holds, before
// it is compressed: it is in memory until it is written.
const groupBytes = 64 << 20

// writeParquet writes Parquet with the Arrow schema beside its own, so that
// readers who know Arrow get tensors back, and others get lists.
func writeParquet(ctx context.Context, out io.Writer, t *table) (notes []string, err error) {
	sink := &sticky{out: out}
	err = writeGroups(ctx, sink, t)
	// The library drops some errors of the writer it is given.
	return nil, cmp.Or(sink.err, err)
}

func writeGroups(ctx context.Context, out io.Writer, t *table) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("write Parquet: %v", p)
		}
	}()
	asLists := listSchema(t.schema)
	w, err := pqarrow.NewFileWriter(asLists, out,
		parquet.NewWriterProperties(
			parquet.WithCompression(compress.Codecs.Snappy),
			parquet.WithMaxRowGroupLength(groupRows(t.schema)),
			parquet.WithCreatedBy("tlpipe"),
		),
		pqarrow.DefaultWriterProps())
	if err != nil {
		return err
	}
	described := base64.StdEncoding.EncodeToString(flight.SerializeSchema(t.schema, memory.DefaultAllocator))
	if err := w.AppendKeyValueMetadata("ARROW:schema", described); err != nil {
		return err
	}
	for rec, err := range t.batches(ctx) {
		if err != nil {
			return err
		}
		if rec.NumRows() == 0 {
			continue
		}
		lists := listRecord(asLists, rec)
		err := w.WriteBuffered(lists)
		lists.Release()
		if err != nil {
			return err
		}
	}
	return w.Close()
}

// listSchema is the schema with lists in the place of fixed-size lists, which
// the library writes wrongly: it loses the offsets of slices, and values that
// cannot be missing.
func listSchema(s *arrow.Schema) *arrow.Schema {
	fields := slices.Clone(s.Fields())
	for i, f := range fields {
		if list, ok := f.Type.(*arrow.FixedSizeListType); ok {
			fields[i].Type = arrow.ListOf(list.Elem())
			fields[i].Metadata = arrow.Metadata{}
		}
	}
	meta := s.Metadata()
	return arrow.NewSchema(fields, &meta)
}

// listRecord is a record with lists that share the values of its fixed-size
// lists. The caller releases it.
func listRecord(schema *arrow.Schema, rec arrow.Record) arrow.Record {
	columns := make([]arrow.Array, rec.NumCols())
	for i, column := range rec.Columns() {
		list, ok := column.(*array.FixedSizeList)
		if !ok {
			columns[i] = column
			continue
		}
		offsets := make([]int32, list.Len()+1)
		for row := range list.Len() {
			from, to := list.ValueOffsets(row)
			offsets[row], offsets[row+1] = int32(from), int32(to)
		}
		var valid *memory.Buffer
		if list.NullN() > 0 {
			bits := make([]byte, bitutil.BytesForBits(int64(list.Len())))
			for row := range list.Len() {
				bitutil.SetBitTo(bits, row, list.IsValid(row))
			}
			valid = memory.NewBufferBytes(bits)
		}
		data := array.NewData(schema.Field(i).Type, list.Len(),
			[]*memory.Buffer{valid, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))},
			[]arrow.ArrayData{list.ListValues().Data()}, list.NullN(), 0)
		columns[i] = array.NewListData(data)
		data.Release()
		defer columns[i].Release()
	}
	return array.NewRecord(schema, columns, rec.NumRows())
}

// groupRows is how many rows a row group may have. Parquet has no small
// integers, so a value takes four bytes at least.
func groupRows(s *arrow.Schema) int64 {
	row := int64(0)
	for _, f := range s.Fields() {
		switch column := f.Type.(type) {
		case *arrow.FixedSizeListType:
			row += 8 * int64(column.Len())
		default:
			row += 64
		}
	}
	return min(max(groupBytes/max(row, 1), 1), 1<<20)
}

// sticky keeps the first error of a writer.
type sticky struct {
	out io.Writer
	err error
}

func (s *sticky) Write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.out.Write(b)
	s.err = err
	return n, err
}

package export

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/file"
)

// groupBytes is about how much of a table a row group of Parquet holds, before
// it is compressed: it is in memory until it is written.
const groupBytes = 64 << 20

// writeParquet writes Parquet with the Arrow schema beside its own, so that
// readers who know Arrow get tensors back, and others get lists.
func writeParquet(ctx context.Context, out io.Writer, t *table) (notes []string, err error) {
	return nil, writeGroups(ctx, out, t)
}

func writeGroups(ctx context.Context, out io.Writer, t *table) (err error) {
	w, err := NewParquetWriter(out, t.schema)
	if err != nil {
		return err
	}
	for rec, err := range t.batches(ctx) {
		if err != nil {
			return err
		}
		if err := w.Write(rec); err != nil {
			return err
		}
	}
	return w.Close()
}

// ParquetWriter writes a table as Parquet, record by record.
type ParquetWriter struct {
	file  *file.Writer
	sink  *sticky
	group file.BufferedRowGroupWriter
	limit int64 // rows of a group
	room  int64 // rows that the group still takes
}

// NewParquetWriter begins a file. out is not closed.
func NewParquetWriter(out io.Writer, schema *arrow.Schema) (w *ParquetWriter, err error) {
	defer panicsAsErrors(&err)
	root, err := parquetSchema(schema)
	if err != nil {
		return nil, err
	}
	w = &ParquetWriter{sink: &sticky{out: out}, limit: groupRows(schema)}
	w.file = file.NewParquetWriter(w.sink, root, file.WithWriterProps(parquet.NewWriterProperties(
		parquet.WithCompression(compress.Codecs.Snappy), parquet.WithCreatedBy("tlpipe"))))
	meta := schema.Metadata()
	described, err := serialised(schema)
	if err != nil {
		return nil, err
	}
	for i, key := range append(meta.Keys(), "ARROW:schema") {
		if err := w.file.AppendKeyValueMetadata(key, append(meta.Values(), described)[i]); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Write adds the rows of a record.
func (w *ParquetWriter) Write(rec arrow.Record) (err error) {
	defer panicsAsErrors(&err)
	for from := int64(0); from < rec.NumRows(); {
		if w.room == 0 {
			w.group, w.room = w.file.AppendBufferedRowGroup(), w.limit
		}
		to := min(from+w.room, rec.NumRows())
		if err := writeRecord(w.group, rec.NewSlice(from, to)); err != nil {
			return cmp.Or(w.sink.err, err)
		}
		w.room -= to - from
		from = to
	}
	return w.sink.err
}

// Close ends the file.
func (w *ParquetWriter) Close() (err error) {
	defer panicsAsErrors(&err)
	// The library drops some errors of the writer it is given.
	err = w.file.Close()
	return cmp.Or(w.sink.err, err)
}

// panicsAsErrors makes an error of a panic of the library.
func panicsAsErrors(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("write Parquet: %v", p)
	}
}

// serialised is the schema as the value of ARROW:schema has it: an Arrow IPC stream without rows, in
// base64.
func serialised(s *arrow.Schema) (string, error) {
	var stream bytes.Buffer
	if err := ipc.NewWriter(&stream, ipc.WithSchema(s)).Close(); err != nil {
		return "", fmt.Errorf("describe the schema: %w", err)
	}
	return base64.StdEncoding.EncodeToString(stream.Bytes()), nil
}

// writeRecord adds the rows of a record, which it releases, to a row group.
func writeRecord(group file.BufferedRowGroupWriter, rec arrow.Record) error {
	defer rec.Release()
	for i, column := range rec.Columns() {
		w, err := group.Column(i)
		if err != nil {
			return err
		}
		if err := writeColumn(w, rec.Schema().Field(i), column); err != nil {
			return fmt.Errorf("column %q: %w", rec.ColumnName(i), err)
		}
	}
	return nil
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

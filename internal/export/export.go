package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Format is a sort of file.
type Format string

// The formats, by the ending of the file's name.
const (
	Arrow       Format = "arrow"       // one Arrow IPC file
	Parquet     Format = "parquet"     // tensors as lists
	CSV         Format = "csv"         // one-dimensional tensors as a column a number, others left out
	NPY         Format = "npy"         // the tensor, [rows, …]
	SafeTensors Format = "safetensors" // the tensors of a model, or the tensor, [rows, …]
	PNG         Format = "png"         // a contact sheet of pictures
)

// formats lists what can be written, and how.
func formats() []writer {
	return []writer{
		{Arrow, writeArrow}, {Parquet, writeParquet}, {CSV, writeCSV},
		{NPY, writeNPY}, {SafeTensors, writeSafeTensors}, {PNG, writePNG},
	}
}

type writer struct {
	format Format
	// write returns notes: what the file leaves out.
	write func(ctx context.Context, out io.Writer, t *table) (notes []string, err error)
}

// FormatOf returns the format that the ending of a file's name asks for.
func FormatOf(path string) (Format, error) {
	ending := strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))
	var known []string
	for _, w := range formats() {
		if string(w.format) == ending {
			return w.format, nil
		}
		known = append(known, string(w.format))
	}
	return "", &pipeline.UsageError{Message: fmt.Sprintf("export to %s: the name must end in one of %s", path, strings.Join(known, ", "))}
}

// File writes an artifact to a file, in the format that its name asks for, and
// returns notes on what was left out. A file that is there is replaced once
// the new one is whole.
func File(ctx context.Context, path string, in pipeline.Input) (notes []string, err error) {
	format, err := FormatOf(path)
	if err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if onPath := new(fs.PathError); errors.As(err, &onPath) {
		return nil, fmt.Errorf("export to %s: its folder %s: %w", path, filepath.Dir(path), onPath.Err)
	}
	if err != nil {
		return nil, fmt.Errorf("export to %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name())
			err = fmt.Errorf("export %s to %s: %w", in.Name(), path, err)
		}
	}()
	buffered := bufio.NewWriterSize(temp, 1<<20)
	notes, err = Write(ctx, buffered, format, in)
	if err == nil {
		err = buffered.Flush()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return nil, err
	}
	if err := os.Chmod(temp.Name(), 0o644); err != nil {
		return nil, err
	}
	return notes, os.Rename(temp.Name(), path)
}

// Write writes an artifact to out and returns notes on what was left out.
func Write(ctx context.Context, out io.Writer, format Format, in pipeline.Input) (notes []string, err error) {
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, errors.New("it is empty: there are no rows, and so no columns")
	}
	for _, w := range formats() {
		if w.format == format {
			return w.write(ctx, out, &table{in, schema})
		}
	}
	return nil, fmt.Errorf("there is no format %q", format)
}

// table is an artifact that has a schema.
type table struct {
	pipeline.Input
	schema *arrow.Schema
}

// batches is Batches, refusing batches whose columns are not the table's.
func (t *table) batches(ctx context.Context) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		for rec, err := range t.Batches(ctx) {
			if err == nil && !rec.Schema().Equal(t.schema) {
				err = fmt.Errorf("its chunks have different columns: %v and %v", t.schema, rec.Schema())
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// isModel tells whether the table holds a model's tensors.
func (t *table) isModel() bool {
	_, ok := t.schema.Metadata().GetValue(record.ArchitectureKey)
	return ok
}

// A batch of an Arrow file ends with the row that makes it so large.
const (
	arrowRows  = 4096
	arrowBytes = 16 << 20
)

// even are the table's rows in batches whose ends follow from the rows alone. An artifact may rest in pieces of any lengths,
// depending on what was in the cache when it was made: what is written must not.
func (t *table) even(ctx context.Context) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		var parts []arrow.Record // of the next batch
		var rows, bytes int64
		defer func() { releaseAll(parts) }()
		next := func() bool {
			rec, err := joined(t.schema, parts, rows)
			releaseAll(parts)
			parts, rows, bytes = nil, 0, 0
			if err != nil {
				yield(nil, err)
				return false
			}
			defer rec.Release()
			return yield(rec, nil)
		}
		for rec, err := range t.batches(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			from := int64(0)
			for to := int64(1); to <= rec.NumRows(); to++ {
				bytes += rowBytes(rec, int(to-1))
				full := rows+to-from >= arrowRows || bytes >= arrowBytes
				if full || to == rec.NumRows() {
					parts = append(parts, rec.NewSlice(from, to))
					rows += to - from
					from = to
				}
				if full && !next() {
					return
				}
			}
		}
		if rows > 0 {
			next()
		}
	}
}

// rowBytes is about what a row takes.
func rowBytes(rec arrow.Record, row int) (n int64) {
	for _, c := range rec.Columns() {
		switch c := c.(type) {
		case *array.String:
			n += int64(c.ValueLen(row))
		case *array.Binary:
			n += int64(c.ValueLen(row))
		case array.ListLike:
			from, to := c.ValueOffsets(row)
			n += 4 * (to - from)
		default:
			n += 8
		}
	}
	return n
}

func releaseAll(records []arrow.Record) {
	for _, rec := range records {
		rec.Release()
	}
}

// joined is one record of the rows of all.
func joined(schema *arrow.Schema, parts []arrow.Record, rows int64) (arrow.Record, error) {
	columns := make([]arrow.Array, schema.NumFields())
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	for i := range columns {
		pieces := make([]arrow.Array, len(parts))
		for k, rec := range parts {
			pieces[k] = rec.Column(i)
		}
		var err error
		if columns[i], err = array.Concatenate(pieces, memory.DefaultAllocator); err != nil {
			return nil, fmt.Errorf("column %q: %w", schema.Field(i).Name, err)
		}
	}
	return array.NewRecord(schema, columns, rows), nil
}

// writeArrow writes one Arrow IPC file.
func writeArrow(ctx context.Context, out io.Writer, t *table) (notes []string, err error) {
	w, err := record.NewWriter(out, t.schema)
	if err != nil {
		return nil, err
	}
	for rec, err := range t.even(ctx) {
		if err != nil {
			return nil, err
		}
		if err := w.Write(rec); err != nil {
			return nil, err
		}
	}
	return nil, w.Close()
}

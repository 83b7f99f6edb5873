package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

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

// writeArrow writes one Arrow IPC file.
func writeArrow(ctx context.Context, out io.Writer, t *table) (notes []string, err error) {
	w, err := record.NewWriter(out, t.schema)
	if err != nil {
		return nil, err
	}
	for rec, err := range t.batches(ctx) {
		if err != nil {
			return nil, err
		}
		if err := w.Write(rec); err != nil {
			return nil, err
		}
	}
	return nil, w.Close()
}

package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/arrowmeta"
)

// Writer writes records of one schema as an Arrow IPC file.
type Writer struct {
	file *ipc.FileWriter
	rows int64
}

// NewWriter starts an Arrow IPC file. Equal records give equal bytes.
func NewWriter(w io.Writer, schema *arrow.Schema) (*Writer, error) {
	f, err := ipc.NewFileWriter(&position{w: w}, ipc.WithSchema(schema), ipc.WithAllocator(memory.DefaultAllocator))
	if err != nil {
		return nil, fmt.Errorf("start an Arrow file: %w", err)
	}
	return &Writer{file: f}, nil
}

// Write appends a record; its schema must be the file's.
func (w *Writer) Write(rec arrow.Record) error {
	if err := w.file.Write(rec); err != nil {
		return fmt.Errorf("write %d rows: %w", rec.NumRows(), err)
	}
	w.rows += rec.NumRows()
	return nil
}

// Rows is the number of rows written so far.
func (w *Writer) Rows() int64 { return w.rows }

// Close writes the footer. It does not close the underlying writer.
func (w *Writer) Close() error { return w.file.Close() }

// Encode returns one record as an Arrow IPC file.
func Encode(rec arrow.Record) ([]byte, error) {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, rec.Schema())
	if err != nil {
		return nil, err
	}
	if err := w.Write(rec); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// Decode iterates over the records of an Arrow IPC file held in memory; they
// are released when the loop goes on. It is meant for files whose digest was
// verified: truncated ones give an error, but the Arrow library trusts lengths
// that stand in a file's metadata.
func Decode(data []byte) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		r, batches, err := open(data)
		if err != nil {
			yield(nil, err)
			return
		}
		defer r.Close()
		for i := range batches {
			rec, err := recordAt(r, i)
			if err != nil {
				yield(nil, err)
				return
			}
			more := yield(rec, nil)
			rec.Release()
			if !more {
				return
			}
		}
	}
}

// DecodeSchema reads the schema of an Arrow IPC file.
func DecodeSchema(data []byte) (*arrow.Schema, error) {
	r, _, err := open(data)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Schema(), nil
}

// EachForeign reads a file of others, which nothing is known of: in it compressed buffers may be larger than the file, up to
// most bytes each, and whatever use does with a malformed record is an error and no panic.
func EachForeign(data []byte, most int, use func(arrow.Record) error) (err error) {
	r, batches, err := openWithin(data, max(most, len(data)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for i := range batches {
		rec, err := recordAt(r, i)
		if err == nil {
			err = useForeign(rec, use)
			rec.Release()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func useForeign(rec arrow.Record, use func(arrow.Record) error) (err error) {
	defer recoverAs(&err, "read an Arrow file")
	return use(rec)
}

func open(data []byte) (r *ipc.FileReader, batches int, err error) {
	return openWithin(data, len(data))
}

func openWithin(data []byte, buffer int) (r *ipc.FileReader, batches int, err error) {
	if err := arrowmeta.CheckFile(bytes.NewReader(data), int64(len(data))); err != nil {
		return nil, 0, fmt.Errorf("open an Arrow file: %w", err)
	}
	defer recoverAs(&err, "open an Arrow file")
	r, err = ipc.NewFileReader(bytes.NewReader(data), ipc.WithAllocator(bounded{memory.DefaultAllocator, buffer}))
	if err != nil {
		return nil, 0, fmt.Errorf("open an Arrow file: %w", err)
	}
	return r, r.NumRecords(), nil
}

func recordAt(r *ipc.FileReader, i int) (rec arrow.Record, err error) {
	defer recoverAs(&err, fmt.Sprintf("read batch %d of an Arrow file", i))
	rec, err = r.RecordAt(i)
	if err != nil {
		return nil, fmt.Errorf("read batch %d of an Arrow file: %w", i, err)
	}
	return rec, nil
}

// recoverAs turns a panic of the Arrow reader, which trusts its input, into an
// error.
func recoverAs(err *error, doing string) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: malformed: %v", doing, p)
	}
}

// bounded refuses buffers larger than what the file can hold that they are to
// be read from: a length that was never written.
type bounded struct {
	memory.Allocator
	most int // bytes
}

func (b bounded) Allocate(size int) []byte {
	b.check(size)
	return b.Allocator.Allocate(size)
}

func (b bounded) Reallocate(size int, buf []byte) []byte {
	b.check(size)
	return b.Allocator.Reallocate(size, buf)
}

func (b bounded) check(size int) {
	const slack = 1 << 10 // for alignment
	if size < 0 || size > b.most+slack {
		panic(fmt.Sprintf("a buffer of %d bytes where %d are the most", size, b.most))
	}
}

// position is a writer that can tell where it is, which is all that the Arrow
// file writer seeks for.
type position struct {
	w  io.Writer
	at int64
}

func (p *position) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.at += int64(n)
	return n, err
}

func (p *position) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.New("an Arrow file is written from front to back")
	}
	return p.at, nil
}

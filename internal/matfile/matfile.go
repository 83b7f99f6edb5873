package matfile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// Variable is a matrix.
type Variable struct {
	Name          string
	Rows, Columns int
	Data          []float64 // column by column; nil of what cannot be read, or was not asked for
	Why           string    // why it cannot be read; "" if it can
}

// Sparse tells whether it cannot be read because it is sparse.
func (v Variable) Sparse() bool { return v.Why == isSparse }

const isSparse = "it is a sparse matrix"

// At is the element in a row and a column, from 0.
func (v Variable) At(row, column int) float64 { return v.Data[column*v.Rows+row] }

// Read reads a file; the data of the variables that wanted picks, the names and shapes of all. Memory of data and what is unpacked
// are taken from b.
func Read(r io.Reader, wanted func(name string) bool, b *budget.Budget) ([]Variable, error) {
	order, err := Check(r)
	if err != nil {
		return nil, err
	}
	f := &file{order: order, wanted: wanted, budget: b}
	counted := &counter{Reader: r, at: headerSize}
	for r = counted; ; {
		begin := counted.at
		where := func(err error) error { return fmt.Errorf("variable %d, at byte %d: %w", len(f.found)+1, begin, err) }
		kind, size, small, err := f.tag(r)
		if errors.Is(err, io.EOF) {
			return f.found, nil
		}
		if err != nil {
			return nil, where(err)
		}
		if small != nil {
			continue // no variable is so small
		}
		body := io.LimitReader(r, size)
		switch kind {
		case compressedType:
			err = f.compressed(body)
		case matrixType:
			err = f.matrix(body, size)
		}
		if err != nil {
			return nil, where(err)
		}
		if kind != compressedType {
			size = padded(size) - size
			body = io.LimitReader(r, size+body.(*io.LimitedReader).N)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return nil, err
		}
	}
}

// headerSize is the length of what stands before the first variable.
const headerSize = 128

// Check reads the header, refuses files of other formats and versions, and tells the order of bytes.
func Check(r io.Reader) (binary.ByteOrder, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, errors.New("it is no MAT-file: it is shorter than a header")
	}
	var order binary.ByteOrder
	switch string(head[126:128]) {
	case "IM":
		order = binary.LittleEndian
	case "MI":
		order = binary.BigEndian
	default:
		if bytes.HasPrefix(head[:], []byte("\x89HDF")) {
			return nil, errNewer
		}
		return nil, errors.New("it is no MAT-file of version 5")
	}
	switch version := order.Uint16(head[124:126]); version {
	case 0x0100:
		return order, nil
	case 0x0200:
		return nil, errNewer
	default:
		return nil, fmt.Errorf("version %#x of the format is not known", version)
	}
}

// counter counts the bytes that are read.
type counter struct {
	io.Reader
	at int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.at += int64(n)
	return n, err
}

var errNewer = errors.New("it is of version 7.3: save it with -v7, or in Python with scipy.io.savemat")

// Types of elements.
const (
	matrixType     = 14
	compressedType = 15
)

// file is being read.
type file struct {
	order  binary.ByteOrder
	wanted func(string) bool
	budget *budget.Budget
	found  []Variable
}

// tag reads what stands before data. Data of up to four bytes may stand in the tag itself: small.
func (f *file) tag(r io.Reader) (kind uint32, size int64, small []byte, err error) {
	var tag [8]byte
	if n, err := io.ReadFull(r, tag[:]); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return 0, 0, nil, io.EOF
		}
		return 0, 0, nil, fmt.Errorf("it ends within a tag: %w", unexpected(err))
	}
	first := f.order.Uint32(tag[:4])
	if short := first >> 16; short != 0 {
		if short > 4 {
			return 0, 0, nil, fmt.Errorf("damaged: %d bytes in a tag", short)
		}
		return first & 0xffff, int64(short), tag[4 : 4+short], nil
	}
	return first, int64(f.order.Uint32(tag[4:])), nil, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return err
}

var errTruncated = errors.New("truncated: the file ends too soon")

// padded is the length with what fills up to 8 bytes.
func padded(size int64) int64 { return (size + 7) &^ 7 }

func (f *file) compressed(r io.Reader) error {
	z, err := zlib.NewReader(r)
	if err != nil {
		return fmt.Errorf("unpack: %w", unexpected(err))
	}
	in := f.budget.Reader(budget.Unpacked, z)
	kind, size, small, err := f.tag(in)
	if err != nil {
		return fmt.Errorf("unpack: %w", unexpected(err))
	}
	if kind != matrixType || small != nil {
		return nil
	}
	return f.matrix(io.LimitReader(in, size), size)
}

// element reads a whole element of at most so many bytes.
func (f *file) element(r io.Reader, most int64) (kind uint32, data []byte, err error) {
	kind, size, small, err := f.tag(r)
	if err != nil || small != nil {
		return kind, small, unexpected(err)
	}
	if size > most {
		return 0, nil, fmt.Errorf("damaged: an element of %d bytes where at most %d are expected", size, most)
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return 0, nil, unexpected(err)
	}
	_, err = io.CopyN(io.Discard, r, padded(size)-size)
	return kind, data, unexpected(err)
}

// Limits of what describes a matrix, in bytes.
const (
	maxDims = 256
	maxName = 1 << 12
)

// matrix reads a matrix of so many bytes.
func (f *file) matrix(r io.Reader, size int64) error {
	if size == 0 {
		return nil // of no name and no shape
	}
	if err := f.budget.Take(budget.Items, 1); err != nil {
		return err
	}
	wrong := func(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }
	_, flags, err := f.element(r, 16)
	if err != nil {
		return wrong("flags", err)
	}
	if len(flags) < 4 {
		return wrong("flags", errTruncated)
	}
	_, dims, err := f.element(r, maxDims)
	if err != nil {
		return wrong("dimensions", err)
	}
	_, name, err := f.element(r, maxName)
	if err != nil {
		return wrong("name", err)
	}
	v := Variable{Name: string(name)}
	bits := f.order.Uint32(flags)
	class, complexNumbers := bits&0xff, bits&0x800 != 0
	const double, uint64Class = 6, 15
	shape := make([]int64, 0, 2)
	for at := 0; at+4 <= len(dims); at += 4 {
		shape = append(shape, int64(int32(f.order.Uint32(dims[at:]))))
	}
	switch {
	case len(shape) != 2:
		v.Why = fmt.Sprintf("it has %d dimensions", len(shape))
	case shape[0] < 0 || shape[1] < 0:
		return fmt.Errorf("damaged: the matrix %q of shape %v", v.Name, shape)
	case class < double || class > uint64Class:
		names := map[uint32]string{1: "a cell array", 2: "a structure", 3: "an object", 4: "a text", 5: "a sparse matrix"}
		v.Why = "it is " + names[class] // isSparse, of 5
		if names[class] == "" {
			v.Why = fmt.Sprintf("it is of class %d", class)
		}
	case complexNumbers:
		v.Why = "its numbers are complex"
	}
	if len(shape) == 2 {
		v.Rows, v.Columns = int(shape[0]), int(shape[1])
	}
	if v.Why == "" && f.wanted(v.Name) {
		if v.Data, err = f.numbers(r, shape[0], shape[1]); err != nil {
			return fmt.Errorf("the matrix %q: %w", v.Name, err)
		}
	}
	f.found = append(f.found, v)
	return nil
}

// numbers reads the data of a matrix, which may be stored in a smaller type than that of the matrix.
func (f *file) numbers(r io.Reader, rows, columns int64) ([]float64, error) {
	kind, size, small, err := f.tag(r)
	if err != nil {
		return nil, unexpected(err)
	}
	read, width := f.number(kind)
	if read == nil {
		return nil, fmt.Errorf("numbers of type %d", kind)
	}
	if rows > 0 && columns > math.MaxInt64/8/rows || rows*columns*width != size {
		return nil, fmt.Errorf("damaged: %d×%d numbers of %d bytes in %d bytes", rows, columns, width, size)
	}
	if small != nil {
		r = bytes.NewReader(small)
	}
	count := rows * columns
	var out []float64
	block := make([]byte, min(1<<16, max(size, 1))/width*width)
	for int64(len(out)) < count {
		n := min(int64(len(block)), (count-int64(len(out)))*width)
		// Memory is taken as the data comes: a size that was never written costs nothing.
		if err := f.budget.Take(budget.Memory, n/width*8); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(r, block[:n]); err != nil {
			return nil, unexpected(err)
		}
		for at := int64(0); at < n; at += width {
			out = append(out, read(block[at:at+width]))
		}
	}
	return out, nil
}

// number returns what reads a number of a type, and how many bytes it has.
func (f *file) number(kind uint32) (read func([]byte) float64, width int64) {
	o := f.order
	switch kind {
	case 1:
		return func(b []byte) float64 { return float64(int8(b[0])) }, 1
	case 2:
		return func(b []byte) float64 { return float64(b[0]) }, 1
	case 3:
		return func(b []byte) float64 { return float64(int16(o.Uint16(b))) }, 2
	case 4:
		return func(b []byte) float64 { return float64(o.Uint16(b)) }, 2
	case 5:
		return func(b []byte) float64 { return float64(int32(o.Uint32(b))) }, 4
	case 6:
		return func(b []byte) float64 { return float64(o.Uint32(b)) }, 4
	case 7:
		return func(b []byte) float64 { return float64(math.Float32frombits(o.Uint32(b))) }, 4
	case 9:
		return func(b []byte) float64 { return math.Float64frombits(o.Uint64(b)) }, 8
	case 12:
		return func(b []byte) float64 { return float64(int64(o.Uint64(b))) }, 8
	case 13:
		return func(b []byte) float64 { return float64(o.Uint64(b)) }, 8
	}
	return nil, 1
}

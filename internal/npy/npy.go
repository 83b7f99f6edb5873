package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/tlpipe/tlpipe/internal/budget"
)

// Array is an array in row-major order.
type Array struct {
	Shape []int
	Data  []float32
}

// ReadFile reads a file. Arrays of other types than float32, and those in Fortran's order, are errors
// that say how to write them so that they can be read.
func ReadFile(path string) (_ Array, err error) {
	f, err := budget.Open(path, 0)
	if err != nil {
		return Array{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	var a Array
	if err == nil {
		a, err = Read(f, info.Size())
	}
	if err != nil {
		return Array{}, fmt.Errorf("read %s: %w", path, err)
	}
	return a, nil
}

// Read reads a file of so many bytes.
func Read(r io.Reader, size int64) (Array, error) {
	head, start, err := readHeader(r, size)
	if err != nil {
		return Array{}, err
	}
	order, err := head.order()
	if err != nil {
		return Array{}, err
	}
	if err := head.fits(size-start, 4); err != nil {
		return Array{}, err
	}
	raw := make([]byte, size-start)
	if _, err := io.ReadFull(r, raw); err != nil {
		return Array{}, err
	}
	a := Array{Shape: head.shape, Data: make([]float32, len(raw)/4)}
	for i := range a.Data {
		a.Data[i] = math.Float32frombits(order.Uint32(raw[4*i:]))
	}
	return a, nil
}

// Numbers reads an array of numbers of any type, of so many bytes of a file, in row-major order; of whole numbers beyond 2⁵³ the last
// digits are lost. most bounds how many numbers there may be.
func Numbers(r io.Reader, size, most int64) (shape []int, data []float64, err error) {
	head, start, read, width, err := numbers(r, size)
	if err != nil {
		return nil, nil, err
	}
	count := (size - start) / width
	if count > most {
		return nil, nil, fmt.Errorf("it has %d numbers, the limit is %d", count, most)
	}
	raw := make([]byte, size-start)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, nil, err
	}
	data = make([]float64, count)
	for i := range data {
		at := int64(i)
		if head.fortran {
			at = fortranPlace(i, head.shape)
		}
		data[i] = read(raw[at*width:])
	}
	return head.shape, data, nil
}

// Texts reads an array of texts of fixed length, as NumPy makes of a list of texts, of so many bytes of a file, in row-major order.
// most bounds the memory that they take, in bytes. ok is false, and nothing but the header read, where it holds something else.
func Texts(r io.Reader, size, most int64) (texts []string, ok bool, err error) {
	head, start, err := readHeader(r, size)
	if err != nil {
		return nil, false, err
	}
	found := textType.FindStringSubmatch(head.descr)
	if found == nil {
		return nil, false, nil
	}
	length, err := strconv.ParseInt(found[3], 10, 32)
	if err != nil {
		return nil, true, fmt.Errorf("texts of type %s: %w", head.descr, err)
	}
	width := length
	if found[2] == "U" {
		width = 4 * length
	}
	if width == 0 {
		return nil, true, errors.New("all of its texts are empty")
	}
	if err := head.fits(size-start, width); err != nil {
		return nil, true, err
	}
	const header = 16 // of a text in memory
	count := (size - start) / width
	if count > most/(width+header) {
		return nil, true, fmt.Errorf("its %d texts take more than the limit of %d bytes", count, most)
	}
	raw := make([]byte, size-start)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, true, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if found[1] == ">" {
		order = binary.BigEndian
	}
	texts = make([]string, count)
	for i := range texts {
		at := int64(i)
		if head.fortran {
			at = fortranPlace(i, head.shape)
		}
		one := raw[at*width : (at+1)*width]
		if found[2] == "S" {
			texts[i] = string(bytes.TrimRight(one, "\x00"))
			continue
		}
		var text strings.Builder
		for ; len(one) > 0; one = one[4:] {
			if c := rune(order.Uint32(one)); c != 0 { // texts are filled up with these
				text.WriteRune(c)
			}
		}
		texts[i] = text.String()
	}
	return texts, true, nil
}

// LabelShape is the shape of an array of numbers or of texts, as [Shape] is.
func LabelShape(r io.Reader, size int64) ([]int, error) {
	head, start, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	if textType.MatchString(head.descr) {
		return head.shape, nil
	}
	_, width, err := head.number()
	if err != nil {
		return nil, err
	}
	return head.shape, head.fits(size-start, width)
}

// textType is NumPy's name of texts of fixed length: order of bytes, code points or bytes, and how many.
var textType = regexp.MustCompile(`^([<>|=]?)([US])([0-9]+)$`)

// Shape is the shape of the array of numbers in a file of so many bytes, of which the header alone is read. Its errors are those of
// [Numbers].
func Shape(r io.Reader, size int64) ([]int, error) {
	head, _, _, _, err := numbers(r, size)
	return head.shape, err
}

// numbers reads the header of an array of numbers, and returns its length, what reads a number, and the bytes of one.
func numbers(r io.Reader, size int64) (head header, start int64, read func([]byte) float64, width int64, err error) {
	head, start, err = readHeader(r, size)
	if err != nil {
		return head, 0, nil, 0, err
	}
	if read, width, err = head.number(); err != nil {
		return head, 0, nil, 0, err
	}
	return head, start, read, width, head.fits(size-start, width)
}

// number returns what reads a number, and the bytes of one.
func (h header) number() (read func([]byte) float64, width int64, err error) {
	var order binary.ByteOrder = binary.LittleEndian
	if strings.HasPrefix(h.descr, ">") {
		order = binary.BigEndian
	}
	if read, width = number(strings.TrimLeft(h.descr, "<>|="), order); read == nil {
		what := h.descr
		switch {
		case strings.Contains(what, "O"):
			what = "objects of Python (" + what + ")"
		case textType.MatchString(what):
			what = "texts (" + what + ")"
		}
		return nil, 0, fmt.Errorf("it holds %s, which are not numbers", what)
	}
	return read, width, nil
}

// fits refuses a shape that does not have so many bytes of numbers of that width.
func (h header) fits(has, width int64) error {
	if slices.Contains(h.shape, 0) {
		return fmt.Errorf("the array is empty: its shape is %v", h.shape)
	}
	need := width
	for _, n := range h.shape {
		if int64(n) > math.MaxInt64/need {
			return fmt.Errorf("an array of shape %v is larger than any file, %d bytes follow the header: truncated or damaged", h.shape, has)
		}
		need *= int64(n)
	}
	switch {
	case has < need:
		return fmt.Errorf("an array of shape %v takes %d bytes after the header, the file has %d: truncated", h.shape, need, has)
	case has > need:
		return fmt.Errorf("an array of shape %v takes %d bytes after the header, the file has %d: damaged", h.shape, need, has)
	}
	return nil
}

// fortranPlace is where element i, counted row by row, lies column by column.
func fortranPlace(i int, shape []int) int64 {
	at, stride := int64(0), int64(1)
	index := make([]int, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		index[d] = i % shape[d]
		i /= shape[d]
	}
	for d, n := range shape {
		at += int64(index[d]) * stride
		stride *= int64(n)
	}
	return at
}

// number returns what reads a number of NumPy's type, and its bytes.
func number(name string, o binary.ByteOrder) (read func([]byte) float64, width int64) {
	switch name {
	case "f2":
		return func(b []byte) float64 { return float64(float16.FromBits(o.Uint16(b)).Float32()) }, 2
	case "f4":
		return func(b []byte) float64 { return float64(math.Float32frombits(o.Uint32(b))) }, 4
	case "f8":
		return func(b []byte) float64 { return math.Float64frombits(o.Uint64(b)) }, 8
	case "i1":
		return func(b []byte) float64 { return float64(int8(b[0])) }, 1
	case "u1", "b1":
		return func(b []byte) float64 { return float64(b[0]) }, 1
	case "i2":
		return func(b []byte) float64 { return float64(int16(o.Uint16(b))) }, 2
	case "u2":
		return func(b []byte) float64 { return float64(o.Uint16(b)) }, 2
	case "i4":
		return func(b []byte) float64 { return float64(int32(o.Uint32(b))) }, 4
	case "u4":
		return func(b []byte) float64 { return float64(o.Uint32(b)) }, 4
	case "i8":
		return func(b []byte) float64 { return float64(int64(o.Uint64(b))) }, 8
	case "u8":
		return func(b []byte) float64 { return float64(o.Uint64(b)) }, 8
	}
	return nil, 1
}

// header is what a file says of its array.
type header struct {
	descr   string // the type, as NumPy names it: "<f4"
	fortran bool
	shape   []int
}

// order returns the order of bytes in a number, for arrays that are read here.
func (h header) order() (binary.ByteOrder, error) {
	if h.fortran {
		return nil, errors.New("it is in Fortran's order: write numpy.ascontiguousarray(x)")
	}
	switch h.descr {
	case "<f4":
		return binary.LittleEndian, nil
	case ">f4":
		return binary.BigEndian, nil
	}
	return nil, fmt.Errorf("it holds %s, not float32: write x.astype(numpy.float32)", h.descr)
}

// readHeader reads all that comes before the numbers, and returns its length too.
func readHeader(r io.Reader, size int64) (h header, start int64, err error) {
	var begin [8]byte
	if _, err := io.ReadFull(r, begin[:]); err != nil || !bytes.HasPrefix(begin[:], []byte("\x93NUMPY")) {
		return h, 0, errors.New("it is no NumPy file (numpy.save writes one)")
	}
	var width int64 = 4
	switch version := begin[6]; version {
	case 1:
		width = 2
	case 2, 3:
	default:
		return h, 0, fmt.Errorf("version %d of NumPy's format is not known", version)
	}
	var number [4]byte // little-endian; the upper bytes stay 0 in version 1
	if _, err := io.ReadFull(r, number[:width]); err != nil {
		return h, 0, fmt.Errorf("the length of the header: %w", err)
	}
	start = 8 + width + int64(binary.LittleEndian.Uint32(number[:]))
	if start > size {
		return h, 0, fmt.Errorf("the header should end at byte %d, the file has %d: truncated", start, size)
	}
	text := make([]byte, start-8-width)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, 0, fmt.Errorf("the header: %w", err)
	}
	h, err = parseHeader(string(text))
	return h, start, err
}

// parseHeader reads the Python literal {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }.
func parseHeader(text string) (h header, err error) {
	value := func(key, pattern string) string {
		found := regexp.MustCompile(`'` + key + `':\s*` + pattern).FindStringSubmatch(text)
		if found == nil {
			err = errors.Join(err, fmt.Errorf("the header does not tell %s", key))
			return ""
		}
		return found[1]
	}
	h.descr = value("descr", `('[^']*'|\[[^\]]*\])`)
	h.descr = strings.Trim(h.descr, "'")
	h.fortran = value("fortran_order", `(True|False)`) == "True"
	for _, n := range strings.Split(value("shape", `\(([0-9, ]*)\)`), ",") {
		if n = strings.TrimSpace(n); n == "" {
			continue
		}
		length, wrong := strconv.Atoi(n)
		if wrong != nil {
			return h, fmt.Errorf("the header's shape: %w", wrong)
		}
		h.shape = append(h.shape, length)
	}
	return h, err
}

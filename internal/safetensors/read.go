package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// Type is the type of a tensor's elements, as files name it.
type Type string

// The types that [File.Float32] reads.
const (
	F64  Type = "F64"
	F32  Type = "F32"
	F16  Type = "F16"
	BF16 Type = "BF16"
)

// size returns the bytes of an element; 0 for a type that is not known.
func (t Type) size() int64 {
	switch t {
	case F64, "I64", "U64":
		return 8
	case F32, "I32", "U32":
		return 4
	case F16, BF16, "I16", "U16":
		return 2
	case "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2":
		return 1
	}
	return 0
}

// Info tells of a tensor in a file.
type Info struct {
	Name  string
	Type  Type
	Shape []int

	begin, end int64 // in the file
}

// Elements returns the number of elements.
func (i Info) Elements() int { return int((i.end - i.begin) / i.Type.size()) }

// File is an open file of tensors. It may be read from several goroutines.
type File struct {
	content  io.ReaderAt
	close    func() error
	tensors  []Info // in the order of their bytes
	metadata map[string]string
}

// maxHeader is the greatest length of a header that the format allows.
const maxHeader = 100_000_000

// Open opens a file. Tensors are read when asked for.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var file *File
	if err == nil {
		file, err = New(f, info.Size())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	file.close = f.Close
	return file, nil
}

// Parse reads a file held in memory.
func Parse(data []byte) (*File, error) {
	return New(bytes.NewReader(data), int64(len(data)))
}

// New reads a file of the given size.
func New(content io.ReaderAt, size int64) (*File, error) {
	var prefix [8]byte
	if size < int64(len(prefix)) {
		return nil, fmt.Errorf("not a safetensors file: %d bytes are too few", size)
	}
	if _, err := content.ReadAt(prefix[:], 0); err != nil {
		return nil, fmt.Errorf("read the length of the header: %w", err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	switch {
	case length > maxHeader:
		return nil, fmt.Errorf("not a safetensors file: a header of %d bytes is longer than the format allows", length)
	case int64(length) > size-8:
		return nil, fmt.Errorf("truncated, or not a safetensors file: the header should have %d bytes, the file has %d", length, size)
	}
	header := make([]byte, length)
	if _, err := content.ReadAt(header, 8); err != nil && !(err == io.EOF && len(header) == 0) {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	f := &File{content: content, close: func() error { return nil }}
	if err := f.parse(header, size); err != nil {
		return nil, err
	}
	return f, nil
}

// parse reads the header and checks that the tensors fill the rest of the file, without gap or
// overlap.
func (f *File) parse(header []byte, size int64) error {
	if len(header) == 0 || header[0] != '{' {
		return errors.New("not a safetensors file: the header is no JSON object")
	}
	start := 8 + int64(len(header))
	d := json.NewDecoder(bytes.NewReader(header))
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("header: %w", err)
		}
		name := token.(string) // keys of an object are strings
		if seen[name] {
			return fmt.Errorf("header: %q stands there twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := d.Decode(&f.metadata); err != nil {
				return fmt.Errorf("header: metadata: %w", err)
			}
			continue
		}
		var e entry
		if err := d.Decode(&e); err != nil {
			return fmt.Errorf("header: tensor %q: %w", name, err)
		}
		info, err := e.check(name, start, size)
		if err != nil {
			return fmt.Errorf("header: tensor %q: %w", name, err)
		}
		f.tensors = append(f.tensors, info)
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if rest := bytes.TrimSpace(header[d.InputOffset():]); len(rest) > 0 {
		return errors.New("header: there is more after the object")
	}
	slices.SortStableFunc(f.tensors, func(a, b Info) int {
		if a.begin != b.begin {
			return int(min(max(a.begin-b.begin, -1), 1))
		}
		return int(min(max(a.end-b.end, -1), 1))
	})
	at := start
	for _, t := range f.tensors {
		if t.begin != at {
			return fmt.Errorf("header: tensor %q begins at byte %d, the one before it ends at %d", t.Name, t.begin, at)
		}
		at = t.end
	}
	if at != size {
		return fmt.Errorf("the header tells of %d bytes, the file has %d: truncated or damaged", at, size)
	}
	return nil
}

// entry is a tensor in the header. Offsets count from the end of the header.
type entry struct {
	Type    Type    `json:"dtype"`
	Shape   []int   `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

func (e entry) check(name string, start, size int64) (Info, error) {
	width := e.Type.size()
	if width == 0 {
		return Info{}, fmt.Errorf("unknown type %q", e.Type)
	}
	if len(e.Offsets) != 2 {
		return Info{}, fmt.Errorf("data_offsets are %v, want two numbers", e.Offsets)
	}
	begin, end := e.Offsets[0], e.Offsets[1]
	if begin < 0 || end < begin || end > size-start {
		return Info{}, fmt.Errorf("bytes %d to %d lie outside the file: truncated or damaged", begin, end)
	}
	elements := (end - begin) / width // divided by each dimension until 1 is left
	for _, n := range e.Shape {
		if n <= 0 || elements%int64(n) != 0 {
			elements = 0
			break
		}
		elements /= int64(n)
	}
	if empty := slices.Contains(e.Shape, 0) && slices.Min(e.Shape) == 0 && begin == end; !empty && (elements != 1 || (end-begin)%width != 0) {
		return Info{}, fmt.Errorf("shape %v of %s does not fit %d bytes", e.Shape, e.Type, end-begin)
	}
	return Info{Name: name, Type: e.Type, Shape: e.Shape, begin: start + begin, end: start + end}, nil
}

// Close closes the file that [Open] opened.
func (f *File) Close() error { return f.close() }

// Tensors lists what is in the file, in the order of the bytes.
func (f *File) Tensors() []Info { return f.tensors }

// Metadata returns the file's own notes; it may be nil.
func (f *File) Metadata() map[string]string { return f.metadata }

// Float32 reads a tensor of floating-point numbers, row-major. Float64 is rounded.
func (f *File) Float32(name string) (shape []int, data []float32, err error) {
	at := slices.IndexFunc(f.tensors, func(i Info) bool { return i.Name == name })
	if at < 0 {
		return nil, nil, fmt.Errorf("there is no tensor %q", name)
	}
	info := f.tensors[at]
	switch info.Type {
	case F64, F32, F16, BF16:
	default:
		return nil, nil, fmt.Errorf("tensor %q: %s is no floating-point type", name, info.Type)
	}
	raw := make([]byte, info.end-info.begin)
	if _, err := f.content.ReadAt(raw, info.begin); err != nil && !(err == io.EOF && len(raw) == 0) {
		return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return slices.Clone(info.Shape), decode(info.Type, raw), nil
}

func decode(t Type, raw []byte) []float32 {
	out := make([]float32, len(raw)/int(t.size()))
	for i := range out {
		switch t {
		case F64:
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
		case F32:
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		case F16:
			out[i] = half(binary.LittleEndian.Uint16(raw[2*i:]))
		case BF16:
			out[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		}
	}
	return out
}

// half widens an IEEE 754 binary16.
func half(bits uint16) float32 {
	sign := uint32(bits&0x8000) << 16
	exponent, fraction := uint32(bits>>10)&31, uint32(bits)&1023
	switch exponent {
	case 0: // zero or subnormal: fraction · 2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 31: // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// File is a file of tensors. It may be read from several goroutines.
type File struct {
	tensors  []stored.Tensor // in the order of their bytes
	at       map[string]int  // in tensors
	metadata map[string]string
	close    func() error
}

// maxHeader is the greatest length of a header that the format allows.
const maxHeader = 100_000_000

// Open maps a file. Tensors are read when asked for. The budget is for the items of its header; nil has no limits.
func Open(path string, b *budget.Budget) (*File, error) {
	file, closing, err := mapped.Parse(path, func(data []byte) (*File, error) { return Parse(data, b) })
	if err != nil {
		return nil, err
	}
	file.close = closing
	return file, nil
}

// Parse does as [Open] with a file held in memory.
func Parse(data []byte, b *budget.Budget) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("not a safetensors file: %d bytes are too few", len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	switch {
	case length > maxHeader:
		return nil, fmt.Errorf("not a safetensors file: a header of %d bytes is longer than the format allows", length)
	case length > uint64(len(data)-8):
		return nil, fmt.Errorf("truncated, or not a safetensors file: the header should have %d bytes, the file has %d", length, len(data))
	}
	f := &File{at: map[string]int{}, close: func() error { return nil }}
	header, body := data[8:8+length], data[8+length:]
	if err := f.parse(header, body, b); err != nil {
		return nil, err
	}
	return f, nil
}

// parse reads the header and checks that the tensors fill the body, without gap or overlap.
func (f *File) parse(header, body []byte, b *budget.Budget) error {
	if len(header) == 0 || header[0] != '{' {
		return errors.New("not a safetensors file: the header is no JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(header))
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	type place struct {
		name       string
		begin, end int64
	}
	var places []place
	tensors := map[string]stored.Tensor{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("header: %w", err)
		}
		name := token.(string) // keys of an object are strings
		if err := b.Take(budget.Items, 1); err != nil {
			return fmt.Errorf("header: %w", err)
		}
		if _, seen := tensors[name]; seen || name == metadataName && f.metadata != nil {
			return fmt.Errorf("header: %q stands there twice", name)
		}
		if name == metadataName {
			f.metadata = map[string]string{}
			if err := d.Decode(&f.metadata); err != nil {
				return fmt.Errorf("header: metadata: %w", err)
			}
			continue
		}
		var e entry
		if err := d.Decode(&e); err != nil {
			return fmt.Errorf("header: tensor %q: %w", name, err)
		}
		if err := e.check(int64(len(body))); err != nil {
			return fmt.Errorf("header: tensor %q: %w", name, err)
		}
		begin, end := e.Offsets[0], e.Offsets[1]
		places = append(places, place{name, begin, end})
		tensors[name] = stored.Tensor{Name: name, Type: e.Type, Shape: e.Shape, Content: stored.Raw(body[begin:end])}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if rest := bytes.TrimSpace(header[d.InputOffset():]); len(rest) > 0 {
		return errors.New("header: there is more after the object")
	}
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := int64(0)
	for i, p := range places {
		if p.begin != at {
			return fmt.Errorf("header: tensor %q begins at byte %d, the one before it ends at %d", p.name, p.begin, at)
		}
		at = p.end
		f.tensors, f.at[p.name] = append(f.tensors, tensors[p.name]), i
	}
	if at != int64(len(body)) {
		return fmt.Errorf("the header tells of %d bytes of tensors, the file has %d: truncated or damaged", at, len(body))
	}
	return nil
}

// metadataName is the name in the header that is no tensor's.
const metadataName = "__metadata__"

// entry is a tensor in the header. Offsets count from the end of the header.
type entry struct {
	Type    stored.Type `json:"dtype"`
	Shape   []int       `json:"shape"`
	Offsets []int64     `json:"data_offsets"`
}

// check tells whether the tensor lies in a body of that size.
func (e entry) check(size int64) error {
	width := int64(e.Type.Size())
	if width == 0 {
		return fmt.Errorf("unknown type %q", e.Type)
	}
	if len(e.Offsets) != 2 {
		return fmt.Errorf("data_offsets are %v, want two numbers", e.Offsets)
	}
	begin, end := e.Offsets[0], e.Offsets[1]
	if begin < 0 || end < begin || end > size {
		return fmt.Errorf("bytes %d to %d lie outside the file: truncated or damaged", begin, end)
	}
	if elements, ok := stored.Elements(e.Shape); !ok || int64(elements) != (end-begin)/width || (end-begin)%width != 0 {
		return fmt.Errorf("shape %v of %s does not fit %d bytes", e.Shape, e.Type, end-begin)
	}
	return nil
}

// Close closes the file that [Open] opened.
func (f *File) Close() error { return f.close() }

// Tensors lists what is in the file, in the order of the bytes.
func (f *File) Tensors() []stored.Tensor { return f.tensors }

// Metadata returns the file's own notes; it may be nil.
func (f *File) Metadata() map[string]string { return f.metadata }

// Float32 reads a tensor of floating-point numbers, row-major. Float64 is rounded.
func (f *File) Float32(name string) (shape []int, data []float32, err error) {
	at, ok := f.at[name]
	if !ok {
		return nil, nil, fmt.Errorf("there is no tensor %q", name)
	}
	t := f.tensors[at]
	data, err = t.Float32()
	if err != nil {
		return nil, nil, err
	}
	return slices.Clone(t.Shape), data, nil
}

// Int8 reads a tensor of the type I8, row-major.
func (f *File) Int8(name string) (shape []int, data []int8, err error) {
	at, ok := f.at[name]
	if !ok {
		return nil, nil, fmt.Errorf("there is no tensor %q", name)
	}
	t := f.tensors[at]
	if t.Type != stored.I8 {
		return nil, nil, fmt.Errorf("tensor %q is %s, not I8", name, t.Type)
	}
	err = mapped.Guard(func() error {
		raw, err := t.Content.Bytes()
		if err != nil {
			return err
		}
		data = make([]int8, len(raw))
		for i, b := range raw {
			data[i] = int8(b)
		}
		return nil
	})
	return slices.Clone(t.Shape), data, err
}

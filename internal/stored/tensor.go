package stored

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/mapped"
)

// Tensor is a tensor in a file. It may be read from several goroutines at once, with others of the
// same file, until the file is closed.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int

	Content   Content // holds the numbers, perhaps among others
	Offset    int     // of the first, in bytes
	Strides   []int   // from one to the next along each axis, in elements; nil: row-major
	BigEndian bool
}

// Content is bytes that are read, unpacked or checked when they are needed.
type Content interface {
	Bytes() ([]byte, error)
}

// Raw is content that is there.
type Raw []byte

// Bytes implements [Content].
func (r Raw) Bytes() ([]byte, error) { return r, nil }

// Elements returns how many numbers the tensor has.
func (t Tensor) Elements() int { n, _ := Elements(t.Shape); return n }

// Elements returns the product of a shape; false if there is a negative dimension, or if the product
// is more than an int holds.
func Elements(shape []int) (int, bool) {
	if slices.ContainsFunc(shape, func(n int) bool { return n < 0 }) {
		return 0, false
	}
	if slices.Contains(shape, 0) {
		return 0, true
	}
	product := uint(1)
	for _, n := range shape {
		high, low := bits.Mul(product, uint(n))
		if high != 0 || low > math.MaxInt {
			return 0, false
		}
		product = low
	}
	return int(product), true
}

// Use hands over the numbers, row-major. Numbers that rest in the file as this machine would hold
// them are not copied: use must neither write nor keep them.
func (t Tensor) Use(use func([]float32)) error {
	if !t.Type.Real() {
		return fmt.Errorf("tensor %q: %s is no floating-point type", t.Name, t.Type)
	}
	return mapped.Guard(func() error {
		raw, err := t.bytes()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if n := t.Elements(); n > maxRepeated && n/maxRepeats > len(raw)/t.Type.Size() {
			return fmt.Errorf("tensor %q: shape %v repeats %d bytes of the file: it needs more than %s of memory, which is the limit for it",
				t.Name, t.Shape, len(raw), budget.Bytes(4*maxRepeated))
		}
		if numbers, ok := t.inPlace(raw); ok {
			use(numbers)
		} else {
			use(t.gather(t.decode(raw)))
		}
		return nil
	})
}

// A view may repeat the same numbers along an axis, at a stride of 0: so often, where they become many.
const (
	maxRepeated = 1 << 24
	maxRepeats  = 16
)

// Float32 reads the numbers, row-major. Those of F64 are rounded.
func (t Tensor) Float32() ([]float32, error) {
	out := []float32{}
	err := t.Use(func(numbers []float32) { out = append(out, numbers...) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// bytes returns the part of the content from the first number to the last.
func (t Tensor) bytes() ([]byte, error) {
	elements, ok := Elements(t.Shape)
	if ok && elements == 0 {
		return nil, nil
	}
	span := elements
	if t.Strides != nil {
		span = 1
		for i, n := range t.Shape {
			span += (n - 1) * t.Strides[i]
		}
	}
	all, err := t.Content.Bytes()
	if err != nil {
		return nil, err
	}
	if width := t.Type.Size(); !ok || t.Offset < 0 || t.Offset > len(all) || span < 0 || span > (len(all)-t.Offset)/width {
		return nil, fmt.Errorf("shape %v from byte %d on does not fit %d bytes: truncated or damaged", t.Shape, t.Offset, len(all))
	}
	return all[t.Offset : t.Offset+span*t.Type.Size()], nil
}

// inPlace returns the numbers where they are, if that is how this machine holds them.
func (t Tensor) inPlace(raw []byte) ([]float32, bool) {
	little := binary.NativeEndian.Uint16([]byte{1, 0}) == 1
	if len(raw) == 0 || t.Type != F32 || t.BigEndian == little || t.Strides != nil {
		return nil, false
	}
	first := unsafe.Pointer(unsafe.SliceData(raw))
	if uintptr(first)%unsafe.Alignof(float32(0)) != 0 {
		return nil, false
	}
	return unsafe.Slice((*float32)(first), len(raw)/4), true
}

// decode widens or rounds all numbers, in the order of their bytes.
func (t Tensor) decode(raw []byte) []float32 {
	var order binary.ByteOrder = binary.LittleEndian
	if t.BigEndian {
		order = binary.BigEndian
	}
	out := make([]float32, len(raw)/t.Type.Size())
	switch t.Type {
	case F64:
		for i := range out {
			out[i] = float32(math.Float64frombits(order.Uint64(raw[8*i:])))
		}
	case F32:
		for i := range out {
			out[i] = math.Float32frombits(order.Uint32(raw[4*i:]))
		}
	case F16:
		for i := range out {
			out[i] = half(order.Uint16(raw[2*i:]))
		}
	case BF16:
		for i := range out {
			out[i] = math.Float32frombits(uint32(order.Uint16(raw[2*i:])) << 16)
		}
	}
	return out
}

// gather brings numbers that lie at strides into row-major order.
func (t Tensor) gather(numbers []float32) []float32 {
	if t.Strides == nil || len(numbers) == 0 {
		return numbers
	}
	out := make([]float32, 0, t.Elements())
	var walk func(axis, at int)
	walk = func(axis, at int) {
		if axis == len(t.Shape) {
			out = append(out, numbers[at])
			return
		}
		for i := range t.Shape[axis] {
			walk(axis+1, at+i*t.Strides[axis])
		}
	}
	walk(0, 0)
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

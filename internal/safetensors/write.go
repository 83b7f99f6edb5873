package safetensors

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Tensor is a tensor to be written, row-major.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
	Type  stored.Type // F32, F16 and BF16, to which the numbers are rounded, or I8, of which they are whole ones; "" for F32
}

// Write writes tensors in the order given. Equal input gives equal bytes.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	header, err := encodeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], uint64(len(header)))
	out.Write(number[:]) // the writer keeps its first error for Flush
	out.Write(header)
	for _, t := range tensors {
		for _, x := range t.Data {
			switch t.Type {
			case stored.F16:
				binary.LittleEndian.PutUint16(number[:], stored.Float16(x))
			case stored.BF16:
				binary.LittleEndian.PutUint16(number[:], stored.BFloat16(x))
			case stored.I8:
				number[0] = byte(int8(x))
			default:
				binary.LittleEndian.PutUint32(number[:], math.Float32bits(x))
			}
			out.Write(number[:t.kind().Size()])
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write tensors: %w", err)
	}
	return nil
}

// kind is the type of the numbers in the file.
func (t Tensor) kind() stored.Type { return cmp.Or(t.Type, stored.F32) }

func encodeHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	field := func(name string, value any) error {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(text)
		return nil
	}
	b.WriteByte('{')
	if len(metadata) > 0 {
		if err := field(metadataName, metadata); err != nil {
			return nil, fmt.Errorf("write tensors: metadata: %w", err)
		}
	}
	seen := map[string]bool{metadataName: true}
	at := int64(0)
	for _, t := range tensors {
		if seen[t.Name] {
			return nil, fmt.Errorf("write tensors: the name %q cannot be used, or is used twice", t.Name)
		}
		seen[t.Name] = true
		elements := 1
		for _, n := range t.Shape {
			elements *= n
		}
		if elements != len(t.Data) {
			return nil, fmt.Errorf("write tensor %q: shape %v does not hold %d numbers", t.Name, t.Shape, len(t.Data))
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		switch t.kind() {
		case stored.F32, stored.F16, stored.BF16, stored.I8:
		default:
			return nil, fmt.Errorf("write tensor %q: numbers cannot be written as %s", t.Name, t.Type)
		}
		end := at + int64(t.kind().Size())*int64(len(t.Data))
		if err := field(t.Name, entry{Type: t.kind(), Shape: shape, Offsets: []int64{at, end}}); err != nil {
			return nil, fmt.Errorf("write tensor %q: %w", t.Name, err)
		}
		at = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ') // so that tensors lie aligned in memory
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("write tensors: a header of %d bytes is longer than the format allows", b.Len())
	}
	return b.Bytes(), nil
}

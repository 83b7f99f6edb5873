package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Float32 returns the numbers of a tensor of a floating-point type.
func (t *Tensor) Float32() ([]float32, error) {
	n, err := t.check()
	if err != nil {
		return nil, err
	}
	if t.Raw == nil {
		switch {
		case t.Type == Float32 && len(t.Floats) == n:
			return t.Floats, nil
		case t.Type == Float64 && len(t.Doubles) == n:
			out := make([]float32, n)
			for i, v := range t.Doubles {
				out[i] = float32(v)
			}
			return out, nil
		case (t.Type == Float16 || t.Type == BFloat16) && len(t.Int32s) == n:
			raw := make([]byte, 2*n)
			for i, v := range t.Int32s {
				binary.LittleEndian.PutUint16(raw[2*i:], uint16(v))
			}
			return t.half(raw, n)
		}
		return nil, t.wrong("numbers")
	}
	switch t.Type {
	case Float32:
		out := make([]float32, n)
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Raw[4*i:]))
		}
		return out, nil
	case Float64:
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(t.Raw[8*i:])))
		}
		return out, nil
	case Float16, BFloat16:
		return t.half(t.Raw, n)
	}
	return nil, t.wrong("floating-point numbers")
}

// half reads numbers of two bytes.
func (t *Tensor) half(raw []byte, n int) ([]float32, error) {
	kind := stored.F16
	if t.Type == BFloat16 {
		kind = stored.BF16
	}
	s := stored.Tensor{Name: t.Name, Type: kind, Shape: []int{n}, Content: stored.Raw(raw)}
	return s.Float32()
}

// Int64 returns the numbers of a tensor of a type of whole numbers.
func (t *Tensor) Int64() ([]int64, error) {
	n, err := t.check()
	if err != nil {
		return nil, err
	}
	out := make([]int64, n)
	if t.Raw == nil {
		switch {
		case t.Type == Int64 && len(t.Int64s) == n:
			return t.Int64s, nil
		case t.Type.Size() > 0 && t.Type.Size() <= 4 && t.Type != Float32 && len(t.Int32s) == n:
			for i, v := range t.Int32s {
				out[i] = int64(v)
			}
			return out, nil
		}
		return nil, t.wrong("whole numbers")
	}
	for i := range out {
		switch t.Type {
		case Int64, Uint64:
			out[i] = int64(binary.LittleEndian.Uint64(t.Raw[8*i:]))
		case Int32:
			out[i] = int64(int32(binary.LittleEndian.Uint32(t.Raw[4*i:])))
		case Uint32:
			out[i] = int64(binary.LittleEndian.Uint32(t.Raw[4*i:]))
		case Int16:
			out[i] = int64(int16(binary.LittleEndian.Uint16(t.Raw[2*i:])))
		case Uint16:
			out[i] = int64(binary.LittleEndian.Uint16(t.Raw[2*i:]))
		case Int8:
			out[i] = int64(int8(t.Raw[i]))
		case Uint8, Bool:
			out[i] = int64(t.Raw[i])
		default:
			return nil, t.wrong("whole numbers")
		}
	}
	return out, nil
}

// check returns how many numbers there are, and refuses raw data of another length.
func (t *Tensor) check() (int, error) {
	if t.External {
		return 0, fmt.Errorf("tensor %q: its numbers lie in another file, which is not read", t.Name)
	}
	n, ok := t.Elements()
	if !ok {
		return 0, fmt.Errorf("tensor %q: %v is no shape", t.Name, t.Shape)
	}
	if t.Raw == nil {
		if n > len(t.Floats)+len(t.Int32s)+len(t.Int64s)+len(t.Doubles)+len(t.Uint64s) {
			return 0, t.wrong("numbers")
		}
		return n, nil
	}
	if size := t.Type.Size(); size == 0 || len(t.Raw) != n*size {
		return 0, t.wrong("numbers")
	}
	return n, nil
}

func (t *Tensor) wrong(want string) error {
	return fmt.Errorf("tensor %q of type %s and shape %v: there are not as many %s", t.Name, t.Type, t.Shape, want)
}

// Float32s makes a tensor of float32.
func Float32s(name string, shape []int, data []float32) Tensor {
	raw := make([]byte, 0, 4*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return Tensor{Name: name, Type: Float32, Shape: wide(shape), Raw: raw}
}

// Int64s makes a tensor of int64.
func Int64s(name string, shape []int, data ...int64) Tensor {
	raw := make([]byte, 0, 8*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return Tensor{Name: name, Type: Int64, Shape: wide(shape), Raw: raw}
}

// Int32s makes a tensor of int32.
func Int32s(name string, shape []int, data []int32) Tensor {
	raw := make([]byte, 0, 4*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
	}
	return Tensor{Name: name, Type: Int32, Shape: wide(shape), Raw: raw}
}

// Int8s makes a tensor of int8.
func Int8s(name string, shape []int, data []int8) Tensor {
	raw := make([]byte, len(data))
	for i, v := range data {
		raw[i] = byte(v)
	}
	return Tensor{Name: name, Type: Int8, Shape: wide(shape), Raw: raw}
}

// Uint8s makes a tensor of uint8.
func Uint8s(name string, shape []int, data []uint8) Tensor {
	return Tensor{Name: name, Type: Uint8, Shape: wide(shape), Raw: append([]byte{}, data...)}
}

// Float16s makes a tensor of float16, rounded to the nearest, ties to even. What is too large becomes infinite.
func Float16s(name string, shape []int, data []float32) Tensor {
	raw := make([]byte, 0, 2*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint16(raw, stored.Float16(v))
	}
	return Tensor{Name: name, Type: Float16, Shape: wide(shape), Raw: raw}
}

func wide(shape []int) []int64 {
	var out []int64
	for _, d := range shape {
		out = append(out, int64(d))
	}
	return out
}

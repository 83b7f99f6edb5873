package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// Write writes an array of float32, in version 1.0 of the format.
func Write(w io.Writer, a Array) error {
	raw := make([]byte, 0, 4*len(a.Data))
	for _, v := range a.Data {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return write(w, "<f4", a.Shape, raw)
}

// WriteUint8 writes an array of bytes, row-major.
func WriteUint8(w io.Writer, shape []int, data []uint8) error { return write(w, "|u1", shape, data) }

// WriteInt64 writes an array of whole numbers, row-major.
func WriteInt64(w io.Writer, shape []int, data []int64) error {
	raw := make([]byte, 0, 8*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return write(w, "<i8", shape, raw)
}

func write(w io.Writer, kind string, shape []int, raw []byte) error {
	var axes strings.Builder
	for _, n := range shape {
		fmt.Fprintf(&axes, "%d, ", n)
	}
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", kind, strings.TrimSuffix(axes.String(), " "))
	const line = 64 // the data begins at a multiple of it
	before := len("\x93NUMPY\x01\x00") + 2
	head += strings.Repeat(" ", (line-(before+len(head)+1)%line)%line) + "\n"
	start := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(head)))
	for _, part := range [][]byte{start, []byte(head), raw} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

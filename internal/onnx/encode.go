package onnx

import (
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Write writes a model. Equal models give equal bytes.
func (m *Model) Write(w io.Writer) error {
	e := m.encode()
	if e.size > math.MaxInt32 {
		return fmt.Errorf("write an ONNX model: %d bytes are more than the %d that one file can have", e.size, math.MaxInt32)
	}
	for _, part := range e.parts {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("write an ONNX model: %w", err)
		}
	}
	return nil
}

// message is an encoded message: parts in a row, so that large tensors are not copied into what they lie in.
type message struct {
	parts [][]byte
	size  int64
}

func (m *message) add(part []byte) {
	m.parts = append(m.parts, part)
	m.size += int64(len(part))
}

func (m *message) varint(field protowire.Number, v int64) {
	m.add(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), uint64(v)))
}

// number is varint, left out if it is 0.
func (m *message) number(field protowire.Number, v int64) {
	if v != 0 {
		m.varint(field, v)
	}
}

func (m *message) bytes(field protowire.Number, b []byte) {
	m.add(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), uint64(len(b))))
	if len(b) > 0 {
		m.add(b)
	}
}

// text is bytes, left out if there are none.
func (m *message) text(field protowire.Number, s string) {
	if s != "" {
		m.bytes(field, []byte(s))
	}
}

func (m *message) inner(field protowire.Number, inner *message) {
	m.add(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), uint64(inner.size)))
	m.parts = append(m.parts, inner.parts...)
	m.size += inner.size
}

// packed writes numbers side by side.
func packed[N any](m *message, field protowire.Number, list []N, one func([]byte, N) []byte) {
	if len(list) == 0 {
		return
	}
	var b []byte
	for _, v := range list {
		b = one(b, v)
	}
	m.bytes(field, b)
}

func appendInt[N int32 | int64 | uint64](b []byte, v N) []byte {
	return protowire.AppendVarint(b, uint64(v))
}

func appendFloat(b []byte, v float32) []byte {
	return protowire.AppendFixed32(b, math.Float32bits(v))
}

func appendDouble(b []byte, v float64) []byte {
	return protowire.AppendFixed64(b, math.Float64bits(v))
}

func (m *Model) encode() *message {
	e := &message{}
	e.number(1, m.IRVersion)
	e.text(2, m.Producer)
	e.text(3, m.ProducerVersion)
	e.text(6, m.Doc)
	e.inner(7, m.Graph.encode())
	for _, o := range m.Opsets {
		inner := &message{}
		inner.text(1, o.Domain)
		inner.number(2, o.Version)
		e.inner(8, inner)
	}
	for _, entry := range m.Metadata {
		inner := &message{}
		inner.text(1, entry.Key)
		inner.text(2, entry.Value)
		e.inner(14, inner)
	}
	return e
}

func (g *Graph) encode() *message {
	e := &message{}
	for i := range g.Nodes {
		e.inner(1, g.Nodes[i].encode())
	}
	e.text(2, g.Name)
	for i := range g.Initializers {
		e.inner(5, g.Initializers[i].encode())
	}
	for _, v := range g.Inputs {
		e.inner(11, v.encode())
	}
	for _, v := range g.Outputs {
		e.inner(12, v.encode())
	}
	for _, v := range g.Values {
		e.inner(13, v.encode())
	}
	return e
}

func (n *Node) encode() *message {
	e := &message{}
	for _, name := range n.Inputs {
		e.bytes(1, []byte(name))
	}
	for _, name := range n.Outputs {
		e.bytes(2, []byte(name))
	}
	e.text(3, n.Name)
	e.text(4, n.Operator)
	for i := range n.Attributes {
		e.inner(5, n.Attributes[i].encode())
	}
	e.text(7, n.Domain)
	return e
}

func (a *Attribute) encode() *message {
	e := &message{}
	e.text(1, a.Name)
	switch a.Type {
	case FloatAttribute:
		e.add(appendFloat(protowire.AppendTag(nil, 2, protowire.Fixed32Type), a.Float))
	case IntAttribute:
		e.varint(3, a.Int)
	case StringAttribute:
		e.bytes(4, a.Bytes)
	case TensorAttribute:
		e.inner(5, a.Tensor.encode())
	case FloatsAttribute:
		packed(e, 7, a.Floats, appendFloat)
	case IntsAttribute:
		packed(e, 8, a.Ints, appendInt[int64])
	case StringsAttribute:
		for _, s := range a.Strings {
			e.bytes(9, s)
		}
	}
	e.number(20, int64(a.Type))
	return e
}

func (t *Tensor) encode() *message {
	e := &message{}
	packed(e, 1, t.Shape, appendInt[int64])
	e.number(2, int64(t.Type))
	packed(e, 4, t.Floats, appendFloat)
	packed(e, 5, t.Int32s, func(b []byte, v int32) []byte { return appendInt(b, int64(v)) })
	packed(e, 7, t.Int64s, appendInt[int64])
	e.text(8, t.Name)
	if t.Raw != nil {
		e.bytes(9, t.Raw)
	}
	packed(e, 10, t.Doubles, appendDouble)
	packed(e, 11, t.Uint64s, appendInt[uint64])
	return e
}

func (v *ValueInfo) encode() *message {
	e := &message{}
	e.text(1, v.Name)
	if v.Type == 0 {
		return e
	}
	tensor := &message{}
	tensor.number(1, int64(v.Type))
	if v.Known {
		shape := &message{}
		for _, d := range v.Shape {
			axis := &message{}
			if d.Name != "" {
				axis.text(2, d.Name)
			} else {
				axis.varint(1, d.Length)
			}
			shape.inner(1, axis)
		}
		tensor.inner(2, shape)
	}
	kind := &message{}
	kind.inner(1, tensor)
	e.inner(2, kind)
	return e
}

// errWire is what cannot be the encoding of a message.
var errWire = errors.New("truncated, or not an ONNX file")

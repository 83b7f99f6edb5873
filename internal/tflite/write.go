package tflite

import (
	"fmt"
	"io"
	"math"

	flatbuffers "github.com/google/flatbuffers/go"
)

const (
	identifier = "TFL3"
	version    = 3
	// alignment of constants in memory, in bytes
	alignment = 16
)

// Write writes a model. Equal models give equal bytes.
func (m *Model) Write(w io.Writer) error {
	size := 1 << 16
	for i := range m.Tensors {
		size += len(m.Tensors[i].Data) + 256
	}
	if size > math.MaxInt32-1<<20 {
		return fmt.Errorf("write a TensorFlow Lite model: %d bytes are more than the %d that one file can have", size, math.MaxInt32)
	}
	b := flatbuffers.NewBuilder(size)
	e := &encoder{b}
	// The first buffer is that of all tensors without data.
	buffers := []flatbuffers.UOffsetT{e.buffer(nil)}
	var tensors []flatbuffers.UOffsetT
	for i := range m.Tensors {
		at := uint32(0)
		if t := &m.Tensors[i]; t.Data != nil {
			at = uint32(len(buffers))
			buffers = append(buffers, e.buffer(t.Data))
		}
		tensors = append(tensors, e.tensor(&m.Tensors[i], at))
	}
	var metadata []flatbuffers.UOffsetT
	for _, entry := range m.Metadata {
		name := b.CreateString(entry.Name)
		at := uint32(len(buffers))
		buffers = append(buffers, e.buffer(entry.Data))
		b.StartObject(2)
		b.PrependUOffsetTSlot(0, name, 0)
		b.PrependUint32Slot(1, at, 0)
		metadata = append(metadata, b.EndObject())
	}
	codes, numbers := m.codes()
	var operators, kinds []flatbuffers.UOffsetT
	for i := range m.Operators {
		operators = append(operators, e.operator(&m.Operators[i], numbers[kind{m.Operators[i].Code, m.Operators[i].Version}]))
	}
	for _, k := range codes {
		b.StartObject(4)
		b.PrependInt8Slot(0, int8(min(k.code, 127)), 0)
		b.PrependInt32Slot(2, int32(k.version), 1)
		b.PrependInt32Slot(3, int32(k.code), 0)
		kinds = append(kinds, b.EndObject())
	}
	tensorList, operatorList := e.tables(tensors), e.tables(operators)
	inputs, outputs, name := e.ints(m.Inputs), e.ints(m.Outputs), b.CreateString("main")
	b.StartObject(6)
	b.PrependUOffsetTSlot(0, tensorList, 0)
	b.PrependUOffsetTSlot(1, inputs, 0)
	b.PrependUOffsetTSlot(2, outputs, 0)
	b.PrependUOffsetTSlot(3, operatorList, 0)
	b.PrependUOffsetTSlot(4, name, 0)
	graph := b.EndObject()
	graphs, kindList, bufferList, metadataList := e.tables([]flatbuffers.UOffsetT{graph}), e.tables(kinds), e.tables(buffers), e.tables(metadata)
	description := b.CreateString(m.Description)
	b.StartObject(8)
	b.PrependUint32Slot(0, version, 0)
	b.PrependUOffsetTSlot(1, kindList, 0)
	b.PrependUOffsetTSlot(2, graphs, 0)
	b.PrependUOffsetTSlot(3, description, 0)
	b.PrependUOffsetTSlot(4, bufferList, 0)
	b.PrependUOffsetTSlot(6, metadataList, 0)
	b.FinishWithFileIdentifier(b.EndObject(), []byte(identifier))
	if _, err := w.Write(b.FinishedBytes()); err != nil {
		return fmt.Errorf("write a TensorFlow Lite model: %w", err)
	}
	return nil
}

// kind is an operator in a version.
type kind struct {
	code    Code
	version int
}

// codes numbers the kinds of operators, in the order in which they come.
func (m *Model) codes() (list []kind, numbers map[kind]uint32) {
	numbers = map[kind]uint32{}
	for _, o := range m.Operators {
		k := kind{o.Code, o.Version}
		if _, ok := numbers[k]; !ok {
			numbers[k] = uint32(len(list))
			list = append(list, k)
		}
	}
	return list, numbers
}

type encoder struct{ *flatbuffers.Builder }

func (b *encoder) buffer(data []byte) flatbuffers.UOffsetT {
	var at flatbuffers.UOffsetT
	if data != nil {
		b.Prep(alignment, len(data)+4) // so that the bytes begin at a multiple of it
		at = b.CreateByteVector(data)
	}
	b.StartObject(3)
	b.PrependUOffsetTSlot(0, at, 0)
	return b.EndObject()
}

func (b *encoder) tensor(t *Tensor, buffer uint32) flatbuffers.UOffsetT {
	shape, name := b.ints(t.Shape), b.CreateString(t.Name)
	var steps flatbuffers.UOffsetT
	if s := t.Steps; s != nil {
		b.StartVector(4, len(s.Sizes), 4)
		for i := len(s.Sizes) - 1; i >= 0; i-- {
			b.PrependFloat32(s.Sizes[i])
		}
		sizes := b.EndVector(len(s.Sizes))
		b.StartVector(8, len(s.Zeros), 8)
		for i := len(s.Zeros) - 1; i >= 0; i-- {
			b.PrependInt64(s.Zeros[i])
		}
		zeros := b.EndVector(len(s.Zeros))
		b.StartObject(7)
		b.PrependUOffsetTSlot(2, sizes, 0)
		b.PrependUOffsetTSlot(3, zeros, 0)
		b.PrependInt32Slot(6, int32(s.Axis), 0)
		steps = b.EndObject()
	}
	b.StartObject(9)
	b.PrependUOffsetTSlot(0, shape, 0)
	b.PrependInt8Slot(1, int8(t.Type), 0)
	b.PrependUint32Slot(2, buffer, 0)
	b.PrependUOffsetTSlot(3, name, 0)
	b.PrependUOffsetTSlot(4, steps, 0)
	b.PrependBoolSlot(8, true, false)
	return b.EndObject()
}

func (b *encoder) operator(o *Operator, code uint32) flatbuffers.UOffsetT {
	inputs, outputs := b.ints(o.Inputs), b.ints(o.Outputs)
	known := operators()[o.Code]
	var options flatbuffers.UOffsetT
	if known.options != 0 {
		slots := 1
		for _, s := range known.fields {
			slots = max(slots, s.at+1)
		}
		b.StartObject(slots)
		for _, s := range known.fields {
			v := o.Options[s.field]
			switch {
			case s.field == beta:
				b.PrependFloat32Slot(s.at, 1, 0)
			case s.size == 1:
				b.PrependInt8Slot(s.at, int8(v), int8(s.least))
			default:
				b.PrependInt32Slot(s.at, int32(v), int32(s.least))
			}
		}
		options = b.EndObject()
	}
	b.StartObject(5)
	b.PrependUint32Slot(0, code, 0)
	b.PrependUOffsetTSlot(1, inputs, 0)
	b.PrependUOffsetTSlot(2, outputs, 0)
	b.PrependByteSlot(3, known.options, 0)
	b.PrependUOffsetTSlot(4, options, 0)
	return b.EndObject()
}

func (b *encoder) ints(list []int) flatbuffers.UOffsetT {
	b.StartVector(4, len(list), 4)
	for i := len(list) - 1; i >= 0; i-- {
		b.PrependInt32(int32(list[i]))
	}
	return b.EndVector(len(list))
}

func (b *encoder) tables(list []flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(4, len(list), 4)
	for i := len(list) - 1; i >= 0; i-- {
		b.PrependUOffsetT(list[i])
	}
	return b.EndVector(len(list))
}

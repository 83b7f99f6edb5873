package record

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Tensor is a named tensor, row-major: one row of a model table.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
	Type  TensorType // that it rests as; "" for float32. Data is rounded when it is written.
}

// TensorType is what the numbers of a tensor rest as.
type TensorType string

// The types. In int8, each part of the tensor along its first axis has a size of steps of its own; in the column bytes
// these sizes, float32, come before the steps. See [stored.Int8].
const (
	Float32Tensor  TensorType = "float32"
	Float16Tensor  TensorType = "float16"
	BFloat16Tensor TensorType = "bfloat16"
	Int8Tensor     TensorType = "int8"
)

// Model is a trained model as it rests in an artifact.
type Model struct {
	// Architecture is JSON that the package which made the model can build it
	// from again.
	Architecture json.RawMessage
	Description  *Description // nil for tensors alone, and for models of form 1
	Classes      []string     // of models of form 1, in the order of the logits
	Tensors      []Tensor
	// Metadata holds further entries of the schema's metadata.
	Metadata map[string]string
}

// schema is the schema of a model table: name, dtype (a [TensorType]), shape,
// bytes (little-endian).
func (m Model) schema() (*arrow.Schema, error) {
	entries := map[string]string{}
	maps.Copy(entries, m.Metadata)
	entries[ArchitectureKey] = string(m.Architecture)
	if m.Description != nil {
		text, err := m.Description.Encode()
		if err != nil {
			return nil, err
		}
		entries[DescriptionKey] = text
	} else {
		classes, err := json.Marshal(m.Classes)
		if err != nil {
			return nil, err
		}
		entries[ClassesKey] = string(classes)
	}
	meta := arrow.MetadataFrom(entries)
	return arrow.NewSchema([]arrow.Field{
		{Name: "name", Type: arrow.BinaryTypes.String},
		{Name: "dtype", Type: arrow.BinaryTypes.String},
		{Name: "shape", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64)},
		{Name: "bytes", Type: arrow.BinaryTypes.LargeBinary},
	}, &meta), nil
}

// Record returns the model as a table. The caller releases it.
func (m Model) Record() (arrow.Record, error) {
	schema, err := m.schema()
	if err != nil {
		return nil, fmt.Errorf("write a model: %w", err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	shapes := b.Field(2).(*array.ListBuilder)
	dims := shapes.ValueBuilder().(*array.Int64Builder)
	for _, t := range m.Tensors {
		b.Field(0).(*array.StringBuilder).Append(t.Name)
		b.Field(1).(*array.StringBuilder).Append(string(cmp.Or(t.Type, Float32Tensor)))
		shapes.Append(true)
		for _, n := range t.Shape {
			dims.Append(int64(n))
		}
		b.Field(3).(*array.BinaryBuilder).Append(t.encode())
	}
	return b.NewRecord(), nil
}

// ModelOf reads all of a model but its tensors from metadata. The keys that Model has fields for are
// left out of Metadata.
func ModelOf(metadata map[string]string) (Model, error) {
	m := Model{Architecture: json.RawMessage(metadata[ArchitectureKey]), Metadata: maps.Clone(metadata)}
	if text, ok := metadata[DescriptionKey]; ok {
		d, err := ParseDescription(text)
		if err != nil {
			return m, err
		}
		m.Description = &d
	} else if text, ok := metadata[ClassesKey]; ok {
		if err := json.Unmarshal([]byte(text), &m.Classes); err != nil {
			return m, fmt.Errorf("read a model: class names: %w", err)
		}
	}
	for _, key := range []string{ArchitectureKey, DescriptionKey, ClassesKey} {
		delete(m.Metadata, key)
	}
	return m, nil
}

// ParseModel reads a model table, its metadata as [ModelOf] does.
func ParseModel(rec arrow.Record) (Model, error) {
	m, err := ModelOf(rec.Schema().Metadata().ToMap())
	if err != nil {
		return m, err
	}

	names, ok0 := columnOf[*array.String](rec, "name")
	dtypes, ok1 := columnOf[*array.String](rec, "dtype")
	shapes, ok2 := columnOf[*array.List](rec, "shape")
	values, ok3 := columnOf[*array.LargeBinary](rec, "bytes")
	if !ok0 || !ok1 || !ok2 || !ok3 {
		return m, fmt.Errorf("read a model: columns are %v", ColumnNames(rec.Schema()))
	}
	dims, ok := shapes.ListValues().(*array.Int64)
	if !ok {
		return m, fmt.Errorf("read a model: shapes are not whole numbers")
	}
	for i := range int(rec.NumRows()) {
		t := Tensor{Name: names.Value(i), Type: TensorType(dtypes.Value(i))}
		size := 1
		from, to := shapes.ValueOffsets(i)
		for j := from; j < to; j++ {
			n := int(dims.Value(int(j)))
			if n < 0 || n > 0 && size > math.MaxInt32/n {
				return m, fmt.Errorf("read a model: tensor %s has a shape that is none", t.Name)
			}
			t.Shape = append(t.Shape, n)
			size *= n
		}
		if err := t.decode(values.Value(i), size); err != nil {
			return m, fmt.Errorf("read a model: %w", err)
		}
		m.Tensors = append(m.Tensors, t)
	}
	return m, nil
}

// encode returns the bytes of the tensor.
func (t Tensor) encode() []byte {
	var raw []byte
	switch t.Type {
	case Float16Tensor:
		for _, x := range t.Data {
			raw = binary.LittleEndian.AppendUint16(raw, stored.Float16(x))
		}
		return raw
	case BFloat16Tensor:
		for _, x := range t.Data {
			raw = binary.LittleEndian.AppendUint16(raw, stored.BFloat16(x))
		}
		return raw
	case Int8Tensor:
		steps, sizes := stored.Int8(t.Data, t.rows())
		raw = floatBytes(sizes)
		for _, s := range steps {
			raw = append(raw, byte(s))
		}
		return raw
	}
	return floatBytes(t.Data)
}

// StoredBytes is how many bytes the numbers take where they rest.
func (t Tensor) StoredBytes() int64 {
	n := int64(len(t.Data))
	switch t.Type {
	case Float16Tensor, BFloat16Tensor:
		return 2 * n
	case Int8Tensor:
		return n + 4*int64(t.rows())
	}
	return 4 * n
}

// rows is the length of the first axis.
func (t Tensor) rows() int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape[0]
}

// decode reads the numbers of a tensor of so many.
func (t *Tensor) decode(raw []byte, size int) error {
	wrong := func() error {
		return fmt.Errorf("tensor %s of shape %v and type %s has %d bytes", t.Name, t.Shape, t.Type, len(raw))
	}
	kind := map[TensorType]stored.Type{Float32Tensor: stored.F32, Float16Tensor: stored.F16, BFloat16Tensor: stored.BF16}[t.Type]
	switch {
	case t.Type == Int8Tensor:
		rows := t.rows()
		if len(raw) != size+4*rows {
			return wrong()
		}
		sizes, steps := make([]float32, rows), make([]int8, size)
		for i := range sizes {
			sizes[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		for i, b := range raw[4*rows:] {
			steps[i] = int8(b)
		}
		t.Data = stored.Numbers(steps, sizes)
		return nil
	case kind == "":
		return fmt.Errorf("tensor %s is %s, which this version of tlpipe does not know", t.Name, t.Type)
	case len(raw) != kind.Size()*size:
		return wrong()
	}
	if t.Type == Float32Tensor {
		t.Type = ""
	}
	var err error
	t.Data, err = stored.Tensor{Name: t.Name, Type: kind, Shape: t.Shape, Content: stored.Raw(raw)}.Float32()
	return err
}

func floatBytes(data []float32) []byte {
	raw := make([]byte, 0, 4*len(data))
	for _, x := range data {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}

func columnOf[A arrow.Array](rec arrow.Record, name string) (A, bool) {
	var none A
	at := rec.Schema().FieldIndices(name)
	if len(at) != 1 {
		return none, false
	}
	column, ok := rec.Column(at[0]).(A)
	return column, ok
}

package record

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Tensor is a named float32 tensor, row-major: one row of a model table.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

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

// schema is the schema of a model table: name, dtype ("float32"), shape,
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
		b.Field(1).(*array.StringBuilder).Append("float32")
		shapes.Append(true)
		for _, n := range t.Shape {
			dims.Append(int64(n))
		}
		b.Field(3).(*array.BinaryBuilder).Append(floatBytes(t.Data))
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
		t := Tensor{Name: names.Value(i)}
		if d := dtypes.Value(i); d != "float32" {
			return m, fmt.Errorf("read a model: tensor %s is %s, not float32", t.Name, d)
		}
		size := 1
		from, to := shapes.ValueOffsets(i)
		for j := from; j < to; j++ {
			t.Shape = append(t.Shape, int(dims.Value(int(j))))
			size *= int(dims.Value(int(j)))
		}
		raw := values.Value(i)
		if len(raw) != 4*size {
			return m, fmt.Errorf("read a model: tensor %s of shape %v has %d bytes", t.Name, t.Shape, len(raw))
		}
		t.Data = make([]float32, size)
		for j := range t.Data {
			t.Data[j] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*j:]))
		}
		m.Tensors = append(m.Tensors, t)
	}
	return m, nil
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

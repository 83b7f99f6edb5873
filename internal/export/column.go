package export

import (
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"
)

// Columns of Parquet are written value by value here, and not by the library's package pqarrow: that
// one brings Arrow Flight, gRPC and all of Arrow's computing with it, and writes fixed-size lists wrongly.

// parquetSchema is the schema in Parquet's terms. Fixed-size lists become lists.
func parquetSchema(s *arrow.Schema) (*schema.GroupNode, error) {
	var fields schema.FieldList
	for _, f := range s.Fields() {
		node, err := parquetField(f)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
		fields = append(fields, node)
	}
	return schema.NewGroupNode("schema", parquet.Repetitions.Repeated, fields, -1)
}

func parquetField(f arrow.Field) (schema.Node, error) {
	if list, ok := f.Type.(arrow.ListLikeType); ok {
		element, err := parquetLeaf(elements(list))
		if err != nil {
			return nil, err
		}
		return schema.ListOfWithName(f.Name, element, repetition(f), -1)
	}
	return parquetLeaf(f)
}

// elements are those of a list. Readers that make tensors of fixed-size lists again want them optional.
func elements(list arrow.ListLikeType) arrow.Field {
	f := list.ElemField()
	if _, fixed := list.(*arrow.FixedSizeListType); fixed {
		f.Nullable = true
	}
	return f
}

func parquetLeaf(f arrow.Field) (schema.Node, error) {
	physical, logical, length := parquet.Types.Undefined, schema.LogicalType(schema.NoLogicalType{}), -1
	switch t := f.Type.(type) {
	case *arrow.BooleanType:
		physical = parquet.Types.Boolean
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type:
		physical, logical = parquet.Types.Int32, integer(t.(arrow.FixedWidthDataType))
	case *arrow.Int64Type, *arrow.Uint64Type:
		physical, logical = parquet.Types.Int64, integer(t.(arrow.FixedWidthDataType))
	case *arrow.Float16Type:
		physical, logical, length = parquet.Types.FixedLenByteArray, schema.Float16LogicalType{}, 2
	case *arrow.Float32Type:
		physical = parquet.Types.Float
	case *arrow.Float64Type:
		physical = parquet.Types.Double
	case *arrow.StringType, *arrow.LargeStringType:
		physical, logical = parquet.Types.ByteArray, schema.StringLogicalType{}
	case *arrow.BinaryType, *arrow.LargeBinaryType:
		physical = parquet.Types.ByteArray
	case *arrow.FixedSizeBinaryType:
		physical, length = parquet.Types.FixedLenByteArray, t.ByteWidth
	default:
		return nil, fmt.Errorf("%s cannot be written to Parquet", f.Type)
	}
	return schema.NewPrimitiveNodeLogical(f.Name, repetition(f), logical, physical, length, -1)
}

func integer(t arrow.FixedWidthDataType) schema.LogicalType {
	return schema.NewIntLogicalType(int8(t.BitWidth()), arrow.IsSignedInteger(t.ID()))
}

func repetition(f arrow.Field) parquet.Repetition {
	if f.Nullable {
		return parquet.Repetitions.Optional
	}
	return parquet.Repetitions.Required
}

// leaves are the values of a column that are there, and at which levels: Dremel's encoding (Melnik et
// al. 2010), as Parquet has it.
type leaves struct {
	values     arrow.Array
	present    [][2]int // ranges in values
	definition []int16  // one for each value, missing value, and missing or empty list
	repetition []int16  // nil without lists
}

// writeColumn adds a column's values to a chunk.
func writeColumn(w file.ColumnChunkWriter, f arrow.Field, column arrow.Array) error {
	l := &leaves{values: column}
	if lists, ok := column.(array.ListLike); ok {
		l.values = lists.ListValues()
		l.addLists(f, lists)
	} else {
		l.addValues(f.Nullable, 0, 0, column.Len())
	}
	if !f.Nullable && l.repetition == nil {
		l.definition = nil // the library wants none where there is but one level
	}
	return l.write(w)
}

func (l *leaves) addLists(f arrow.Field, lists array.ListLike) {
	level := int16(0) // of an empty list
	if f.Nullable {
		level = 1
	}
	nullable := elements(f.Type.(arrow.ListLikeType)).Nullable
	l.repetition = []int16{}
	for row := range lists.Len() {
		from, to := lists.ValueOffsets(row)
		switch {
		case lists.IsNull(row):
			l.definition, l.repetition = append(l.definition, 0), append(l.repetition, 0)
		case from == to:
			l.definition, l.repetition = append(l.definition, level), append(l.repetition, 0)
		default:
			l.addValues(nullable, level+1, int(from), int(to))
			l.repetition = extend(append(l.repetition, 0), 1, int(to-from)-1)
		}
	}
}

// addValues adds values from … to-1. level is the definition of one that is missing, if it may be.
func (l *leaves) addValues(nullable bool, level int16, from, to int) {
	there := level
	if nullable {
		there++
	}
	if l.values.NullN() == 0 {
		l.definition = extend(l.definition, there, to-from)
		l.present = append(l.present, [2]int{from, to})
		return
	}
	for i := from; i < to; i++ {
		if l.values.IsNull(i) {
			l.definition = append(l.definition, level)
			continue
		}
		l.definition = append(l.definition, there)
		l.present = append(l.present, [2]int{i, i + 1})
	}
}

func extend(levels []int16, level int16, n int) []int16 {
	at := len(levels)
	levels = slices.Grow(levels, n)[:at+n]
	for i := range levels[at:] {
		levels[at+i] = level
	}
	return levels
}

// write hands the values to the writer of their physical type.
func (l *leaves) write(w file.ColumnChunkWriter) (err error) {
	switch a := l.values.(type) {
	case *array.Boolean:
		_, err = w.(*file.BooleanColumnChunkWriter).WriteBatch(each(l, a.Value), l.definition, l.repetition)
	case *array.Int8:
		err = writeInt32(w, l, a.Int8Values())
	case *array.Int16:
		err = writeInt32(w, l, a.Int16Values())
	case *array.Int32:
		err = writeInt32(w, l, a.Int32Values())
	case *array.Uint8:
		err = writeInt32(w, l, a.Uint8Values())
	case *array.Uint16:
		err = writeInt32(w, l, a.Uint16Values())
	case *array.Uint32:
		err = writeInt32(w, l, a.Uint32Values())
	case *array.Int64:
		_, err = w.(*file.Int64ColumnChunkWriter).WriteBatch(each(l, a.Value), l.definition, l.repetition)
	case *array.Uint64:
		_, err = w.(*file.Int64ColumnChunkWriter).WriteBatch(each(l, func(i int) int64 { return int64(a.Value(i)) }), l.definition, l.repetition)
	case *array.Float16:
		_, err = w.(*file.FixedLenByteArrayColumnChunkWriter).WriteBatch(each(l, func(i int) parquet.FixedLenByteArray {
			return halfBytes(a.Value(i))
		}), l.definition, l.repetition)
	case *array.Float32:
		_, err = w.(*file.Float32ColumnChunkWriter).WriteBatch(each(l, a.Value), l.definition, l.repetition)
	case *array.Float64:
		_, err = w.(*file.Float64ColumnChunkWriter).WriteBatch(each(l, a.Value), l.definition, l.repetition)
	case *array.String:
		err = writeBytes(w, l, func(i int) []byte { return []byte(a.Value(i)) })
	case *array.LargeString:
		err = writeBytes(w, l, func(i int) []byte { return []byte(a.Value(i)) })
	case *array.Binary:
		err = writeBytes(w, l, a.Value)
	case *array.LargeBinary:
		err = writeBytes(w, l, a.Value)
	case *array.FixedSizeBinary:
		_, err = w.(*file.FixedLenByteArrayColumnChunkWriter).WriteBatch(each(l, func(i int) parquet.FixedLenByteArray { return a.Value(i) }), l.definition, l.repetition)
	default:
		err = fmt.Errorf("%s cannot be written to Parquet", l.values.DataType())
	}
	return err
}

// each lists the values that are there.
func each[T any](l *leaves, at func(i int) T) []T {
	out := make([]T, 0, len(l.definition))
	for _, r := range l.present {
		for i := r[0]; i < r[1]; i++ {
			out = append(out, at(i))
		}
	}
	return out
}

func writeInt32[T int8 | int16 | int32 | uint8 | uint16 | uint32](w file.ColumnChunkWriter, l *leaves, values []T) error {
	_, err := w.(*file.Int32ColumnChunkWriter).WriteBatch(each(l, func(i int) int32 { return int32(values[i]) }), l.definition, l.repetition)
	return err
}

func writeBytes(w file.ColumnChunkWriter, l *leaves, at func(i int) []byte) error {
	_, err := w.(*file.ByteArrayColumnChunkWriter).WriteBatch(each(l, func(i int) parquet.ByteArray { return at(i) }), l.definition, l.repetition)
	return err
}

func halfBytes(x float16.Num) []byte {
	bits := x.Uint16()
	return []byte{byte(bits), byte(bits >> 8)}
}

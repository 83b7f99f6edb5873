package record

import (
	"fmt"
	"iter"
	"math"
	"reflect"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Small tables, such as those of metrics, are slices of structs in Go: one
// struct a row, one exported field a column, named by the field's tag
// `column:"name"`. Field types are string, bool, int32, int64 and float64; a
// float64 that is not a number stands for null.

// RowsSchema is the schema of a table whose rows are of type T.
func RowsSchema[T any]() *arrow.Schema {
	t := reflect.TypeFor[T]()
	fields := make([]arrow.Field, t.NumField())
	for i := range fields {
		f := t.Field(i)
		fields[i] = arrow.Field{Name: f.Tag.Get("column"), Type: columnType(f), Nullable: f.Type.Kind() == reflect.Float64}
	}
	return arrow.NewSchema(fields, nil)
}

// FromRows makes a record of rows. The caller releases it.
func FromRows[T any](rows []T) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, RowsSchema[T]())
	defer b.Release()
	for _, row := range rows {
		v := reflect.ValueOf(row)
		for i := range v.NumField() {
			switch column := b.Field(i).(type) {
			case *array.StringBuilder:
				column.Append(v.Field(i).String())
			case *array.BooleanBuilder:
				column.Append(v.Field(i).Bool())
			case *array.Int32Builder:
				column.Append(int32(v.Field(i).Int()))
			case *array.Int64Builder:
				column.Append(v.Field(i).Int())
			case *array.Float64Builder:
				if x := v.Field(i).Float(); math.IsNaN(x) {
					column.AppendNull()
				} else {
					column.Append(x)
				}
			}
		}
	}
	return b.NewRecord()
}

// ReadRows reads a table back. It fails if a column is missing or of another
// type; further columns are left out.
func ReadRows[T any](batches iter.Seq2[arrow.Record, error]) ([]T, error) {
	t := reflect.TypeFor[T]()
	var rows []T
	for rec, err := range batches {
		if err != nil {
			return nil, err
		}
		from := len(rows)
		rows = append(rows, make([]T, rec.NumRows())...)
		for i := range t.NumField() {
			at, field, err := Column(rec.Schema(), t.Field(i).Tag.Get("column"))
			if err != nil {
				return nil, err
			}
			if want := columnType(t.Field(i)); !arrow.TypeEqual(field.Type, want) {
				return nil, fmt.Errorf("column %q is %s, not %s", field.Name, field.Type, want)
			}
			for j := range int(rec.NumRows()) {
				setField(reflect.ValueOf(&rows[from+j]).Elem().Field(i), rec.Column(at), j)
			}
		}
	}
	return rows, nil
}

// HasRows tells whether a table can be read as rows of type T.
func HasRows[T any](s *arrow.Schema) bool {
	for _, want := range RowsSchema[T]().Fields() {
		if _, field, err := Column(s, want.Name); err != nil || !arrow.TypeEqual(field.Type, want.Type) {
			return false
		}
	}
	return true
}

func setField(v reflect.Value, column arrow.Array, row int) {
	if column.IsNull(row) {
		if v.Kind() == reflect.Float64 {
			v.SetFloat(math.NaN())
		}
		return
	}
	switch column := column.(type) {
	case *array.String:
		// Cloned: the text must outlive the batch.
		v.SetString(string([]byte(column.Value(row))))
	case *array.Boolean:
		v.SetBool(column.Value(row))
	case *array.Int32:
		v.SetInt(int64(column.Value(row)))
	case *array.Int64:
		v.SetInt(column.Value(row))
	case *array.Float64:
		v.SetFloat(column.Value(row))
	}
}

// columnType panics on a type that rows cannot have: a mistake in the program.
func columnType(f reflect.StructField) arrow.DataType {
	if f.Tag.Get("column") == "" {
		panic("record: field " + f.Name + " has no column tag")
	}
	switch f.Type.Kind() {
	case reflect.String:
		return arrow.BinaryTypes.String
	case reflect.Bool:
		return arrow.FixedWidthTypes.Boolean
	case reflect.Int32:
		return arrow.PrimitiveTypes.Int32
	case reflect.Int64:
		return arrow.PrimitiveTypes.Int64
	case reflect.Float64:
		return arrow.PrimitiveTypes.Float64
	default:
		panic("record: field " + f.Name + " cannot be a column: " + f.Type.String())
	}
}

package record_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
)

// tensorRecord has rows of the 2×3 tensors 0…5, 6…11 and so on.
func tensorRecord(element arrow.DataType, rows int) arrow.Record {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Feature, element, 2, 3),
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	lists := b.Field(1).(*array.FixedSizeListBuilder)
	for row := range rows {
		b.Field(0).(*array.StringBuilder).Append("x")
		lists.Append(true)
		for i := range 6 {
			switch values := lists.ValueBuilder().(type) {
			case *array.Uint8Builder:
				values.Append(uint8(6*row + i))
			case *array.Float16Builder:
				values.Append(float16.New(float32(6*row + i)))
			case *array.Float32Builder:
				values.Append(float32(6*row + i))
			case *array.Float64Builder:
				values.Append(float64(6*row + i))
			}
		}
	}
	return b.NewRecord()
}

func TestTensorsOfEveryElementType(t *testing.T) {
	for _, element := range []arrow.DataType{
		arrow.PrimitiveTypes.Uint8, arrow.FixedWidthTypes.Float16, arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64,
	} {
		whole := tensorRecord(element, 4)
		defer whole.Release()
		sliced := whole.NewSlice(1, 4) // views start in the middle of their buffers
		defer sliced.Release()
		tensors, err := record.TensorColumn(sliced, record.Feature)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(tensors.Shape, []int{2, 3}) || tensors.Size() != 6 || tensors.IsNull(0) {
			t.Errorf("%s: shape %v, %d values", element, tensors.Shape, tensors.Size())
		}
		if got, want := tensors.AppendFloats(nil, 1), []float32{12, 13, 14, 15, 16, 17}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", element, got, want)
		}
		if got := tensors.Bytes(0); (got != nil) != (element == arrow.PrimitiveTypes.Uint8) || got != nil && !slices.Equal(got, []byte{6, 7, 8, 9, 10, 11}) {
			t.Errorf("%s: bytes %v", element, got)
		}
	}
}

func TestTensorColumnRefuses(t *testing.T) {
	ints := tensorRecord(arrow.PrimitiveTypes.Int64, 0)
	defer ints.Release()
	for name, want := range map[string]string{
		record.Feature: "tensors of int64 cannot be read",
		record.ID:      "is utf8, not a tensor",
		record.Image:   `no column "image"`,
	} {
		if _, err := record.TensorColumn(ints, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("column %s: error %v, want %q", name, err, want)
		}
	}
}

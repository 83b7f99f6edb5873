package record

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Tensors reads the rows of a tensor column, whatever its element type.
type Tensors struct {
	Shape   []int
	Element arrow.DataType // uint8, float16, float32 or float64
	list    *array.FixedSizeList
}

// TensorColumn finds a tensor column of a record. It is a view: it lives no
// longer than the record.
func TensorColumn(rec arrow.Record, name string) (Tensors, error) {
	at, field, err := Column(rec.Schema(), name)
	if err != nil {
		return Tensors{}, err
	}
	shape, element, err := TensorShape(field)
	if err != nil {
		return Tensors{}, err
	}
	switch element.ID() {
	case arrow.UINT8, arrow.FLOAT16, arrow.FLOAT32, arrow.FLOAT64:
	default:
		return Tensors{}, fmt.Errorf("column %q: tensors of %s cannot be read", name, element)
	}
	list, ok := rec.Column(at).(*array.FixedSizeList)
	if !ok {
		return Tensors{}, fmt.Errorf("column %q is %s, not a tensor", name, field.Type)
	}
	return Tensors{Shape: shape, Element: element, list: list}, nil
}

// NewTensors wraps raw values, little-endian and row-major, as rows of a tensor
// column of type t, that of a TensorField. raw is not copied. The caller
// releases the array.
func NewTensors(t arrow.DataType, raw []byte, rows int) arrow.Array {
	element := t.(*arrow.FixedSizeListType).Elem()
	count := len(raw) / (element.(arrow.FixedWidthDataType).BitWidth() / 8)
	values := array.NewData(element, count, []*memory.Buffer{nil, memory.NewBufferBytes(raw)}, nil, 0, 0)
	defer values.Release()
	list := array.NewData(t, rows, []*memory.Buffer{nil}, []arrow.ArrayData{values}, 0, 0)
	defer list.Release()
	return array.MakeFromData(list)
}

// Size is the number of values of a row.
func (t Tensors) Size() int {
	size := 1
	for _, n := range t.Shape {
		size *= n
	}
	return size
}

// IsNull tells whether a row has no tensor.
func (t Tensors) IsNull(row int) bool { return t.list.IsNull(row) }

// Bytes returns the values of a row of uint8 tensors, a view of the record;
// nil for other element types.
func (t Tensors) Bytes(row int) []byte {
	if values, ok := t.list.ListValues().(*array.Uint8); ok {
		from, to := t.list.ValueOffsets(row)
		return values.Uint8Values()[from:to]
	}
	return nil
}

// AppendFloats appends the values of a row to dst as float32.
func (t Tensors) AppendFloats(dst []float32, row int) []float32 {
	from, to := t.list.ValueOffsets(row)
	switch values := t.list.ListValues().(type) {
	case *array.Float32:
		dst = append(dst, values.Float32Values()[from:to]...)
	case *array.Float64:
		for _, x := range values.Float64Values()[from:to] {
			dst = append(dst, float32(x))
		}
	case *array.Float16:
		for _, x := range values.Values()[from:to] {
			dst = append(dst, x.Float32())
		}
	case *array.Uint8:
		for _, x := range values.Uint8Values()[from:to] {
			dst = append(dst, float32(x))
		}
	}
	return dst
}

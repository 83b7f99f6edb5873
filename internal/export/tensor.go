package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// element is a type of number, as formats call it.
type element struct {
	size        int // bytes
	numpy       string
	safetensors string
}

func elementOf(t arrow.DataType) (element, bool) {
	e, ok := map[arrow.Type]element{
		arrow.UINT8:   {1, "|u1", "U8"},
		arrow.INT8:    {1, "|i1", "I8"},
		arrow.UINT16:  {2, "<u2", "U16"},
		arrow.INT16:   {2, "<i2", "I16"},
		arrow.UINT32:  {4, "<u4", "U32"},
		arrow.INT32:   {4, "<i4", "I32"},
		arrow.UINT64:  {8, "<u8", "U64"},
		arrow.INT64:   {8, "<i8", "I64"},
		arrow.FLOAT16: {2, "<f2", "F16"},
		arrow.FLOAT32: {4, "<f4", "F32"},
		arrow.FLOAT64: {8, "<f8", "F64"},
	}[t.ID()]
	return e, ok
}

// tensor is the tensor column of a table.
type tensor struct {
	*table
	at      int
	name    string
	shape   []int64 // rows first
	element element
}

// tensorOf finds the column that formats of one array hold: the features, the
// pictures, the probabilities, or whatever other tensor comes first.
func tensorOf(t *table) (*tensor, error) {
	var names []string
	for _, f := range t.schema.Fields() {
		if list, ok := f.Type.(*arrow.FixedSizeListType); ok {
			if _, ok := elementOf(list.Elem()); ok {
				names = append(names, f.Name)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("it has no tensor among its columns %v", record.ColumnNames(t.schema))
	}
	name := names[0]
	for _, usual := range []string{record.Feature, record.Image, record.Probabilities} {
		if slices.Contains(names, usual) {
			name = usual
			break
		}
	}
	at, field, err := record.Column(t.schema, name)
	if err != nil {
		return nil, err
	}
	shape, of, err := record.TensorShape(field)
	if err != nil {
		return nil, err
	}
	found := &tensor{table: t, at: at, name: name, shape: []int64{t.Rows()}}
	for _, n := range shape {
		found.shape = append(found.shape, int64(n))
	}
	found.element, _ = elementOf(of)
	return found, nil
}

// bytes is the size of all values.
func (t *tensor) bytes() int64 {
	n := int64(t.element.size)
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// note says which columns the file leaves out.
func (t *tensor) note() []string {
	var others []string
	for _, name := range record.ColumnNames(t.schema) {
		if name != t.name {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the file holds column %q alone, without %s", t.name, strings.Join(others, ", "))}
}

// writeValues writes the values of all rows, little-endian.
func (t *tensor) writeValues(ctx context.Context, out io.Writer) error {
	var rows int64
	for rec, err := range t.batches(ctx) {
		if err != nil {
			return err
		}
		list, ok := rec.Column(t.at).(*array.FixedSizeList)
		if !ok {
			return fmt.Errorf("column %q is %s, not a tensor", t.name, rec.Column(t.at).DataType())
		}
		if list.NullN() > 0 || list.ListValues().NullN() > 0 {
			return fmt.Errorf("column %q has missing values, which an array cannot hold", t.name)
		}
		if list.Len() == 0 {
			continue
		}
		from, _ := list.ValueOffsets(0)
		_, to := list.ValueOffsets(list.Len() - 1)
		values := list.ListValues().Data()
		offset, size := int64(values.Offset()), int64(t.element.size)
		// Arrow's buffers are little-endian, as the formats are.
		if _, err := out.Write(values.Buffers()[1].Bytes()[(offset+from)*size : (offset+to)*size]); err != nil {
			return err
		}
		rows += rec.NumRows()
	}
	if rows != t.shape[0] {
		return fmt.Errorf("it has %d rows, not the %d on record", rows, t.shape[0])
	}
	return nil
}

// writeNPY writes NumPy's format 1.0
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
func writeNPY(ctx context.Context, out io.Writer, t *table) (notes []string, err error) {
	if t.isModel() {
		return nil, fmt.Errorf("a model is many tensors, of which npy holds one: export it as safetensors")
	}
	x, err := tensorOf(t)
	if err != nil {
		return nil, err
	}
	var shape strings.Builder
	for _, n := range x.shape {
		fmt.Fprintf(&shape, "%d, ", n)
	}
	described := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", x.element.numpy, strings.TrimSuffix(shape.String(), " "))
	const prefix = 10 // magic, version, length
	header := append([]byte("\x93NUMPY\x01\x00\x00\x00"), described...)
	for (len(header)+1)%64 != 0 {
		header = append(header, ' ')
	}
	header = append(header, '\n')
	binary.LittleEndian.PutUint16(header[8:], uint16(len(header)-prefix))
	if _, err := out.Write(header); err != nil {
		return nil, err
	}
	return x.note(), x.writeValues(ctx, out)
}

// writeSafeTensors writes the tensors of a model, with what is to be known of
// it in the metadata, or the tensor column under its name.
func writeSafeTensors(ctx context.Context, out io.Writer, t *table) (notes []string, err error) {
	if t.isModel() {
		return nil, writeModel(ctx, out, t)
	}
	x, err := tensorOf(t)
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(map[string]any{
		"__metadata__": t.schema.Metadata().ToMap(),
		x.name:         map[string]any{"dtype": x.element.safetensors, "shape": x.shape, "data_offsets": []int64{0, x.bytes()}},
	})
	if err != nil {
		return nil, err
	}
	header = append(header, bytes.Repeat([]byte(" "), (8-len(header)%8)%8)...)
	if _, err := out.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return nil, err
	}
	if _, err := out.Write(header); err != nil {
		return nil, err
	}
	return x.note(), x.writeValues(ctx, out)
}

func writeModel(ctx context.Context, out io.Writer, t *table) error {
	var tensors []safetensors.Tensor
	for rec, err := range t.batches(ctx) {
		if err != nil {
			return err
		}
		model, err := record.ParseModel(rec)
		if err != nil {
			return err
		}
		for _, x := range model.Tensors {
			tensors = append(tensors, fileTensors(x)...)
		}
	}
	return safetensors.Write(out, tensors, t.schema.Metadata().ToMap())
}

// fileTensors are what a tensor of a model is in a safetensors file. One of int8 is two: its steps, and their sizes by the
// first axis, named NAME.steps.
func fileTensors(x record.Tensor) []safetensors.Tensor {
	t := safetensors.Tensor{Name: x.Name, Shape: x.Shape, Data: x.Data}
	switch x.Type {
	case record.Float16Tensor:
		t.Type = stored.F16
	case record.BFloat16Tensor:
		t.Type = stored.BF16
	case record.Int8Tensor:
		steps, sizes := stored.Int8(x.Data, x.Shape[0])
		t.Type, t.Data = stored.I8, make([]float32, len(steps))
		for i, s := range steps {
			t.Data[i] = float32(s)
		}
		return []safetensors.Tensor{t, {Name: x.Name + ".steps", Shape: []int{len(sizes)}, Data: sizes}}
	}
	return []safetensors.Tensor{t}
}

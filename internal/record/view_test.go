package record_test

import (
	"bytes"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/record"
)

// mixed has a column of every layout that tables have, with nulls.
func mixed(rows int) arrow.Record {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, 2, 3),
		{Name: "kept", Type: arrow.FixedWidthTypes.Boolean},
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "shape", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64)},
		{Name: "bytes", Type: arrow.BinaryTypes.LargeBinary, Nullable: true},
		{Name: "place", Type: arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true}), Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range rows {
		b.Field(0).(*array.StringBuilder).Append(string(rune('a' + i)))
		image := b.Field(1).(*array.FixedSizeListBuilder)
		image.Append(true)
		for j := range 6 {
			image.ValueBuilder().(*array.Uint8Builder).Append(uint8(6*i + j))
		}
		b.Field(2).(*array.BooleanBuilder).Append(i%3 == 0)
		place := b.Field(6).(*array.StructBuilder)
		if i%2 == 0 {
			b.Field(3).AppendNull()
			b.Field(5).AppendNull()
			place.AppendNull()
		} else {
			b.Field(3).(*array.StringBuilder).Append("label")
			b.Field(5).(*array.BinaryBuilder).Append(bytes.Repeat([]byte{byte(i)}, i))
			place.Append(true)
			place.FieldBuilder(0).(*array.Float64Builder).Append(float64(i) / 2)
		}
		shape := b.Field(4).(*array.ListBuilder)
		shape.Append(true)
		for j := range i % 3 {
			shape.ValueBuilder().(*array.Int64Builder).Append(int64(j))
		}
	}
	return b.NewRecord()
}

func encodeAll(t testing.TB, records ...arrow.Record) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := record.NewWriter(&out, records[0].Schema())
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestViewIsWhatDecodeReads(t *testing.T) {
	whole := mixed(9)
	defer whole.Release()
	sliced := whole.NewSlice(3, 8)
	defer sliced.Release()
	data := encodeAll(t, whole, sliced)
	records, err := record.View(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 {
		t.Fatalf("%d records", len(records))
	}
	i := 0
	for want, err := range record.Decode(data) {
		if err != nil {
			t.Fatal(err)
		}
		if !array.RecordEqual(records[i], want) {
			t.Errorf("batch %d is %v, want %v", i, records[i], want)
		}
		i++
	}
	tensors, err := record.TensorColumn(records[1], record.Image)
	if err != nil {
		t.Fatal(err)
	}
	row := tensors.Bytes(0)
	before := row[0]
	data[bytes.LastIndex(data, row)]++
	if row[0] != before+1 {
		t.Error("the view is a copy")
	}
	for _, rec := range records {
		rec.Release()
	}
}

func FuzzView(f *testing.F) {
	rec := mixed(5)
	defer rec.Release()
	whole := encodeAll(f, rec, rec)
	for n := 0; n <= len(whole); n += 37 {
		f.Add(whole[:n])
	}
	budgettest.Seeds(f, 1000, whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Within(t, len(data), func() {
			records, err := record.View(data)
			if err != nil && records != nil {
				t.Error("records beside an error")
			}
			for _, rec := range records {
				rec.Release()
			}
			for _, err := range record.Decode(data) {
				if err != nil {
					break
				}
			}
		})
	})
}

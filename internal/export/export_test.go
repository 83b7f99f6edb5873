package export_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"

	"github.com/tlpipe/tlpipe/internal/export"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// pixel, weight and share are the values of row i that the tests expect.
func pixel(i, j int) uint8    { return uint8(7*i + j) }
func weight(i, j int) float32 { return float32(i) - float32(j)/3 }

// example is a table of pictures and features in chunks of odd lengths, one of
// them a slice of a longer one.
func example(rows int) *pipelinetest.Table {
	meta := arrow.MetadataFrom(map[string]string{record.ClassesKey: `["cat","dog"]`})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, 2, 3, 3),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, 4),
		record.TensorField("half", arrow.FixedWidthTypes.Float16, 2),
		record.TensorField(record.Probabilities, arrow.PrimitiveTypes.Float32, 2),
		{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32},
	}, &meta)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range rows {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("row,\"%d\"", i))
		image := b.Field(1).(*array.FixedSizeListBuilder)
		image.Append(true)
		for j := range 18 {
			image.ValueBuilder().(*array.Uint8Builder).Append(pixel(i, j))
		}
		if i%3 == 0 {
			b.Field(2).AppendNull()
		} else {
			b.Field(2).(*array.StringBuilder).Append([]string{"cat", "dög"}[i%2])
		}
		feature := b.Field(3).(*array.FixedSizeListBuilder)
		feature.Append(true)
		for j := range 4 {
			feature.ValueBuilder().(*array.Float32Builder).Append(weight(i, j))
		}
		half := b.Field(4).(*array.FixedSizeListBuilder)
		half.Append(true)
		half.ValueBuilder().(*array.Float16Builder).AppendValues([]float16.Num{float16.New(float32(i) / 4), float16.New(-0.5)}, nil)
		share := b.Field(5).(*array.FixedSizeListBuilder)
		share.Append(true)
		share.ValueBuilder().(*array.Float32Builder).AppendValues([]float32{0.25, 0.75}, nil)
		b.Field(6).(*array.Int32Builder).Append(int32(i % 2))
	}
	whole := b.NewRecord()
	var chunks []arrow.Record
	for at := 0; at < rows; {
		end := min(at+1+at%5, rows)
		chunks = append(chunks, whole.NewSlice(int64(at), int64(end)))
		at = end
	}
	return pipelinetest.NewTable("example", nil, chunks...)
}

// without drops columns from a table.
func without(t *pipelinetest.Table, names ...string) *pipelinetest.Table {
	var out []arrow.Record
	for _, rec := range t.Records() {
		var fields []arrow.Field
		var columns []arrow.Array
		for i, f := range rec.Schema().Fields() {
			if !slices.Contains(names, f.Name) {
				fields, columns = append(fields, f), append(columns, rec.Column(i))
			}
		}
		meta := rec.Schema().Metadata()
		out = append(out, array.NewRecord(arrow.NewSchema(fields, &meta), columns, rec.NumRows()))
	}
	return pipelinetest.NewTable("example", nil, out...)
}

func write(t *testing.T, format export.Format, in pipeline.Input) ([]byte, string) {
	t.Helper()
	var buf bytes.Buffer
	notes, err := export.Write(context.Background(), &buf, format, in)
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), strings.Join(notes, "\n")
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestArrow(t *testing.T) {
	in := example(23)
	raw, _ := write(t, export.Arrow, in)
	var rows int64
	for rec, err := range record.Decode(raw) {
		if err != nil {
			t.Fatal(err)
		}
		if !rec.Schema().Equal(in.Records()[0].Schema()) || !rec.Schema().Metadata().Equal(in.Records()[0].Schema().Metadata()) {
			t.Errorf("schema is %v", rec.Schema())
		}
		equal(t, "a value", rec.Column(0).(*array.String).Value(0), fmt.Sprintf("row,\"%d\"", rows))
		rows += rec.NumRows()
	}
	equal(t, "rows", rows, int64(23))
}

// The pieces in which a table rests do not show in the file; large rows make short batches.
func TestArrowDoesNotDependOnPieces(t *testing.T) {
	pieces := example(30)
	want, _ := write(t, export.Arrow, pieces)
	var single []arrow.Record
	for _, rec := range pieces.Records() {
		for i := range rec.NumRows() {
			single = append(single, rec.NewSlice(i, i+1))
		}
	}
	if got, _ := write(t, export.Arrow, pipelinetest.NewTable("example", nil, single...)); !bytes.Equal(got, want) {
		t.Errorf("in pieces of one row it has %d bytes, else %d, or others", len(got), len(want))
	}

	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "text", Type: arrow.BinaryTypes.String}}, nil))
	for range 7 {
		b.Field(0).(*array.StringBuilder).Append(strings.Repeat("x", 6<<20))
	}
	data, _ := write(t, export.Arrow, pipelinetest.NewTable("large", nil, b.NewRecord()))
	var rows []int64
	for rec, err := range record.Decode(data) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, rec.NumRows())
	}
	if !slices.Equal(rows, []int64{3, 3, 1}) {
		t.Errorf("batches of %v rows", rows)
	}
}

func TestParquet(t *testing.T) {
	const rows = 37
	raw, _ := write(t, export.Parquet, example(rows))
	f, err := file.NewParquetReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: rows}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := reader.ReadTable(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", table.NumRows(), int64(rows))
	field := table.Schema().Field(1)
	shape, _, err := record.TensorShape(field)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "shape", shape, []int{2, 3, 3})
	equal(t, "classes", *f.MetaData().KeyValueMetadata().FindValue(record.ClassesKey), `["cat","dog"]`)
	row := 0
	for _, chunk := range table.Column(1).Data().Chunks() {
		list := chunk.(*array.FixedSizeList)
		for i := range list.Len() {
			from, to := list.ValueOffsets(i)
			for j := range int(to - from) {
				if got := list.ListValues().(*array.Uint8).Value(int(from) + j); got != pixel(row, j) {
					t.Fatalf("pixel %d of row %d is %d", j, row, got)
				}
			}
			row++
		}
	}
	equal(t, "rows with pixels", row, rows)
	labels := table.Column(2).Data().Chunk(0).(*array.String)
	equal(t, "nulls", []bool{labels.IsNull(0), labels.IsNull(1)}, []bool{true, false})
}

// Columns of every type, with and without missing values, in lists or not, come back as they were.
func TestParquetOfEveryType(t *testing.T) {
	types := []arrow.DataType{
		arrow.FixedWidthTypes.Boolean, arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64,
		arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Uint64,
		arrow.FixedWidthTypes.Float16, arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64,
		arrow.BinaryTypes.String, arrow.BinaryTypes.Binary, arrow.BinaryTypes.LargeString, arrow.BinaryTypes.LargeBinary,
		&arrow.FixedSizeBinaryType{ByteWidth: 3},
	}
	texts := []string{"1", "0", "7", "120"}
	var fields []arrow.Field
	for _, typ := range types {
		for _, nullable := range []bool{false, true} {
			name := fmt.Sprintf("%s %v", typ, nullable)
			elements := arrow.Field{Name: "element", Type: typ, Nullable: nullable}
			fields = append(fields, arrow.Field{Name: name, Type: typ, Nullable: nullable},
				arrow.Field{Name: "list of " + name, Type: arrow.ListOfField(elements), Nullable: !nullable})
		}
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	add := func(b array.Builder, i int) {
		switch b := b.(type) {
		case *array.BooleanBuilder:
			b.Append(i%2 == 0)
		case *array.FixedSizeBinaryBuilder:
			b.Append([]byte(fmt.Sprintf("%03d", i)))
		case *array.BinaryBuilder:
			b.Append([]byte(strings.Repeat("é", i%4)))
		case *array.StringBuilder:
			b.Append(strings.Repeat("é", i%4))
		case *array.LargeStringBuilder:
			b.Append(texts[i%4])
		default:
			if err := b.AppendValueFromString(texts[i%4]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 50 {
		for column, f := range fields {
			builder := b.Field(column)
			switch list, isList := builder.(*array.ListBuilder); {
			case f.Nullable && i%3 == 1:
				builder.AppendNull()
			case isList:
				list.Append(true)
				for j := range (i * 7) % 5 {
					if f.Type.(*arrow.ListType).ElemField().Nullable && j%2 == 1 {
						list.ValueBuilder().AppendNull()
					} else {
						add(list.ValueBuilder(), i+j)
					}
				}
			default:
				add(builder, i)
			}
		}
	}
	whole := b.NewRecord()
	raw, _ := write(t, export.Parquet, pipelinetest.NewTable("types", nil, whole.NewSlice(0, 11), whole.NewSlice(11, 50)))
	if path := os.Getenv("TLPIPE_PARQUET"); path != "" { // for other readers
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := file.NewParquetReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 50}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := reader.ReadTable(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fields {
		read, err := array.Concatenate(table.Column(i).Data().Chunks(), memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		for row := range 50 {
			if got, want := read.ValueStr(row), whole.Column(i).ValueStr(row); got != want || read.IsNull(row) != whole.Column(i).IsNull(row) {
				t.Errorf("%s, row %d: %s, want %s", f.Name, row, got, want)
			}
		}
	}
	// What no stage puts out is refused.
	dates := arrow.NewSchema([]arrow.Field{{Name: "day", Type: arrow.FixedWidthTypes.Date32}}, nil)
	day := array.NewRecordBuilder(memory.DefaultAllocator, dates)
	day.Field(0).(*array.Date32Builder).Append(1)
	if _, err := export.Write(t.Context(), io.Discard, export.Parquet, pipelinetest.NewTable("days", nil, day.NewRecord())); err == nil || !strings.Contains(err.Error(), `column "day": date32`) {
		t.Errorf("a date: %v", err)
	}
}

// Row groups are cut where they would take too much memory.
func TestParquetInGroups(t *testing.T) {
	const rows, size = 64, 400_000
	schema := arrow.NewSchema([]arrow.Field{record.TensorField(record.Feature, arrow.PrimitiveTypes.Uint8, size)}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	list := b.Field(0).(*array.FixedSizeListBuilder)
	values := make([]uint8, size)
	for i := range rows {
		values[0], values[size-1] = uint8(i), uint8(2*i)
		list.Append(true)
		list.ValueBuilder().(*array.Uint8Builder).AppendValues(values, nil)
	}
	raw, _ := write(t, export.Parquet, pipelinetest.NewTable("large", nil, b.NewRecord()))
	f, err := file.NewParquetReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if f.NumRowGroups() < 3 {
		t.Errorf("%d row groups", f.NumRowGroups())
	}
	row := 0
	for i := range f.NumRowGroups() {
		column, err := f.RowGroup(i).Column(0)
		if err != nil {
			t.Fatal(err)
		}
		reader := column.(*file.Int32ColumnChunkReader)
		got, levels := make([]int32, size), make([]int16, size)
		for range f.RowGroup(i).NumRows() {
			for done := 0; done < size; {
				n, _, err := reader.ReadBatch(int64(size-done), got[done:], levels[done:], nil)
				if err != nil || n == 0 {
					t.Fatalf("read %d values: %v", n, err)
				}
				done += int(n)
			}
			if got[0] != int32(row) || got[size-1] != int32(2*row) {
				t.Errorf("row %d holds %d … %d", row, got[0], got[size-1])
			}
			row++
		}
	}
	equal(t, "rows", row, rows)
}

func TestCSV(t *testing.T) {
	raw, notes := write(t, export.CSV, example(3))
	equal(t, "notes", notes, `column "image" is left out: CSV cannot hold it`)
	equal(t, "file", string(raw), `id,label,feature_0,feature_1,feature_2,feature_3,half_0,half_1,probabilities.cat,probabilities.dog,copy
"row,""0""",,0,-0.33333334,-0.6666667,-1,0,-0.5,0.25,0.75,0
"row,""1""",dög,1,0.6666666,0.3333333,0,0.25,-0.5,0.25,0.75,1
"row,""2""",cat,2,1.6666666,1.3333333,1,0.5,-0.5,0.25,0.75,0
`)
}

// npy reads the head of a file in NumPy's format and returns it and the data.
func npy(t *testing.T, raw []byte) (head string, data []byte) {
	t.Helper()
	if string(raw[:8]) != "\x93NUMPY\x01\x00" {
		t.Fatalf("it begins with %q", raw[:8])
	}
	length := 10 + int(binary.LittleEndian.Uint16(raw[8:]))
	if length%64 != 0 || raw[length-1] != '\n' {
		t.Errorf("the head has %d bytes and ends in %q", length, raw[length-1])
	}
	return strings.TrimSpace(string(raw[10:length])), raw[length:]
}

func TestNPY(t *testing.T) {
	const rows = 23
	raw, notes := write(t, export.NPY, example(rows))
	head, data := npy(t, raw)
	equal(t, "head", head, "{'descr': '<f4', 'fortran_order': False, 'shape': (23, 4,), }")
	equal(t, "notes", notes, `the file holds column "feature" alone, without id, image, label, half, probabilities, copy`)
	equal(t, "length", len(data), 4*4*rows)
	for i := range rows {
		for j := range 4 {
			if got := math.Float32frombits(binary.LittleEndian.Uint32(data[4*(4*i+j):])); got != weight(i, j) {
				t.Fatalf("value %d of row %d is %v", j, i, got)
			}
		}
	}

	head, data = npy(t, first(write(t, export.NPY, without(example(rows), record.Feature))))
	equal(t, "head", head, "{'descr': '|u1', 'fortran_order': False, 'shape': (23, 2, 3, 3,), }")
	for i := range rows {
		for j := range 18 {
			if data[18*i+j] != pixel(i, j) {
				t.Fatalf("pixel %d of row %d is %v", j, i, data[18*i+j])
			}
		}
	}

	head, data = npy(t, first(write(t, export.NPY, without(example(rows), record.Feature, record.Image, record.Probabilities))))
	equal(t, "head", head, "{'descr': '<f2', 'fortran_order': False, 'shape': (23, 2,), }")
	equal(t, "length", len(data), 2*2*rows)
	equal(t, "value", float16.FromBits(binary.LittleEndian.Uint16(data[4*9:])).Float32(), float32(9)/4)
}

func first(raw []byte, _ string) []byte { return raw }

func TestSafeTensors(t *testing.T) {
	raw, _ := write(t, export.SafeTensors, example(23))
	f, err := safetensors.Parse(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	shape, data, err := f.Float32(record.Feature)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "shape", shape, []int{23, 4})
	equal(t, "value", data[4*22+3], weight(22, 3))
	equal(t, "classes", f.Metadata()[record.ClassesKey], `["cat","dog"]`)
}

func TestModel(t *testing.T) {
	model := record.Model{
		Architecture: []byte(`{"layers":[]}`), Classes: []string{"cat", "dog"},
		Tensors: []record.Tensor{
			{Name: "dense.weight", Shape: []int{2, 3}, Data: []float32{1, 2, 3, 4, 5, 6}},
			{Name: "dense.bias", Shape: []int{2}, Data: []float32{-1, 1}},
		},
		Metadata: map[string]string{record.PreprocessingKey: "{}"},
	}
	rec, err := model.Record()
	if err != nil {
		t.Fatal(err)
	}
	in := pipelinetest.NewTable("head", nil, rec)
	f, err := safetensors.Parse(first(write(t, export.SafeTensors, in)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, info := range f.Tensors() {
		names = append(names, info.Name)
	}
	equal(t, "names", names, []string{"dense.weight", "dense.bias"})
	shape, data, err := f.Float32("dense.weight")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "shape", shape, []int{2, 3})
	equal(t, "data", data, model.Tensors[0].Data)
	equal(t, "metadata", f.Metadata(), map[string]string{
		record.ArchitectureKey: `{"layers":[]}`, record.ClassesKey: `["cat","dog"]`, record.PreprocessingKey: "{}",
	})

	_, err = export.Write(context.Background(), io.Discard, export.NPY, in)
	if err == nil || !strings.Contains(err.Error(), "safetensors") {
		t.Errorf("a model as npy: %v", err)
	}
}

func TestRefused(t *testing.T) {
	small := without(example(3), record.Image, record.Feature, "half", record.Probabilities)
	for _, c := range []struct {
		format export.Format
		in     pipeline.Input
		want   string
	}{
		{export.NPY, small, "no tensor among its columns [id label copy]"},
		{export.SafeTensors, small, "no tensor among its columns"},
		{export.Arrow, pipelinetest.NewTable("nothing", nil), "it is empty"},
		{export.Arrow, pipelinetest.NewTable("two", nil, example(1).Records()[0], small.Records()[0]), "different columns"},
		{export.PNG, small, "image"},
	} {
		_, err := export.Write(context.Background(), io.Discard, c.format, c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: error %v, want one with %q", c.format, c.in.Name(), err, c.want)
		}
	}
	_, err := export.FormatOf("x.xlsx")
	var usage *pipeline.UsageError
	if !errors.As(err, &usage) {
		t.Errorf("a format that there is not: %v", err)
	}
}

func TestFileIsWholeOrAbsent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.csv")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := pipelinetest.NewTable("two", nil, example(1).Records()[0], without(example(1), record.Copy).Records()[0])
	if _, err := export.File(context.Background(), path, broken); err == nil {
		t.Error("a broken table was written")
	}
	kept, err := os.ReadFile(path)
	if err != nil || string(kept) != "before" {
		t.Errorf("the earlier file holds %q, %v", kept, err)
	}
	if _, err := export.File(context.Background(), path, example(4)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errors.New("no space left")
	}
	return len(b), nil
}

func TestErrorsOfTheDiskAreTold(t *testing.T) {
	for _, format := range []export.Format{export.Arrow, export.Parquet, export.CSV, export.NPY, export.SafeTensors} {
		var whole bytes.Buffer
		if _, err := export.Write(context.Background(), &whole, format, example(200)); err != nil {
			t.Fatal(err)
		}
		for _, room := range []int{0, 10, whole.Len() / 2, whole.Len() - 1} {
			if _, err := export.Write(context.Background(), &full{room}, format, example(200)); err == nil {
				t.Errorf("%s: written into %d bytes of %d", format, room, whole.Len())
			}
		}
	}
}

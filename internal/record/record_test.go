package record_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
)

func TestTensorField(t *testing.T) {
	f := record.TensorField("image", arrow.PrimitiveTypes.Uint8, 2, 3, 4)
	if name, _ := f.Metadata.GetValue("ARROW:extension:name"); name != "arrow.fixed_shape_tensor" {
		t.Errorf("extension %q", name)
	}
	shape, element, err := record.TensorShape(f)
	if err != nil || !reflect.DeepEqual(shape, []int{2, 3, 4}) || element != arrow.PrimitiveTypes.Uint8 {
		t.Errorf("%v %v %v", shape, element, err)
	}
	plain := arrow.Field{Name: "f", Type: arrow.FixedSizeListOf(5, arrow.PrimitiveTypes.Float32)}
	if shape, _, err := record.TensorShape(plain); err != nil || !reflect.DeepEqual(shape, []int{5}) {
		t.Errorf("%v %v", shape, err)
	}
	wrong := plain
	wrong.Metadata = f.Metadata
	if _, _, err := record.TensorShape(wrong); err == nil {
		t.Error("a shape that does not hold the values was taken")
	}
	if _, _, err := record.TensorShape(arrow.Field{Name: "id", Type: arrow.BinaryTypes.String}); err == nil {
		t.Error("a text column was taken for a tensor")
	}
}

func TestColumnsAndMetadata(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String},
		record.TensorField("image", arrow.PrimitiveTypes.Uint8, 2),
	}, nil)
	s = record.WithMetadata(s, "b", "1")
	s = record.WithMetadata(s, "a", "2")
	if got := s.Metadata().Keys(); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("keys %v are not sorted", got)
	}
	r, err := record.Replace(s, "image", record.TensorField("feature", arrow.PrimitiveTypes.Float32, 7))
	if err != nil || !reflect.DeepEqual(record.ColumnNames(r), []string{"id", "feature"}) || r.Metadata().Len() != 2 {
		t.Errorf("%v %v", r, err)
	}
	if _, err := record.Replace(s, "pixels", arrow.Field{}); err == nil || !strings.Contains(err.Error(), "columns: id, image") {
		t.Errorf("error is %v", err)
	}
}

func table(t testing.TB, rows ...string) arrow.Record {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	defer b.Release()
	for _, r := range rows {
		b.Field(0).(*array.StringBuilder).Append(r)
	}
	return b.NewRecord()
}

func TestEncodeDecode(t *testing.T) {
	var buf bytes.Buffer
	first := table(t, "a", "b")
	w, err := record.NewWriter(&buf, first.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range []arrow.Record{first, table(t, "c")} {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || w.Rows() != 3 {
		t.Fatal(err, w.Rows())
	}
	var got []string
	for rec, err := range record.Decode(buf.Bytes()) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			got = append(got, rec.Column(0).ValueStr(i))
		}
	}
	if !reflect.DeepEqual(got, []string{"a", "b", "c"}) {
		t.Error(got)
	}
	for range record.Decode(buf.Bytes()) {
		break // leaving early is fine
	}
	one, err := record.Encode(first)
	if err != nil {
		t.Fatal(err)
	}
	two, err := record.Encode(table(t, "a", "b"))
	if err != nil || !bytes.Equal(one, two) {
		t.Error("equal tables give other bytes", err)
	}
	if s, err := record.DecodeSchema(one); err != nil || !s.Equal(first.Schema()) {
		t.Errorf("%v %v", s, err)
	}
}

func TestModel(t *testing.T) {
	m := record.Model{
		Architecture: json.RawMessage(`{"layers":[]}`),
		Classes:      []string{"cat", "dög"},
		Tensors: []record.Tensor{
			{Name: "a.weight", Shape: []int{2, 3}, Data: []float32{1, 2, 3, 4, 5, -0.5}},
			{Name: "scalar", Data: []float32{7}},
			{Name: "none", Shape: []int{0, 4}, Data: []float32{}},
		},
		Metadata: map[string]string{record.PreprocessingKey: "{}"},
	}
	rec, err := m.Record()
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	got, err := record.ParseModel(rec)
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%+v\nwant %+v, %v", got, m, err)
	}
	if _, err := record.ParseModel(table(t, "x")); err == nil {
		t.Error("a table of ids was read as a model")
	}
}

func TestPreprocessing(t *testing.T) {
	mean, std, channels, ok := record.Normalisation("imagenet")
	if !ok {
		t.Fatal("imagenet is not known")
	}
	p := record.Preprocessing{For: "x", Height: 224, Width: 224, Resize: record.ResizeShortest, ResizeTo: 256, Filter: record.FilterBilinear,
		Channels: channels, Mean: mean, Std: std, Normalise: "imagenet"}
	q, err := record.ParsePreprocessing(p.Encode())
	if err != nil || q != p || len(p.Differences(q)) != 0 {
		t.Errorf("%+v %v", q, err)
	}
	q.Mean, q.Std, q.Channels, _ = record.Normalisation("caffe")
	q.Width = 100
	if d := p.Differences(q); len(d) != 3 {
		t.Errorf("%q", d)
	}
	if _, _, _, ok := record.Normalisation("imagnet"); ok {
		t.Error("an unknown normalisation is known")
	}
}

func TestTruncatedFiles(t *testing.T) {
	raw, err := record.Encode(table(t, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range raw {
		failed := false
		for _, err := range record.Decode(raw[:n]) {
			failed = failed || err != nil
		}
		if !failed {
			t.Errorf("%d of %d bytes were read without an error", n, len(raw))
		}
	}
}

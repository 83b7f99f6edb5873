package report

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/tlpipe/tlpipe/internal/record"
)

// imageRecord holds one picture of 2×1 pixels, as values of the element type.
func imageRecord(t *testing.T, element arrow.DataType, normalise string, values [6]float32) arrow.Record {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{record.TensorField(record.Image, element, 1, 2, 3)}, nil)
	mean, std, channels, ok := record.Normalisation(normalise)
	if ok {
		schema = record.WithMetadata(schema, record.PreprocessingKey, record.Preprocessing{Mean: mean, Std: std, Channels: channels}.Encode())
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	list := b.Field(0).(*array.FixedSizeListBuilder)
	list.Append(true)
	for _, x := range values {
		switch into := list.ValueBuilder().(type) {
		case *array.Uint8Builder:
			into.Append(uint8(x))
		case *array.Float16Builder:
			into.Append(float16.New(x))
		case *array.Float32Builder:
			into.Append(x)
		}
	}
	rec := b.NewRecord()
	t.Cleanup(rec.Release)
	return rec
}

// Pixels come out as they were before they were prepared for a network.
func TestPreparationIsUndone(t *testing.T) {
	want := [6]float32{255, 128, 0, 10, 20, 30}
	for _, c := range []struct {
		normalise string
		element   arrow.DataType
	}{
		{"", arrow.PrimitiveTypes.Uint8},
		{"imagenet", arrow.PrimitiveTypes.Uint8}, // still to be applied
		{"caffe", arrow.PrimitiveTypes.Uint8},
		{"imagenet", arrow.PrimitiveTypes.Float32},
		{"imagenet", arrow.FixedWidthTypes.Float16},
		{"inception", arrow.PrimitiveTypes.Float32},
		{"caffe", arrow.PrimitiveTypes.Float32},
		{"none", arrow.PrimitiveTypes.Float32},
	} {
		values := want
		if c.element != arrow.PrimitiveTypes.Uint8 {
			mean, std, channels, _ := record.Normalisation(c.normalise)
			for i := range values {
				from := i
				if channels == "bgr" {
					from = i/3*3 + 2 - i%3
				}
				values[i] = (want[from]/255 - mean[i%3]) / std[i%3]
			}
		}
		rec := imageRecord(t, c.element, c.normalise, values)
		tensors, err := record.TensorColumn(rec, record.Image)
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPixels(rec.Schema(), tensors)
		if err != nil {
			t.Fatal(err)
		}
		got := p.picture(0)
		if size := got.Bounds().Size(); size.X != 2 || size.Y != 1 {
			t.Fatalf("size %v", size)
		}
		for i, w := range want {
			x := got.Pix[i/3*4+i%3]
			if d := float32(x) - w; d > 1 || d < -1 {
				t.Errorf("%s %s: value %d is %d, want %v", c.normalise, c.element, i, x, w)
			}
		}
		if got.Pix[3] != 255 || got.Pix[7] != 255 {
			t.Error("the picture is not opaque")
		}
	}
}

func TestWhatIsNoPicture(t *testing.T) {
	rec := imageRecord(t, arrow.PrimitiveTypes.Uint8, "", [6]float32{})
	tensors, err := record.TensorColumn(rec, record.Image)
	if err != nil {
		t.Fatal(err)
	}
	tensors.Shape = []int{6}
	if _, err := newPixels(rec.Schema(), tensors); err == nil {
		t.Error("a vector was taken for a picture")
	}
	tensors.Shape = []int{1, 2, 3}
	if _, err := newPixels(record.WithMetadata(rec.Schema(), record.PreprocessingKey, "{"), tensors); err == nil {
		t.Error("metadata that is not JSON was taken")
	}
}

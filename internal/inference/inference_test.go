package inference_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

const side = 16 // of the grid of backbone pixels

var made = record.Extraction{Backbone: "pixels", Layer: "pooled", Precision: "fp32"}

// model is a linear classifier with random weights, of pixels or of features.
func model(t *testing.T, onFeatures bool) *inference.Model {
	t.Helper()
	b := nn.NewBuilder()
	steps := prepared().Transforms()
	var x nn.Value
	if onFeatures {
		x = b.Input("features", 3*side*side)
		steps = append(steps, record.FeaturesStep{Extraction: made})
	} else {
		x = b.Layer("flat", nn.Flatten{}, b.Input("image", side, side, 3))
	}
	x = b.Layer("logits", nn.Dense{Out: 3, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	m, err := inference.New(classifier.New(net, net.InitialiseFrozen(4), record.SingleLabelHead("label", []string{"a", "b", "c"}), steps))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func prepared() record.Preprocessing {
	mean, std, channels, _ := record.Normalisation("inception")
	return record.Preprocessing{Height: side, Width: side, Resize: record.ResizeShortest, ResizeTo: 20, Filter: record.FilterBicubic, Channels: channels, Mean: mean, Std: std, Normalise: "inception"}
}

// A picture gives the same whether the bytes of its file, its pixels or its features are given.
func TestWaysIn(t *testing.T) {
	drawn := image.NewRGBA(image.Rect(0, 0, 37, 29))
	for i := range 37 * 29 {
		drawn.Set(i%37, i/37, color.RGBA{uint8(i * 7), uint8(i * 13), uint8(i * 29), 255})
	}
	var file bytes.Buffer
	if err := png.Encode(&file, drawn); err != nil {
		t.Fatal(err)
	}
	prepare, err := picture.Prepare(prepared().Transforms())
	if err != nil {
		t.Fatal(err)
	}
	pixels, normalised := make([]uint8, prepare.Size()), make([]float32, prepare.Size())
	if err := prepare.Pixels(picture.NewDecoder(), pixels, file.Bytes()); err != nil {
		t.Fatal(err)
	}
	prepare.Normalise(normalised, pixels)
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, onFeatures := range []bool{false, true} {
		m := model(t, onFeatures)
		p, err := m.OnPictures("")
		if err != nil {
			t.Fatal(err)
		}
		fromFile, fromPixels := make([]float32, 3), make([]float32, 3)
		if err := p.File(file.Bytes(), fromFile); err != nil {
			t.Fatal(err)
		}
		if err := p.Pixels(normalised, fromPixels); err != nil {
			t.Fatal(err)
		}
		const rows = 5 // pixels' features are the pixels
		fromTable := make([]float32, 3*rows)
		if err := m.NewSession(pool, 2).Run(slices.Repeat(normalised, rows), rows, fromTable); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(fromFile, fromPixels) || !slices.Equal(slices.Repeat(fromFile, rows), fromTable) {
			t.Errorf("on features %v: of the file %v, of pixels %v, of a table %v", onFeatures, fromFile, fromPixels, fromTable)
		}
		if sum := fromFile[0] + fromFile[1] + fromFile[2]; sum < 0.999 || sum > 1.001 {
			t.Errorf("probabilities %v", fromFile)
		}
		p.UseThreads(2)
		withThreads, prepared := make([]float32, 3), make([]float32, len(normalised))
		if err := errors.Join(p.File(file.Bytes(), withThreads), p.Prepare(file.Bytes(), prepared)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(fromFile, withThreads) || !slices.Equal(normalised, prepared) {
			t.Errorf("on features %v: with two threads %v, with one %v", onFeatures, withThreads, fromFile)
		}
		defer p.Close()
		if onFeatures { // the table's pictures become features first
			m = model(t, true)
		}
		r, err := m.OnRows(pictureTable(pixels, 1).Schema(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, threads := range []int{1, 3} {
			fromRows, reasons, err := r.Run(context.Background(), pictureTable(pixels, rows), threads)
			if err != nil || !slices.Equal(fromRows, fromTable) || slices.Compact(reasons)[0] != "" {
				t.Errorf("on features %v: of rows %v, %v, %v, of a table %v", onFeatures, fromRows, reasons, err, fromTable)
			}
		}
		if err := p.Pixels(normalised[1:], fromPixels); err == nil || !strings.Contains(err.Error(), "16×16 pixels") {
			t.Errorf("too few pixels: %v", err)
		}
		if err := p.File([]byte("a text"), fromFile); err == nil {
			t.Error("a text was taken for a picture")
		}
	}
}

// testdata/form1.safetensors is a model that was stored before models described themselves, by the version before. It tells
// of drawn.png what it told then.
func TestModelOfFirstForm(t *testing.T) {
	stored, err := classifier.ReadFile("testdata/form1.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	m, err := inference.New(stored)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.OnPictures("")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("testdata/drawn.png")
	if err != nil {
		t.Fatal(err)
	}
	then := map[string]float64{
		"vehicle": 0.21582303941249847, "mammal": 0.20135639607906342, "bird": 0.17560487985610962, "clothing": 0.13327664136886597,
		"fruit or vegetable": 0.09802182018756866, "building": 0.07858121395111084, "face": 0.04906089976429939, "clock": 0.04827512428164482,
	}
	names := m.Head().Names()
	out := make([]float32, len(names))
	if err := p.File(file, out); err != nil {
		t.Fatal(err)
	}
	if len(names) != len(then) {
		t.Errorf("classes %v", names)
	}
	for i, name := range names {
		if math.Abs(float64(out[i])-then[name]) > 1e-6 {
			t.Errorf("%s has probability %v, and had %v", name, out[i], then[name])
		}
	}
}

// pictureTable is a table of the same picture so many times, as preprocess makes them.
func pictureTable(pixels []uint8, rows int) arrow.Record {
	field := record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, side, side, 3)
	column := record.NewTensors(field.Type, slices.Repeat(pixels, rows), rows)
	defer column.Release()
	schema := record.WithMetadata(arrow.NewSchema([]arrow.Field{field}, nil), record.PreprocessingKey, prepared().Encode())
	return array.NewRecord(schema, []arrow.Array{column}, int64(rows))
}

// A row whose numbers are not finite has no answer, and spoils no other.
func TestRowsWithoutAnswer(t *testing.T) {
	field := record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, 3*side*side)
	values := make([]float32, 3*3*side*side)
	values[3*side*side+1] = float32(math.NaN())
	column := record.NewTensors(field.Type, arrow.Float32Traits.CastToBytes(values), 3)
	defer column.Release()
	rec := array.NewRecord(arrow.NewSchema([]arrow.Field{field}, nil), []arrow.Array{column}, 3)
	r, err := model(t, true).OnRows(rec.Schema(), "")
	if err != nil {
		t.Fatal(err)
	}
	answers, reasons, err := r.Run(context.Background(), rec, 2)
	if err != nil || reasons[0] != "" || reasons[2] != "" || !strings.Contains(reasons[1], "not finite") || !slices.Equal(answers[:3], answers[6:]) {
		t.Errorf("answers %v, reasons %q, %v", answers, reasons, err)
	}
}

// Pictures that were prepared in another way than the model's are refused, with the step that differs.
func TestPreparedOtherwise(t *testing.T) {
	other := prepared()
	other.Filter = record.FilterLanczos
	schema := record.WithMetadata(arrow.NewSchema([]arrow.Field{record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, side, side, 3)}, nil), record.PreprocessingKey, other.Encode())
	for _, onFeatures := range []bool{false, true} {
		if _, err := model(t, onFeatures).OnRows(schema, ""); err == nil || !strings.Contains(err.Error(), "lanczos, where the model has: resize") {
			t.Errorf("on features %v: %v", onFeatures, err)
		}
	}
}

func TestTablesThatFit(t *testing.T) {
	table := func(name, extraction string, shape ...int) *arrow.Schema {
		s := arrow.NewSchema([]arrow.Field{record.TensorField(name, arrow.PrimitiveTypes.Float32, shape...)}, nil)
		if extraction != "" {
			s = record.WithMetadata(s, record.ExtractionKey, extraction)
		}
		return s
	}
	flipped := made
	flipped.Flip = true
	for _, c := range []struct {
		onFeatures bool
		schema     *arrow.Schema
		want       string
	}{
		{true, table(record.Feature, made.Encode(), 3*side*side), ""},
		{true, table(record.Feature, "", 3*side*side), ""},
		{true, table(record.Feature, flipped.Encode(), 3*side*side), "the features that it was trained on: flip true, not false"},
		{true, table(record.Feature, made.Encode(), 5), "it takes features of 768 values, but these have 5"},
		{false, table(record.Image, "", side, side, 3), ""},
		{false, table(record.Image, "", side, side+1, 3), "it takes pictures of 768 values, but these have 816"},
		{false, table("other", "", 3*side*side), "there is no column"},
	} {
		err := model(t, c.onFeatures).Takes(c.schema)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("on features %v, table %v: error %v, want %q", c.onFeatures, c.schema, err, c.want)
		}
	}
}

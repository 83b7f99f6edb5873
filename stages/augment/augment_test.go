package augment_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/augment"
)

const side = 16

// pictures makes a table; the pixels of row i are a gradient that starts at i.
func pictures(rows ...[2]string) arrow.Record {
	mean, std, channels, _ := record.Normalisation("imagenet")
	p := record.Preprocessing{Height: side, Width: side, Channels: channels, Mean: mean, Std: std}
	schema := record.WithMetadata(arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, side, side, 3),
		{Name: record.Split, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "age", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	}, nil), record.PreprocessingKey, p.Encode())
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i, row := range rows {
		b.Field(0).(*array.StringBuilder).Append(row[0])
		list := b.Field(1).(*array.FixedSizeListBuilder)
		list.Append(true)
		for y := range side {
			for x := range side {
				list.ValueBuilder().(*array.Uint8Builder).AppendValues([]uint8{uint8(i + 8*x), uint8(8 * y), uint8(4 * (x + y))}, nil)
			}
		}
		b.Field(2).(*array.StringBuilder).Append(row[1])
		if i%2 == 0 {
			b.Field(3).(*array.Int64Builder).Append(int64(i))
		} else {
			b.Field(3).AppendNull()
		}
	}
	return b.NewRecord()
}

func mapped(t testing.TB, with string, chunks ...arrow.Record) []arrow.Record {
	t.Helper()
	stage := pipelinetest.Stage(t, augment.Kind(), with)
	var out []arrow.Record
	for _, m := range pipelinetest.Map(t, pipelinetest.Env(t), stage, nil, chunks...) {
		out = append(out, m.Rows)
	}
	return out
}

func pixels(t testing.TB, rec arrow.Record, row int) []byte {
	t.Helper()
	tensors, err := record.TensorColumn(rec, record.Image)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.Bytes(row)
}

func column(rec arrow.Record, name string) (out []string) {
	at, _, err := record.Column(rec.Schema(), name)
	if err != nil {
		return nil
	}
	for i := range int(rec.NumRows()) {
		out = append(out, rec.Column(at).ValueStr(i))
	}
	return out
}

func TestOnlyTrainingPicturesAreCopied(t *testing.T) {
	in := pictures([2]string{"a", "train"}, [2]string{"b", "val"}, [2]string{"c", "test"}, [2]string{"d", "train"})
	out := mapped(t, "{copies: 2, flip: both, rotate: 0.1, brightness: 0.5}", in)[0]
	if got := fmt.Sprint(column(out, "id"), column(out, "copy"), column(out, "age")); got !=
		"[a b c d a a d d] [0 0 0 0 1 2 1 2] [0 (null) 2 (null) 0 0 (null) (null)]" {
		t.Error(got)
	}
	for row := range 4 {
		if !bytes.Equal(pixels(t, out, row), pixels(t, in, row)) {
			t.Errorf("row %d is not the picture itself", row)
		}
	}
	if bytes.Equal(pixels(t, out, 4), pixels(t, out, 5)) {
		t.Error("two copies are the same")
	}
}

func TestNothingAskedNothingDone(t *testing.T) {
	in := pictures([2]string{"a", "train"})
	out := mapped(t, "{copies: 3}", in)[0]
	for i := range 4 {
		if !bytes.Equal(pixels(t, out, i), pixels(t, in, 0)) {
			t.Errorf("copy %d changed", i)
		}
	}
}

const everything = `{copies: 2, flip: both, rotate: 0.1, zoom: 0.2, translate: 0.1, fill: reflect, crop: {}, brightness: 0.2,
  contrast: 0.2, saturation: 0.2, hue: 0.1, grey: 0.3, blur: {probability: 0.5}, erase: {probability: 0.5}, rand_augment: {n: 2, m: 9}}`

// A copy is the same however rows fall into chunks.
func TestDrawsDependOnTheRowAlone(t *testing.T) {
	a, b, c := [2]string{"a", "train"}, [2]string{"b", "train"}, [2]string{"c", "train"}
	whole := mapped(t, everything, pictures(a, b, c))[0]
	again := mapped(t, everything, pictures(a, b, c))[0]
	first := mapped(t, everything, pictures(a))[0]
	for copy := 1; copy <= 2; copy++ {
		of := pixels(t, whole, 3+copy-1) // behind the three pictures
		if !bytes.Equal(of, pixels(t, first, copy)) || !bytes.Equal(of, pixels(t, again, 3+copy-1)) {
			t.Errorf("copy %d of the first row differs", copy)
		}
	}
	stage := pipelinetest.Stage(t, augment.Kind(), everything)
	env := pipelinetest.Env(t)
	env.Seed = 2
	other := pipelinetest.Map(t, env, stage, nil, pictures(a))[0].Rows
	if bytes.Equal(pixels(t, first, 1), pixels(t, other, 1)) {
		t.Error("another seed, the same copy")
	}
}

// Each operation changes pictures, keeps their shape, and has its expected
// mean effect.
func TestOperations(t *testing.T) {
	in := pictures([2]string{"a", "train"})
	mean := func(raw []byte) float64 {
		sum := 0.0
		for _, v := range raw {
			sum += float64(v)
		}
		return sum / float64(len(raw))
	}
	plain := mean(pixels(t, in, 0))
	for with, tolerance := range map[string]float64{
		"flip: horizontal": 0.01, "flip: vertical": 0.01, "rotate: 0.25": 6, "zoom: 0.3": 6, "translate: 0.3": 8,
		"crop: {}": 8, "brightness: 0.5": 4, "contrast: 0.5": 2, "saturation: 0.8": 2, "hue: 0.5": 6, "grey: 0.5": 3,
		"blur: {probability: 1}": 1, "erase: {probability: 1}": 20, "rand_augment: {n: 2, m: 10}": 15,
		"rotate: 0.1, fill: reflect": 6, "rotate: 0.1, fill: background": 12,
	} {
		out := mapped(t, "{copies: 300, "+with+"}", in)[0]
		changed, sum := 0, 0.0
		for i := 1; i <= 300; i++ {
			raw := pixels(t, out, i)
			sum += mean(raw)
			if !bytes.Equal(raw, pixels(t, in, 0)) {
				changed++
			}
		}
		if changed < 100 {
			t.Errorf("%s: %d of 300 copies changed", with, changed)
		}
		if shift := math.Abs(sum/300 - plain); shift > tolerance {
			t.Errorf("%s: the mean level moved by %.2f", with, shift)
		}
	}
}

func TestFlip(t *testing.T) {
	in := pictures([2]string{"a", "train"})
	raw := pixels(t, in, 0)
	mirrored := make([]byte, len(raw))
	for y := range side {
		for x := range side {
			copy(mirrored[3*(y*side+x):][:3], raw[3*(y*side+side-1-x):])
		}
	}
	out := mapped(t, "{copies: 200, flip: horizontal}", in)[0]
	flipped := 0
	for i := 1; i <= 200; i++ {
		switch got := pixels(t, out, i); {
		case bytes.Equal(got, mirrored):
			flipped++
		case !bytes.Equal(got, raw):
			t.Fatalf("copy %d is neither the picture nor its mirror image", i)
		}
	}
	if flipped < 70 || flipped > 130 {
		t.Errorf("%d of 200 copies are flipped", flipped)
	}
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		with := fmt.Sprintf("{copies: 1, rotate: %v, zoom: %v, translate: %v, crop: {scale: [%v, 1]}, fill: %s, rand_augment: {n: %d, m: %d}}",
			rapid.Float64Range(0, 0.5).Draw(rt, "rotate"), rapid.Float64Range(0, 0.9).Draw(rt, "zoom"),
			rapid.Float64Range(0, 1).Draw(rt, "translate"), rapid.Float64Range(0.001, 1).Draw(rt, "scale"),
			rapid.SampledFrom([]string{"nearest", "reflect", "background"}).Draw(rt, "fill"),
			rapid.IntRange(1, 14).Draw(rt, "n"), rapid.IntRange(0, 30).Draw(rt, "m"))
		id := rapid.String().Draw(rt, "id")
		out := mapped(t, with, pictures([2]string{id, "train"}))[0]
		if out.NumRows() != 2 || len(pixels(t, out, 1)) != side*side*3 {
			rt.Fatalf("%d rows", out.NumRows())
		}
	})
}

func TestRefusals(t *testing.T) {
	for with, want := range map[string]string{
		"{crop: {scale: [1, 0.5]}}": "crop.scale: expected [low, high]",
		"{blur: {sigma: [1]}}":      "blur.sigma",
		"{erase: {ratio: [0, 1]}}":  "erase.ratio",
		"{rand_augment: {m: 3}}":    "n, the number of operations, is missing",
		"{flip: sideways}":          "is not one of none, horizontal, vertical, both",
		"{splits: [trian]}":         `"trian" is not one of train, val, test`,
		"{copies: -1}":              "below the smallest",
		"{rotate: 0.7}":             "above the largest",
	} {
		if _, err := pipelinetest.TryStage(augment.Kind(), with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", with, err, want)
		}
	}
	stage := pipelinetest.Stage(t, augment.Kind(), "{copies: 1}").(pipeline.RowWise)
	m, err := stage.Open(t.Context(), pipelinetest.Env(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	once := mapped(t, "{copies: 1}", pictures([2]string{"a", "train"}))[0]
	if _, err := stage.Columns(once.Schema()); err == nil || !strings.Contains(err.Error(), "already augmented") {
		t.Errorf("a second augmentation: %v", err)
	}
	floats := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String}, record.TensorField("image", arrow.PrimitiveTypes.Float32, 2, 2, 3)}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, floats)
	defer b.Release()
	if _, err := m.Map(t.Context(), b.NewRecord()); err == nil || !strings.Contains(err.Error(), "store: uint8") {
		t.Errorf("float pictures: %v", err)
	}
}

func TestExample(t *testing.T) {
	var example map[string]struct{ With yaml.Node }
	if err := yaml.Unmarshal([]byte(augment.Kind().Example), &example); err != nil {
		t.Fatal(err)
	}
	node := example["varied"].With
	text, err := yaml.Marshal(&node)
	if err != nil {
		t.Fatal(err)
	}
	pipelinetest.Stage(t, augment.Kind(), string(text))
}

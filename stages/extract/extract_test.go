package extract_test

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/sourcegraph/conc/pool"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/backbone/weights"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/extract"
)

// prepared tells of pictures prepared for a backbone, with a size of their own.
func prepared(t testing.TB, name string, height, width int) record.Preprocessing {
	t.Helper()
	b, err := backbone.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	p := b.Preprocessing()
	p.Height, p.Width = height, width
	return p
}

// pictures is an images table of one tensor column; levels are the pictures' bytes, one after the
// other, and element is the type they are stored as: normalised, unless it is uint8.
func pictures(t testing.TB, p record.Preprocessing, element arrow.DataType, levels []byte, missing ...int) arrow.Record {
	t.Helper()
	size := p.Height * p.Width * 3
	meta := arrow.MetadataFrom(map[string]string{record.PreprocessingKey: p.Encode()})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Image, element, p.Height, p.Width, 3),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32},
	}, &meta)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range len(levels) / size {
		b.Field(0).(*array.StringBuilder).Append("picture-" + string(rune('a'+i)))
		list := b.Field(1).(*array.FixedSizeListBuilder)
		list.Append(!slices.Contains(missing, i))
		for j, v := range levels[i*size : (i+1)*size] {
			x := float32((float64(v)/255 - float64(p.Mean[j%3])) / float64(p.Std[j%3]))
			switch values := list.ValueBuilder().(type) {
			case *array.Uint8Builder:
				values.Append(v)
			case *array.Float32Builder:
				values.Append(x)
			case *array.Float16Builder:
				values.Append(float16.New(x))
			}
		}
		if i%3 == 0 {
			b.Field(2).AppendNull()
		} else {
			b.Field(2).(*array.StringBuilder).Append("cat")
		}
		b.Field(3).(*array.Int32Builder).Append(int32(i % 2))
	}
	return b.NewRecord()
}

// noise is n random pictures.
func noise(n, height, width int) []byte {
	random := rand.New(rand.NewPCG(5, 5))
	out := make([]byte, n*height*width*3)
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}

// features runs a stage on chunks and returns the numbers of the feature column, row by row.
func features(t testing.TB, with string, threads int, chunks ...arrow.Record) [][]float32 {
	t.Helper()
	env := pipelinetest.Env(t)
	env.Threads = threads
	var out [][]float32
	for _, m := range pipelinetest.Map(t, env, pipelinetest.Stage(t, extract.Kind(), with), nil, chunks...) {
		out = append(out, rowsOf(t, m.Rows)...)
	}
	return out
}

func rowsOf(t testing.TB, rec arrow.Record) [][]float32 {
	t.Helper()
	at, _, err := record.Column(rec.Schema(), record.Feature)
	if err != nil {
		t.Fatal(err)
	}
	list := rec.Column(at).(*array.FixedSizeList)
	values := list.ListValues().(*array.Float32).Float32Values()
	var out [][]float32
	for i := range list.Len() {
		from, to := list.ValueOffsets(i)
		out = append(out, values[from:to])
	}
	return out
}

// TestFeaturesAgreeWithPyTorch holds the whole stage, from stored bytes to features, against the
// reference outputs of the backbone.
func TestFeaturesAgreeWithPyTorch(t *testing.T) {
	fixture, err := safetensors.Open(filepath.FromSlash("../../internal/backbone/testdata/efficientnet_lite0.safetensors"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer fixture.Close()
	_, want, err := fixture.Float32("224x224/pooled")
	if err != nil {
		t.Fatal(err)
	}
	var levels []byte // the formula of testdata/make_efficientnet_lite0.py
	for i := range 2 {
		for y := range 224 {
			for x := range 224 {
				for c := range 3 {
					v := (3*x + 5*y + 40*c + x*y*(i+1)/32) % 512
					levels = append(levels, byte(min(v, 511-v)))
				}
			}
		}
	}
	p := prepared(t, "efficientnet_lite0", 224, 224)
	got := slices.Concat(features(t, "{}", 2, pictures(t, p, arrow.PrimitiveTypes.Uint8, levels))...)
	var largest, off float64
	for i, v := range want {
		largest, off = max(largest, math.Abs(float64(v))), max(off, math.Abs(float64(v-got[i])))
	}
	if len(got) != len(want) || !(off <= 1e-4*largest) {
		t.Errorf("%d features, off by %v, the largest is %v", len(got), off, largest)
	}
}

func TestRowsDoNotDependOnChunksBatchesOrThreads(t *testing.T) {
	const n, size = 7, 32
	p := prepared(t, "efficientnet_lite0", size, size)
	all := pictures(t, p, arrow.PrimitiveTypes.Uint8, noise(n, size, size))
	for _, with := range []string{"{}", "{flip: true}", "{layer: block3, weights: random}", "{backbone: pixels}"} {
		want := features(t, with, 1, all)
		for _, batch := range []string{"1", "3", "16"} {
			with := strings.TrimSuffix(strings.Replace(with, "{}", "{backbone: efficientnet_lite0}", 1), "}") + ", batch: " + batch + "}"
			for _, threads := range []int{1, 3} {
				got := features(t, with, threads, all.NewSlice(0, 1), all.NewSlice(1, 5), all.NewSlice(5, n))
				for i := range want {
					if !slices.Equal(got[i], want[i]) {
						t.Fatalf("%s, %d threads: row %d differs", with, threads, i)
					}
				}
			}
		}
	}
}

func TestMapIsSafeForConcurrentUse(t *testing.T) {
	const n, size = 6, 40
	p := prepared(t, "efficientnet_lite0", size, size)
	all := pictures(t, p, arrow.PrimitiveTypes.Uint8, noise(n, size, size))
	want := features(t, "{flip: true}", 1, all)
	env := pipelinetest.Env(t)
	mapper, err := pipelinetest.Stage(t, extract.Kind(), "{flip: true, batch: 2}").(pipeline.RowWise).Open(context.Background(), env, nil)
	if err != nil {
		t.Fatal(err)
	}
	tasks := pool.New().WithMaxGoroutines(8)
	for range 16 {
		tasks.Go(func() {
			m, err := mapper.Map(context.Background(), all)
			if err != nil {
				t.Error(err)
				return
			}
			for i, row := range rowsOf(t, m.Rows) {
				if !slices.Equal(row, want[i]) {
					t.Errorf("row %d differs", i)
				}
			}
		})
	}
	tasks.Wait()
	if err := mapper.Close(); err != nil {
		t.Error(err)
	}
}

func TestPixelsMayRestInAnyType(t *testing.T) {
	const n, size = 3, 40
	p := prepared(t, "efficientnet_lite0", size, size)
	levels := noise(n, size, size)
	want := features(t, "{}", 1, pictures(t, p, arrow.PrimitiveTypes.Uint8, levels))
	for element, tolerance := range map[arrow.DataType]float64{arrow.PrimitiveTypes.Float32: 0, arrow.FixedWidthTypes.Float16: 1e-2} {
		got := features(t, "{}", 1, pictures(t, p, element, levels))
		for i := range want {
			for j := range want[i] {
				if math.Abs(float64(got[i][j]-want[i][j])) > tolerance {
					t.Fatalf("%s: feature %d of picture %d is %v, want %v", element, j, i, got[i][j], want[i][j])
				}
			}
		}
	}
}

func TestFlipMakesFeaturesSymmetric(t *testing.T) {
	const size = 64
	p := prepared(t, "efficientnet_lite0", size, size)
	levels := noise(1, size, size)
	mirrored := make([]byte, len(levels))
	for i := range levels {
		c, x, y := i%3, i/3%size, i/3/size
		mirrored[(y*size+size-1-x)*3+c] = levels[i]
	}
	both := pictures(t, p, arrow.PrimitiveTypes.Uint8, slices.Concat(levels, mirrored))
	plain := features(t, "{}", 1, both)
	if slices.Equal(plain[0], plain[1]) {
		t.Error("without flip, a picture and its mirror image have the same features")
	}
	got := features(t, "{flip: true}", 1, both)
	if !slices.Equal(got[0], got[1]) {
		t.Error("with flip, a picture and its mirror image have different features")
	}
	for i, v := range got[0] {
		if want := (plain[0][i] + plain[1][i]) / 2; v != want {
			t.Fatalf("feature %d is %v, want the mean %v", i, v, want)
		}
	}
	maps := features(t, "{flip: true, layer: last}", 1, both) // 2×2×1280
	for i, v := range maps[0] {
		c, x, y := i%1280, i/1280%2, i/2560
		if other := maps[1][(y*2+1-x)*1280+c]; v != other {
			t.Fatalf("map at %d, %d, channel %d is %v, its mirror image has %v", y, x, c, v, other)
		}
	}
}

func TestOutputTable(t *testing.T) {
	const n, size = 5, 40
	p := prepared(t, "efficientnet_lite0", size, size)
	in := pictures(t, p, arrow.PrimitiveTypes.Uint8, noise(n, size, size), 1, 4)
	stage := pipelinetest.Stage(t, extract.Kind(), "{layer: block3}")
	out := pipelinetest.Map(t, pipelinetest.Env(t), stage, nil, in)[0]
	if got, want := record.ColumnNames(out.Rows.Schema()), []string{"id", "feature", "label", "copy"}; !slices.Equal(got, want) {
		t.Errorf("columns %v, want %v", got, want)
	}
	shape, _, err := record.TensorShape(out.Rows.Schema().Field(1))
	if err != nil || !slices.Equal(shape, []int{5, 5, 40}) {
		t.Errorf("features of shape %v, %v; want 5×5×40", shape, err)
	}
	meta := out.Rows.Schema().Metadata()
	if text, _ := meta.GetValue(record.PreprocessingKey); text != p.Encode() {
		t.Errorf("preprocessing %q", text)
	}
	text, _ := meta.GetValue(record.ExtractionKey)
	made, err := record.ParseExtraction(text)
	want := record.Extraction{
		Backbone: "efficientnet_lite0", Weights: "imagenet", Layer: "block3.project.bn", Precision: "fp32",
		Digest: "ea860c640ea97e90e626206ed732fd400ed68a2096d63a44fd797b2bb7abbc43",
	}
	if err != nil || made != want {
		t.Errorf("extraction %+v, %v\nwant %+v", made, err, want)
	}
	wantRejects := []pipeline.Reject{{ID: "picture-b", Reason: "there is no picture"}, {ID: "picture-e", Reason: "there is no picture"}}
	if !slices.Equal(out.Rejects, wantRejects) {
		t.Errorf("rejects %v", out.Rejects)
	}
	ids := out.Rows.Column(0).(*array.String)
	var kept []string
	for i := range ids.Len() {
		kept = append(kept, ids.Value(i))
	}
	if !slices.Equal(kept, []string{"picture-a", "picture-c", "picture-d"}) || len(rowsOf(t, out.Rows)) != 3 {
		t.Errorf("kept %v", kept)
	}
	if got := rowsOf(t, out.Rows); !slices.Equal(got[2], rowsOf(t, pipelinetest.Map(t, pipelinetest.Env(t), stage, nil, in.NewSlice(3, 4))[0].Rows)[0]) {
		t.Error("the features moved to another row")
	}
	if none := pipelinetest.Map(t, pipelinetest.Env(t), stage, nil, in.NewSlice(0, 0))[0]; none.Rows != nil {
		t.Errorf("%d rows of none", none.Rows.NumRows())
	}
}

func TestPixelsThatAreNotFiniteAreRejected(t *testing.T) {
	p := prepared(t, "efficientnet_lite0", 40, 40)
	in := pictures(t, p, arrow.PrimitiveTypes.Float32, noise(2, 40, 40))
	in.Column(1).(*array.FixedSizeList).ListValues().(*array.Float32).Float32Values()[7] = float32(math.NaN())
	out := pipelinetest.Map(t, pipelinetest.Env(t), pipelinetest.Stage(t, extract.Kind(), "{backbone: pixels}"), nil, in)[0]
	if len(out.Rejects) != 1 || out.Rejects[0].ID != "picture-a" || out.Rows.NumRows() != 1 {
		t.Errorf("%d rows, rejects %v", out.Rows.NumRows(), out.Rejects)
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	t.Setenv("TLPIPE_WEIGHTS", t.TempDir())
	for with, want := range map[string]string{
		"{backbone: eficientnet_lite0}":            `did you mean "efficientnet_lite0"`,
		"{weights: imagnet}":                       `did you mean "imagenet"`,
		"{backbone: pixels, weights: random}":      "pixels has no weights",
		"{backbone: resnet50}":                     "tlpipe models pull resnet50",
		"{precision: fp8}":                         "not one of",
		"{batch: 0}":                               "smallest allowed",
		"{backbone: nothing, precision: \"int8\"}": "there is no backbone",
	} {
		if _, err := pipelinetest.TryStage(extract.Kind(), with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", with, err, want)
		}
	}
}

func TestPicturesMustFitTheBackbone(t *testing.T) {
	lite := prepared(t, "efficientnet_lite0", 224, 224)
	change := func(f func(*record.Preprocessing)) *record.Preprocessing {
		p := lite
		f(&p)
		return &p
	}
	for name, c := range map[string]struct {
		with     string
		prepared *record.Preprocessing
		want     string // "" if it is all right
	}{
		"as the weights want":        {"{}", &lite, ""},
		"the same by values":         {"{}", change(func(p *record.Preprocessing) { p.For = "" }), ""},
		"another size, asked for":    {"{}", change(func(p *record.Preprocessing) { p.Height = 96 }), ""},
		"another size":               {"{}", change(func(p *record.Preprocessing) { p.For, p.Height = "", 96 }), "224×96 pixels, not 224×224"},
		"too small":                  {"{}", change(func(p *record.Preprocessing) { p.Height = 16 }), "too small"},
		"BGR":                        {"{}", change(func(p *record.Preprocessing) { p.Channels = "bgr" }), "channels are BGR, not RGB"},
		"another mean":               {"{}", change(func(p *record.Preprocessing) { p.Mean[1] = 0.3 }), "say `for: efficientnet_lite0` in the preprocess stage"},
		"another mean, for random":   {"{weights: random}", change(func(p *record.Preprocessing) { p.Mean[1] = 0.3 }), "normalised with mean"},
		"another mean, for pixels":   {"{backbone: pixels}", change(func(p *record.Preprocessing) { p.Mean[1] = 0.3 }), ""},
		"not known":                  {"{}", nil, "no record of their preprocessing"},
		"not known, for pixels":      {"{backbone: pixels}", nil, ""},
		"a layer that is not there":  {"{layer: blok3}", &lite, `did you mean "block3"`},
		"a file that is not there":   {"{weights: ./none.safetensors}", &lite, "no such file"},
		"any size, for pixels":       {"{backbone: pixels}", change(func(p *record.Preprocessing) { p.For, p.Height = "", 7 }), ""},
		"random weights, right size": {"{weights: random}", &lite, ""},
	} {
		stage := pipelinetest.Stage(t, extract.Kind(), c.with)
		traits := pipeline.Traits{}
		if c.prepared != nil {
			traits[record.PreprocessingKey] = c.prepared.Encode()
		}
		out, err := stage.Check(map[string][]pipeline.Traits{"images": {traits}})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "" && (out["features"][record.PreprocessingKey] != traits[record.PreprocessingKey] || out["features"][record.ExtractionKey] == ""):
			t.Errorf("%s: traits %v", name, out)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestWeightsFromAFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "own.safetensors")
	if err := os.WriteFile(path, weights.EfficientNetLite0(), 0o644); err != nil {
		t.Fatal(err)
	}
	p := prepared(t, "efficientnet_lite0", 40, 40)
	in := pictures(t, p, arrow.PrimitiveTypes.Uint8, noise(2, 40, 40))
	open := func(with string) (pipeline.Stage, pipeline.Mapper, error) {
		stage := pipelinetest.Stage(t, extract.Kind(), with)
		stage.(pipeline.Located).Locate(dir)
		if _, err := stage.Check(map[string][]pipeline.Traits{"images": {{record.PreprocessingKey: p.Encode()}}}); err != nil {
			return stage, nil, err
		}
		mapper, err := stage.(pipeline.RowWise).Open(context.Background(), pipelinetest.Env(t), nil)
		return stage, mapper, err
	}
	stage, mapper, err := open("{weights: ./own.safetensors}")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := stage.(pipeline.Identified).Identity()
	if err != nil || identity["weights"] != "file" || identity["weights.digest"] != "ea860c640ea97e90e626206ed732fd400ed68a2096d63a44fd797b2bb7abbc43" {
		t.Errorf("identity %v, %v", identity, err)
	}
	out, err := mapper.Map(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range features(t, "{}", 1, in) {
		if !slices.Equal(rowsOf(t, out.Rows)[i], want) {
			t.Errorf("picture %d has other features than with the embedded weights", i)
		}
	}
	if err := mapper.Close(); err != nil {
		t.Error(err)
	}

	// Changed between the check and the run.
	changed := pipelinetest.Stage(t, extract.Kind(), "{weights: own.safetensors}")
	changed.(pipeline.Located).Locate(dir)
	if _, err := changed.(pipeline.Identified).Identity(); err != nil {
		t.Fatal(err)
	}
	other := weights.EfficientNetLite0()
	other[len(other)-1] ^= 1
	if err := os.WriteFile(path, other, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := changed.(pipeline.RowWise).Open(context.Background(), pipelinetest.Env(t), nil); err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("changed file: error %v", err)
	}
	if err := os.WriteFile(path, other[:1000], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open("{weights: own.safetensors}"); err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("truncated file: error %v", err)
	}
}

package evaluate_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/tlpipe/tlpipe/internal/backbone"
	making "github.com/tlpipe/tlpipe/internal/features"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/shallow"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

const side = 32 // pixels

// prepared tells how the pictures are.
func prepared(t testing.TB) record.Preprocessing {
	t.Helper()
	b, err := backbone.Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	p := b.Preprocessing()
	p.Height, p.Width = side, side
	return p
}

// stripes are pictures whose lines run this way or that, in much noise. Training pictures have a copy; every seventh label is
// wrong.
func stripes(t testing.TB) arrow.Record {
	t.Helper()
	p := prepared(t)
	meta := arrow.MetadataFrom(map[string]string{record.PreprocessingKey: p.Encode()})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, side, side, 3),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: record.Split, Type: arrow.BinaryTypes.String},
		{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32},
	}, &meta)
	rows := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer rows.Release()
	random := rand.New(rand.NewPCG(1, 2))
	for _, split := range []struct {
		name    string
		n, copy int
	}{{record.Train, 30, 1}, {record.Validation, 12, 0}, {record.Test, 40, 0}} {
		for i := range split.n {
			for c := range split.copy + 1 {
				rows.Field(0).(*array.StringBuilder).Append(fmt.Sprint(split.name, i))
				list := rows.Field(1).(*array.FixedSizeListBuilder)
				list.Append(true)
				for y := range side {
					for x := range side {
						at := x
						if i%2 == 1 {
							at = y
						}
						for range 3 {
							list.ValueBuilder().(*array.Uint8Builder).Append(uint8(20*(at/4%2) + random.IntN(230)))
						}
					}
				}
				label := []string{"across", "down"}[i%2]
				if i%7 == 3 {
					label = []string{"down", "across"}[i%2]
				}
				rows.Field(2).(*array.StringBuilder).Append(label)
				rows.Field(3).(*array.StringBuilder).Append(split.name)
				rows.Field(4).(*array.Int32Builder).Append(int32(c))
			}
		}
	}
	rec := rows.NewRecord()
	t.Cleanup(rec.Release)
	return rec
}

// network is a model on pictures that answers "down" to all, and says which backbone it started from.
func network(t testing.TB, name string, frozen record.Origin) pipeline.Input {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("image", side, side, 3)
	x = b.Layer("flatten", nn.Flatten{}, x)
	x = b.Layer("logits", nn.Dense{Out: 2, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := net.Initialise(1)
	clear(weights["logits.weight"].Data)
	copy(weights["logits.bias"].Data, []float32{0, 1})
	c := classifier.New(net, weights, record.SingleLabelHead(record.Label, []string{"across", "down"}), prepared(t).Transforms())
	c.Description.Origins = []record.Origin{frozen}
	m, err := c.Model()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := m.Record()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rec.Release)
	return pipelinetest.NewTable(name, nil, rec)
}

// origin tells of weights of EfficientNet-Lite0.
func origin(t testing.TB, weights string) (record.Origin, *backbone.ResolvedWeights) {
	t.Helper()
	b, err := backbone.Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	w, err := b.Resolve(backbone.WeightsReference(weights))
	if err != nil {
		t.Fatal(err)
	}
	o, err := w.Origin()
	if err != nil {
		t.Fatal(err)
	}
	return o, w
}

// A network is held against the logistic regression on the features of the backbone that it started from: the same numbers
// as that of features extracted by hand gives. That a model does not beat it is told.
func TestNetworksAreHeldAgainstFrozenFeatures(t *testing.T) {
	rec := stripes(t)
	made, weights := origin(t, "imagenet")
	extractor, err := making.New(record.Extraction{Backbone: made.Backbone, Layer: "pooled", Precision: "fp32"}, weights, side, side, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer extractor.Close()
	w := extractor.Take(1, 1)
	width := extractor.Shape().Size()
	sets := map[string]*shallow.Rows{record.Train: {Width: width}, record.Validation: {Width: width}, record.Test: {Width: width}}
	pixels := rec.Column(1).(*array.FixedSizeList).ListValues().(*array.Uint8)
	p := prepared(t)
	for i := range int(rec.NumRows()) {
		for j := range w.Input {
			w.Input[j] = (float32(pixels.Value(i*len(w.Input)+j))/255 - float32(p.Mean[j%3])) / float32(p.Std[j%3])
		}
		out := make([]float32, width)
		if err := w.Run(1, out); err != nil {
			t.Fatal(err)
		}
		set := sets[rec.Column(3).(*array.String).Value(i)]
		set.Values = append(set.Values, out...)
		set.Classes = append(set.Classes, slices.Index([]string{"across", "down"}, rec.Column(2).(*array.String).Value(i)))
	}
	l, _, err := shallow.Logistic(context.Background(), *sets[record.Train], *sets[record.Validation], 2, shallow.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	answers := make([]float32, 2*sets[record.Test].Len())
	l.Probabilities(sets[record.Test].Values, answers)
	right := 0
	for i, class := range sets[record.Test].Classes {
		if answers[2*i+class] > 0.5 {
			right++
		}
	}

	env := pipelinetest.Env(t)
	var log []string
	env.Log = func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
	data := []pipeline.Input{pipelinetest.NewTable("images", nil, rec)}
	out, err := try(t, env, "{bootstrap: 100}", []pipeline.Input{network(t, "net", made)}, data)
	if err != nil {
		t.Fatal(err)
	}
	const name = "logistic regression on frozen features"
	if got := out.metric(t, name, "", record.Accuracy, ""); got.Value != float64(right)/40 || got.Rows != 40 || got.Role != record.BaselineRole {
		t.Errorf("%+v, want %d of 40 right", got, right)
	}
	if len(out.comparison) != 2 || out.comparison[0].B != name {
		t.Errorf("comparisons %+v", out.comparison)
	}
	if right <= 20 || !strings.Contains(strings.Join(log, "\n"), "net does not beat "+name) {
		t.Errorf("%d right, log %q", right, log)
	}

	// Two backbones are two baselines; one whose weights are not to be had is none, and told of.
	random, _ := origin(t, "random")
	random.Seed = 7
	file := made
	file.Weights = "file"
	other := made
	other.Digest = "00"
	log = nil
	out, err = try(t, env, "{bootstrap: 0}", []pipeline.Input{network(t, "net", made), network(t, "scratch", random), network(t, "own", file), network(t, "old", other)}, data)
	if err != nil {
		t.Fatal(err)
	}
	for _, weights := range []string{"imagenet", "random"} {
		out.metric(t, name+"[backbone=efficientnet_lite0,weights="+weights+"]", "", record.Accuracy, "")
	}
	for _, want := range []string{"own is not held against", "old is not held against"} {
		if !strings.Contains(strings.Join(log, "\n"), want) {
			t.Errorf("log %q, want %q", log, want)
		}
	}
	if out := run(t, "{baselines: [majority]}", []pipeline.Input{network(t, "net", made)}, data); len(out.comparison) != 1 {
		t.Errorf("comparisons %+v", out.comparison)
	}
}

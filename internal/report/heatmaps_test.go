package report_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

// modelOf makes a model of pictures of a size that tells the given classes: the mean colour and a linear layer.
func modelOf(t testing.TB, name string, height, width int, classes []string) pipeline.Input {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("image", height, width, 3)
	x = b.Layer("conv", nn.Conv{Out: 3, Kernel: nn.Pair{4, 4}, Stride: nn.Pair{4, 4}}, x)
	x = b.Layer("pool", nn.GlobalAveragePool{}, x)
	x = b.Layer("logits", nn.Dense{Out: len(classes), Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	weights := nn.Weights{}
	for _, p := range net.Parameters() {
		data := make([]float32, p.Shape.Size())
		for i := range data {
			data[i] = float32(i%5) - 1.5
		}
		weights[p.Name()] = nn.Tensor{Shape: p.Shape, Data: data}
	}
	steps := record.Preprocessing{Height: height, Width: width, Resize: record.ResizeSquash, Filter: record.FilterBilinear, Channels: "rgb", Std: [3]float32{1, 1, 1}}.Transforms()
	m, err := classifier.New(net, weights, record.SingleLabelHead(record.Label, classes), steps).Model()
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

func TestHeatMapsStandBesideTheWorstMistakes(t *testing.T) {
	run := quickstart(t)
	var classes []string
	for _, row := range pictures(t) {
		if !slices.Contains(classes, row.Label) {
			classes = append(classes, row.Label)
		}
	}
	for i := range run.Nodes {
		if run.Nodes[i].Name == "head[backbone=pixels]" {
			run.Nodes[i].Outputs["model"] = modelOf(t, "head", side, side, classes)
		}
	}
	// The nearest table of pictures has but some of the rows here; in a real run it has all.
	for i := range run.Nodes {
		if run.Nodes[i].Name == "varied" {
			run.Nodes[i].Outputs["images"] = run.Nodes[0].Outputs["images"]
		}
	}
	d := parse(t, section(page(t, run), "e1-mistakes"))
	maps := 0
	for _, n := range d.all("img") {
		if strings.Contains(attribute(n, "alt"), "what speaks for ") {
			maps++
		}
	}
	if maps != 12 || len(d.withClass("twofold")) != 1 {
		t.Errorf("%d heat maps in %d lists, want 12 in one", maps, len(d.withClass("twofold")))
	}
	if got := textOf(d.byID("e1-mistakes")); !strings.Contains(got, "Heat maps by Grad-CAM for the predicted class.") {
		t.Error("it is not said how they were made")
	}
}

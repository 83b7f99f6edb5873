package report

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
)

func TestQuantisedModelsAreToldOf(t *testing.T) {
	gate := record.FromRows([]record.GateAttempt{
		{Rows: 100, Before: 0.9, After: 0.7, Rounded: 0.72, Drop: 0.2, Limit: 0.26, Tolerance: 0.02, Bytes: 2600, Float32: 10000},
		{Layers: 1, Rows: 100, Before: 0.9, After: 0.9, Rounded: 0.9, Tolerance: 0.02, Held: true, Bytes: 2700, Float32: 10000},
	})
	layers := record.FromRows([]record.QuantisedLayer{
		{Layer: "stem", Kind: "conv", Type: "float32", Weights: 432, Sensitivity: 0.25, Why: "the gate: it is among the 1 most sensitive layers"},
		{Layer: "head", Kind: "dense", Type: "int8", Weights: 1000, Sensitivity: math.NaN()},
	})
	r := &reading{run: Run{Nodes: []Node{{Name: "data"}, {Name: "small", Outputs: map[string]pipeline.Input{
		"gate": pipelinetest.NewTable("small", nil, gate), "layers": pipelinetest.NewTable("small", nil, layers),
	}}}}}
	blocks, err := quantisedSection(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	var tables []numberTable
	for _, b := range blocks {
		if table, ok := b.view.(numberTable); ok {
			tables = append(tables, table)
		}
	}
	if len(tables) != 2 || len(tables[0].Rows) != 2 || len(tables[1].Rows) != 1 {
		t.Fatalf("tables %+v", tables)
	}
	var cells []string
	for _, c := range tables[0].Rows[1].Cells {
		cells = append(cells, c.Text)
	}
	if text := strings.Join(cells, "|"); !strings.Contains(text, "90.0 %") && !strings.Contains(text, "90.0%") || !strings.Contains(text, "27.0") || tables[0].Rows[1].Name != "small" {
		t.Errorf("the attempt that holds is told of as %q: %s", tables[0].Rows[1].Name, text)
	}
	if tables[0].Rows[0].Note != "does not hold" || tables[1].Rows[0].Name != "stem" {
		t.Errorf("told %+v", tables)
	}
	if blocks, err := quantisedSection(context.Background(), &reading{}); err != nil || blocks != nil {
		t.Errorf("a run without such models: %v, %v", blocks, err)
	}
}

package finetune_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/finetune"
)

// The stage writes every output that it declares, and its model knows the classes.
func TestWritesItsOutputs(t *testing.T) {
	ctx := context.Background()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String}, {Name: record.Label, Type: arrow.BinaryTypes.String},
		{Name: record.Split, Type: arrow.BinaryTypes.String}, record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, 2),
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		label, centre := "a", float32(-1)
		if i%2 == 1 {
			label, centre = "b", 1
		}
		split := record.Train
		if i >= 30 {
			split = record.Validation
		}
		b.Field(0).(*array.StringBuilder).Append(string(rune('A' + i)))
		b.Field(1).(*array.StringBuilder).Append(label)
		b.Field(2).(*array.StringBuilder).Append(split)
		list := b.Field(3).(*array.FixedSizeListBuilder)
		list.Append(true)
		list.ValueBuilder().(*array.Float32Builder).AppendValues([]float32{centre + float32(random.NormFloat64())/4, 0}, nil)
	}
	stage := pipelinetest.Stage(t, finetune.Kind(), "{head: linear, epochs: 3}")
	out, err := pipelinetest.Run(ctx, t, pipelinetest.Env(t), stage, finetune.Kind(), map[string][]pipeline.Input{
		transfer.DataPort: {pipelinetest.NewTable("features", nil, b.NewRecord())},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range finetune.Kind().Outputs {
		if out[port.Name] == nil {
			t.Errorf("nothing was written to %s", port.Name)
		}
	}
	for port, rows := range map[string]int64{"history": 3, "phases": 1, "diagnostics": 1} {
		if n := out[port].Rows(); n != rows {
			t.Errorf("%s has %d rows, want %d", port, n, rows)
		}
	}
	model, err := classifier.Read(ctx, out[transfer.ModelPort])
	if err != nil || len(model.Head().Classes) != 2 || model.Head().Classes[0] != "a" {
		t.Errorf("classes %v, %v", model, err)
	}
}

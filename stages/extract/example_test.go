package extract_test

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/stages/extract"
)

// A grey picture of 32×32 pixels becomes 768 numbers: its colours, averaged to 16×16.
func Example() {
	kind := extract.Kind()
	with := kind.Params.(extract.Params)
	with.Backbone = "pixels"
	stage, err := kind.New(with)
	if err != nil {
		fmt.Println(err)
		return
	}

	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, 32, 32, 3),
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	b.Field(0).(*array.StringBuilder).Append("grey")
	image := b.Field(1).(*array.FixedSizeListBuilder)
	image.Append(true)
	for range 32 * 32 * 3 {
		image.ValueBuilder().(*array.Uint8Builder).Append(51)
	}

	ctx := context.Background()
	mapper, err := stage.(pipeline.RowWise).Open(ctx, &pipeline.Env{Threads: 1}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := mapper.Map(ctx, b.NewRecord())
	if err != nil {
		fmt.Println(err)
		return
	}
	feature := out.Rows.Column(0).(*array.FixedSizeList)
	fmt.Println(feature.DataType(), feature.ListValues().(*array.Float32).Value(0))
	// Output: fixed_size_list<item: float32>[768] 0.2
}

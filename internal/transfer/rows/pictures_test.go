package rows

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// many is an input of chunks that counts how often they are opened.
type many struct {
	pipeline.Input
	chunks []pipeline.Input
}

func (m many) Chunks() []pipeline.Input { return m.chunks }

type one struct {
	pipeline.Input
	rec    arrow.Record
	opened *int
	err    error
}

func (o *one) Open(context.Context) (*pipeline.Table, error) {
	*o.opened++
	return pipeline.NewTable(o.rec), o.err
}

// Of pictures in more chunks than may be open, every one is read as if all were.
func TestMoreChunksThanMayBeOpen(t *testing.T) {
	const chunks, rows = 9, 4
	schema := arrow.NewSchema([]arrow.Field{
		{Name: record.ID, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Image, arrow.PrimitiveTypes.Float32, 1, 1, 3),
		{Name: record.Label, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: record.Split, Type: arrow.BinaryTypes.String},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	opened := 0
	in := many{}
	for chunk := range chunks {
		for row := range rows {
			b.Field(0).(*array.StringBuilder).Append(fmt.Sprint(chunk, row))
			list := b.Field(1).(*array.FixedSizeListBuilder)
			list.Append(true)
			list.ValueBuilder().(*array.Float32Builder).AppendValues([]float32{float32(chunk), float32(row), 0}, nil)
			b.Field(2).(*array.StringBuilder).Append([]string{"a", "b"}[row%2])
			b.Field(3).(*array.StringBuilder).Append(record.Train)
		}
		rec := b.NewRecord()
		defer rec.Release()
		in.chunks = append(in.chunks, &one{rec: rec, opened: &opened})
	}
	d := &Data{Pictures: true}
	d.open.Most = 2
	if err := d.readPictures(context.Background(), in, schema, record.Label); err != nil {
		t.Fatal(err)
	}
	if opened != chunks {
		t.Errorf("%d chunks were opened %d times", chunks, opened)
	}
	got := make([]float32, 3)
	batch := train.Batch{Inputs: nn.Batch{"input": {Float32: got}}}
	for round := range 2 {
		for i := range chunks * rows {
			position := (i*7 + round) % (chunks * rows)
			if err := d.Training.Examples.Read([]int{position}, batch); err != nil {
				t.Fatal(err)
			}
			if at := d.Training.Places[position]; got[0] != float32(at.Chunk) || got[1] != float32(at.Row) {
				t.Errorf("picture %v is read as %v", at, got)
			}
		}
	}
	if opened <= 2*chunks {
		t.Errorf("chunks were opened %d times: more than two stayed open", opened)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}

	// A chunk that cannot be opened again is told of.
	gone := errors.New("gone")
	for _, c := range in.chunks {
		c.(*one).err = gone
	}
	if err := d.Training.Examples.Read([]int{0}, batch); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
}

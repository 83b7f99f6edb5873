package transfer

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// chunk is a chunk of the pictures, whose rows are read where they rest.
type chunk struct {
	input   pipeline.Input
	table   *pipeline.Table
	columns []*picture.Column // by record of the table
}

// place is where a picture is.
type place struct{ chunk, row int }

// readPictures finds the rows in use, and leaves the pixels where they are.
func (s *Setup) readPictures(ctx context.Context, in pipeline.Input, schema *arrow.Schema, d *data) error {
	r := newReader(s.Target)
	if err := r.checkTarget(schema); err != nil {
		return err
	}
	for i, input := range in.Chunks() {
		c := &chunk{input: input}
		var err error
		if c.table, err = input.Open(ctx); err != nil {
			return err
		}
		d.chunks = append(d.chunks, c)
		first := 0
		for _, rec := range c.table.Records() {
			column, err := picture.NewColumn(rec)
			if err != nil {
				return err
			}
			shape := nn.Shape{column.Height, column.Width, 3}
			if d.shape == nil {
				d.shape = shape
			} else if !slices.Equal(shape, d.shape) {
				return fmt.Errorf("pictures have %d×%d pixels in one batch and %d×%d in another", d.shape[1], d.shape[0], shape[1], shape[0])
			}
			c.columns = append(c.columns, column)
			err = r.take(rec, func(into *rows, row int, id string) error {
				if column.IsNull(row) {
					return fmt.Errorf("row %q has no picture", id)
				}
				into.places = append(into.places, place{i, first + row})
				return nil
			})
			if err != nil {
				return err
			}
			first += int(rec.NumRows())
		}
	}
	if err := r.check(); err != nil {
		return err
	}
	r.number(d)
	d.training.Examples = pixels{d, &d.training}
	d.validation.Examples = pixels{d, &d.validation}
	return nil
}

// pixels are examples that are pictures, normalised.
type pixels struct {
	data *data
	of   *examples
}

// Len implements train.Examples.
func (p pixels) Len() int { return len(p.of.classes) }

// Read implements train.Examples.
func (p pixels) Read(positions []int, inputs []float32, classes []int) error {
	size := p.data.shape.Size()
	for i, position := range positions {
		at := p.of.places[position]
		p.data.chunks[at.chunk].read(inputs[i*size:(i+1)*size], at.row)
		classes[i] = p.of.classes[position]
	}
	return nil
}

// read writes the numbers of a picture.
func (c *chunk) read(dst []float32, row int) {
	at, place := c.table.Find(row)
	c.columns[at].Read(dst, place)
}

// inUse lists the rows of the chunk that a training may look at: those of split train, and those of
// split val that are no copies. With copies above 0, only that many copies of each picture.
func (c *chunk) inUse(copies int) (used []int, err error) {
	first := 0
	for _, rec := range c.table.Records() {
		u, err := newUses(rec)
		if err != nil {
			return nil, err
		}
		for i := range int(rec.NumRows()) {
			split, copied := u.of(i)
			if split == record.Train && (copies < 1 || copied < copies) || split == record.Validation && copied == 0 {
				used = append(used, first+i)
			}
		}
		first += int(rec.NumRows())
	}
	return used, nil
}

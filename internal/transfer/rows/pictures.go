package rows

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Chunk is a chunk of the pictures, whose rows are read where they rest.
type Chunk struct {
	Input   pipeline.Input
	table   *pipeline.Table
	columns []*picture.Column // by record of the table
}

// Place is where a picture is.
type Place struct{ Chunk, Row int }

// readPictures finds the rows in use, and leaves the pixels where they are.
func (d *Data) readPictures(ctx context.Context, in pipeline.Input, schema *arrow.Schema, target string) error {
	r, err := newReader(schema, target)
	if err != nil {
		return err
	}
	for i, input := range in.Chunks() {
		c := &Chunk{Input: input}
		if c.table, err = input.Open(ctx); err != nil {
			return err
		}
		d.Chunks = append(d.Chunks, c)
		first := 0
		for _, rec := range c.table.Records() {
			column, err := picture.NewColumn(rec)
			if err != nil {
				return err
			}
			shape := nn.Shape{column.Height, column.Width, 3}
			if d.Shape == nil {
				d.Shape = shape
			} else if !slices.Equal(shape, d.Shape) {
				return fmt.Errorf("pictures have %d×%d pixels in one batch and %d×%d in another", d.Shape[1], d.Shape[0], shape[1], shape[0])
			}
			c.columns = append(c.columns, column)
			err = r.take(rec, func(into *rows, row int, id string) error {
				if column.IsNull(row) {
					return fmt.Errorf("row %q has no picture", id)
				}
				into.places = append(into.places, Place{i, first + row})
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
	d.Training.Examples = pixels{d, &d.Training}
	d.Validation.Examples = pixels{d, &d.Validation}
	return nil
}

// pixels are examples that are pictures, normalised.
type pixels struct {
	data *Data
	of   *Examples
}

// Len implements train.Examples.
func (p pixels) Len() int { return p.of.Rows() }

// Read implements train.Examples.
func (p pixels) Read(positions []int, into train.Batch) error {
	size := p.data.Shape.Size()
	for _, input := range into.Inputs {
		for i, position := range positions {
			at := p.of.Places[position]
			p.data.Chunks[at.Chunk].Read(input.Float32[i*size:(i+1)*size], at.Row)
		}
	}
	return p.of.ReadTargets(positions, into.Targets)
}

// Read writes the numbers of a picture.
func (c *Chunk) Read(dst []float32, row int) {
	at, place := c.table.Find(row)
	c.columns[at].Read(dst, place)
}

// InUse lists the rows of the chunk that a training may look at: those of split train, and those of
// split val that are no copies. With copies above 0, only that many copies of each picture.
func (c *Chunk) InUse(copies int) (used []int, err error) {
	first := 0
	for _, rec := range c.table.Records() {
		roles, err := record.NewRoles(rec)
		if err != nil {
			return nil, err
		}
		for i := range int(rec.NumRows()) {
			split, copied := roles.Split(i), roles.Copy(i)
			if split == record.Train && (copies < 1 || copied < copies) || split == record.Validation && copied == 0 {
				used = append(used, first+i)
			}
		}
		first += int(rec.NumRows())
	}
	return used, nil
}

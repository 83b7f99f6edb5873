package rows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Chunk is a chunk of the pictures, or texts, whose rows are read where they rest.
type Chunk struct {
	Input pipeline.Input
	index int
	data  *Data
	only  map[int]bool // rows that may be used; nil: all
}

// TablesOpen is how many chunks of pictures, or of what was made of them, are open at once: each has a few files
// mapped into memory, of which a process may have some 65,000.
const TablesOpen = 4096

// openedChunk is a chunk whose rows can be read.
type openedChunk struct {
	*pipeline.Table
	columns []*picture.Column    // by record of the table; of pictures
	tokens  []record.TokenColumn // of texts
}

// use returns the chunk's rows; done ends their use.
func (c *Chunk) use() (o *openedChunk, done func(), err error) {
	return c.data.open.Use(c.index, func() (_ *openedChunk, err error) {
		table, err := c.Input.Open(c.data.ctx)
		if err != nil {
			return nil, err
		}
		o := &openedChunk{Table: table}
		for _, rec := range table.Records() {
			if err := o.add(rec, c.data.Tokens); err != nil {
				return nil, errors.Join(err, table.Close())
			}
		}
		return o, nil
	})
}

// add adds the column of pictures of a record, or that of tokens.
func (o *openedChunk) add(rec arrow.Record, tokens bool) error {
	if tokens {
		column, err := record.NewTokenColumn(rec)
		o.tokens = append(o.tokens, column)
		return err
	}
	column, err := picture.NewColumn(rec)
	o.columns = append(o.columns, column)
	return err
}

// Place is where a picture, or a text, is.
type Place struct{ Chunk, Row int }

// Pixels are a copy of the bytes of a picture, [height, width, 3] in RGB; nil if it rests as other numbers.
func (d *Data) Pixels(at Place) (pixels []uint8, height, width int, err error) {
	chunk, done, err := d.Chunks[at.Chunk].use()
	if err != nil {
		return nil, 0, 0, err
	}
	defer done()
	rec, row := chunk.Find(at.Row)
	column := chunk.columns[rec]
	return slices.Clone(column.Pixels(row)), column.Height, column.Width, nil
}

// readPictures finds the rows in use, and leaves the pixels where they are.
func (d *Data) readPictures(ctx context.Context, in pipeline.Input, schema *arrow.Schema, target string) error {
	r, err := d.newReader(schema, target)
	if err != nil {
		return err
	}
	d.ctx = ctx
	if d.open.Most == 0 {
		d.open.Most = TablesOpen
	}
	for i, input := range in.Chunks() {
		c := &Chunk{Input: input, index: i, data: d}
		d.Chunks = append(d.Chunks, c)
		if err := c.list(r); err != nil {
			return err
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

// list finds the rows of the chunk that are in use.
func (c *Chunk) list(r *reader) error {
	d := c.data
	chunk, done, err := c.use()
	if err != nil {
		return err
	}
	defer done()
	first := 0
	for at, rec := range chunk.Records() {
		column := chunk.columns[at]
		shape := nn.Shape{column.Height, column.Width, 3}
		if d.Shape == nil {
			d.Shape = shape
		} else if !slices.Equal(shape, d.Shape) {
			return fmt.Errorf("images have %d×%d pixels in one batch and %d×%d in another", d.Shape[1], d.Shape[0], shape[1], shape[0])
		}
		err = r.take(rec, func(into *rows, row int, id string) error {
			if column.IsNull(row) {
				return fmt.Errorf("row %q has no picture", id)
			}
			into.places = append(into.places, Place{c.index, first + row})
			return nil
		})
		if err != nil {
			return err
		}
		first += int(rec.NumRows())
	}
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
			if err := p.data.Chunks[at.Chunk].Read(input.Float32[i*size:(i+1)*size], at.Row); err != nil {
				return err
			}
		}
	}
	return p.of.ReadTargets(positions, into.Targets)
}

// Read writes the numbers of a picture.
func (c *Chunk) Read(dst []float32, row int) error {
	chunk, done, err := c.use()
	if err != nil {
		return err
	}
	defer done()
	at, place := chunk.Find(row)
	chunk.columns[at].Read(dst, place)
	return nil
}

// Tokens appends those of a text.
func (c *Chunk) Tokens(dst []int32, row int) ([]int32, error) {
	chunk, done, err := c.use()
	if err != nil {
		return dst, err
	}
	defer done()
	at, place := chunk.Find(row)
	return append(dst, chunk.tokens[at].Row(place)...), nil
}

// ID is that of a row.
func (c *Chunk) ID(row int) (string, error) {
	chunk, done, err := c.use()
	if err != nil {
		return "", err
	}
	defer done()
	at, place := chunk.Find(row)
	roles, err := record.NewRoles(chunk.Records()[at])
	if err != nil {
		return "", err
	}
	return strings.Clone(roles.ID(place)), nil
}

// InUse lists the rows of the chunk that a training may look at: those of split train, and those of
// split val that are no copies. With copies above 0, only that many copies of each picture.
func (c *Chunk) InUse(copies int) (used []int, err error) {
	chunk, done, err := c.use()
	if err != nil {
		return nil, err
	}
	defer done()
	first := 0
	for _, rec := range chunk.Records() {
		roles, err := record.NewRoles(rec)
		if err != nil {
			return nil, err
		}
		for i := range int(rec.NumRows()) {
			split, copied := roles.Split(i), roles.Copy(i)
			if c.only != nil {
				if c.only[first+i] && (copies < 1 || copied < copies) {
					used = append(used, first+i)
				}
				continue
			}
			if split == record.Train && (copies < 1 || copied < copies) || split == record.Validation && copied == 0 {
				used = append(used, first+i)
			}
		}
		first += int(rec.NumRows())
	}
	return used, nil
}

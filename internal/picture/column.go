package picture

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Column reads the pictures of an images table as what reaches a network:
// float32, normalised. It is a view of the record, and lives no longer.
type Column struct {
	Rows, Height, Width int

	list  *array.FixedSizeList
	bytes []uint8 // of pictures that rest as bytes
	read  func(dst []float32, at int)
}

// NewColumn finds the pictures of a record.
func NewColumn(rec arrow.Record) (*Column, error) {
	at, field, err := record.Column(rec.Schema(), record.Image)
	if err != nil {
		return nil, err
	}
	shape, element, err := record.TensorShape(field)
	if err != nil {
		return nil, err
	}
	if len(shape) != 3 || shape[2] != 3 {
		return nil, fmt.Errorf("column %q has shape %v, want [height, width, 3]", field.Name, shape)
	}
	list, ok := rec.Column(at).(*array.FixedSizeList)
	if !ok {
		return nil, fmt.Errorf("column %q is %T", field.Name, rec.Column(at))
	}
	c := &Column{Rows: int(rec.NumRows()), Height: shape[0], Width: shape[1], list: list}
	size := c.Size()
	switch values := list.ListValues().(type) {
	case *array.Uint8:
		prepared, err := preparedAs(rec.Schema())
		if err != nil {
			return nil, err
		}
		all := values.Uint8Values()
		c.bytes = all
		normaliser := NewNormaliser(prepared.Normalisation())
		c.read = func(dst []float32, at int) { normaliser.Apply(dst, all[at:][:size]) }
	case *array.Float32:
		all := values.Float32Values()
		c.read = func(dst []float32, at int) { copy(dst, all[at:][:size]) }
	case *array.Float16:
		all := values.Values()
		c.read = func(dst []float32, at int) {
			for i, v := range all[at:][:size] {
				dst[i] = v.Float32()
			}
		}
	default:
		return nil, fmt.Errorf("column %q holds %s, want uint8, float16 or float32", field.Name, element)
	}
	return c, nil
}

// Size is how many numbers a picture has.
func (c *Column) Size() int { return c.Height * c.Width * 3 }

// IsNull tells whether a row has no picture.
func (c *Column) IsNull(row int) bool { return c.list.IsNull(row) }

// Read writes the Size() numbers of a row's picture, [height, width, channels].
func (c *Column) Read(dst []float32, row int) {
	from, _ := c.list.ValueOffsets(row)
	c.read(dst, int(from))
}

// Pixels are the bytes of a row's picture, [height, width, channels]; nil if it rests as other numbers. They must not be written, and
// last as long as the record.
func (c *Column) Pixels(row int) []uint8 {
	if c.bytes == nil {
		return nil
	}
	from, _ := c.list.ValueOffsets(row)
	return c.bytes[from:][:c.Size()]
}

// preparedAs reads from the metadata how pixels are to be normalised. Without
// it they are taken as 0…1.
func preparedAs(s *arrow.Schema) (record.Preprocessing, error) {
	if text, ok := s.Metadata().GetValue(record.PreprocessingKey); ok {
		return record.ParsePreprocessing(text)
	}
	var p record.Preprocessing
	p.Mean, p.Std, p.Channels, _ = record.Normalisation("none")
	return p, nil
}

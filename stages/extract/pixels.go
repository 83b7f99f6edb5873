package extract

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// pixels reads the image column of a record as what reaches the network: float32, normalised.
type pixels struct {
	rows, height, width int
	size                int // numbers of a picture
	column              *array.FixedSizeList
	read                func(dst []float32, row int)
}

func newPixels(in arrow.Record, at int, field arrow.Field) (*pixels, error) {
	shape, element, err := record.TensorShape(field)
	if err != nil {
		return nil, err
	}
	if len(shape) != 3 || shape[2] != 3 {
		return nil, fmt.Errorf("column %q has shape %v, want [height, width, 3]", field.Name, shape)
	}
	column, ok := in.Column(at).(*array.FixedSizeList)
	if !ok {
		return nil, fmt.Errorf("column %q is %T", field.Name, in.Column(at))
	}
	p := &pixels{rows: int(in.NumRows()), height: shape[0], width: shape[1], size: shape[0] * shape[1] * 3, column: column}
	begin := func(row int) int {
		start, _ := column.ValueOffsets(row)
		return int(start)
	}
	switch values := column.ListValues().(type) {
	case *array.Uint8:
		prepared, err := preparedAs(in.Schema())
		if err != nil {
			return nil, err
		}
		all := values.Uint8Values()
		p.read = func(dst []float32, row int) { picture.Normalise(dst, all[begin(row):][:p.size], prepared) }
	case *array.Float32:
		all := values.Float32Values()
		p.read = func(dst []float32, row int) { copy(dst, all[begin(row):][:p.size]) }
	case *array.Float16:
		all := values.Values()
		p.read = func(dst []float32, row int) {
			for i, v := range all[begin(row):][:p.size] {
				dst[i] = v.Float32()
			}
		}
	default:
		return nil, fmt.Errorf("column %q holds %s, want uint8, float16 or float32", field.Name, element)
	}
	return p, nil
}

// preparedAs reads from the metadata how pixels are to be normalised. Without it they are taken as
// 0…1.
func preparedAs(s *arrow.Schema) (record.Preprocessing, error) {
	if text, ok := s.Metadata().GetValue(record.PreprocessingKey); ok {
		return record.ParsePreprocessing(text)
	}
	var p record.Preprocessing
	p.Mean, p.Std, p.Channels, _ = record.Normalisation("none")
	return p, nil
}

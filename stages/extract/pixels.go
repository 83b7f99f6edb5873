package extract

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

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
		levels, err := levelsOf(in.Schema())
		if err != nil {
			return nil, err
		}
		all := values.Uint8Values()
		p.read = func(dst []float32, row int) { levels.apply(dst, all[begin(row):][:p.size]) }
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

// levels are what each of the 256 levels of a channel is for the network.
type levels [3][256]float32

// levelsOf reads from the metadata how levels are normalised. Without it they are taken as 0…1.
func levelsOf(s *arrow.Schema) (*levels, error) {
	mean, std, _, _ := record.Normalisation("none")
	if text, ok := s.Metadata().GetValue(record.PreprocessingKey); ok {
		p, err := record.ParsePreprocessing(text)
		if err != nil {
			return nil, err
		}
		mean, std = p.Mean, p.Std
	}
	var l levels
	for c := range l {
		for v := range l[c] {
			l[c][v] = float32((float64(v)/255 - float64(mean[c])) / float64(std[c]))
		}
	}
	return &l, nil
}

func (l *levels) apply(dst []float32, src []byte) {
	red, green, blue := &l[0], &l[1], &l[2]
	for i := 0; i+2 < len(src) && i+2 < len(dst); i += 3 {
		dst[i], dst[i+1], dst[i+2] = red[src[i]], green[src[i+1]], blue[src[i+2]]
	}
}

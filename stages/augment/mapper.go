package augment

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

type mapper struct {
	params Params
	seed   uint64
}

// Open implements pipeline.RowWise.
func (s stage) Open(_ context.Context, env *pipeline.Env, _ map[string][]pipeline.Input) (pipeline.Mapper, error) {
	return mapper{s.params, env.Seed}, nil
}

// Close implements pipeline.Mapper.
func (mapper) Close() error { return nil }

// Map implements pipeline.Mapper.
func (m mapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	t, err := readTable(in)
	if err != nil {
		return pipeline.Mapped{}, err
	}
	repeats := make([]int, in.NumRows())
	total := 0
	for i := range repeats {
		repeats[i] = 1
		if slices.Contains(m.params.Splits, t.split(i)) && !t.images.IsNull(i) {
			repeats[i] += m.params.Copies
		}
		total += repeats[i]
	}
	pixels := make([]byte, 0, total*t.images.Size())
	copies := array.NewInt32Builder(memory.DefaultAllocator)
	defer copies.Release()
	for i, n := range repeats {
		for c := range n {
			if err := ctx.Err(); err != nil {
				return pipeline.Mapped{}, err
			}
			copies.Append(int32(c))
			if c == 0 {
				pixels = append(pixels, t.images.Bytes(i)...)
				continue
			}
			varied := m.params.vary(t.picture(i), newDraw(m.seed, t.ids.Value(i), c), fill{m.params.Fill, t.mean})
			pixels = t.appendPixels(pixels, varied)
		}
	}
	out, err := t.repeat(repeats, pixels, copies.NewArray())
	return pipeline.Mapped{Rows: out}, err
}

// imageTable is an images record being read.
type imageTable struct {
	rec           arrow.Record
	ids           *array.String
	splits        *array.String // nil if there is no such column
	images        record.Tensors
	imageAt       int
	height, width int
	mean          color.NRGBA // that the normalisation takes to 0
}

func readTable(rec arrow.Record) (*imageTable, error) {
	t := &imageTable{rec: rec}
	schema := rec.Schema()
	if _, _, err := record.Column(schema, record.Copy); err == nil {
		return nil, errors.New("the pictures are augmented already: one augment stage is enough")
	}
	at, _, err := record.Column(schema, record.ID)
	if err != nil {
		return nil, err
	}
	var ok bool
	if t.ids, ok = rec.Column(at).(*array.String); !ok {
		return nil, fmt.Errorf("column %q is not text", record.ID)
	}
	if at, _, err := record.Column(schema, record.Split); err == nil {
		t.splits, _ = rec.Column(at).(*array.String)
	}
	if t.imageAt, _, err = record.Column(schema, record.Image); err != nil {
		return nil, err
	}
	if t.images, err = record.TensorColumn(rec, record.Image); err != nil {
		return nil, err
	}
	if t.images.Element.ID() != arrow.UINT8 {
		return nil, fmt.Errorf("pictures are stored as %s; only uint8 can be augmented: say `store: uint8` in the preprocess stage", t.images.Element)
	}
	if len(t.images.Shape) != 3 || t.images.Shape[2] != 3 {
		return nil, fmt.Errorf("pictures have the shape %v, not [height, width, 3]", t.images.Shape)
	}
	t.height, t.width = t.images.Shape[0], t.images.Shape[1]
	t.mean = color.NRGBA{A: 255}
	if text, known := schema.Metadata().GetValue(record.PreprocessingKey); known {
		p, err := record.ParsePreprocessing(text)
		if err != nil {
			return nil, err
		}
		mean := p.Mean
		if p.Channels == "bgr" {
			mean[0], mean[2] = mean[2], mean[0]
		}
		t.mean.R, t.mean.G, t.mean.B = level(float64(255*mean[0])), level(float64(255*mean[1])), level(float64(255*mean[2]))
	}
	return t, nil
}

func (t *imageTable) split(row int) string {
	if t.splits == nil || t.splits.IsNull(row) {
		return ""
	}
	return t.splits.Value(row)
}

// picture copies a row's pixels into an RGB picture.
func (t *imageTable) picture(row int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, t.width, t.height))
	raw := t.images.Bytes(row)
	for i := 0; i < t.width*t.height; i++ {
		copy(img.Pix[4*i:], raw[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img
}

// appendPixels is the way back.
func (t *imageTable) appendPixels(dst []byte, img *image.NRGBA) []byte {
	for y := range t.height {
		line := img.Pix[y*img.Stride:]
		for x := range t.width {
			dst = append(dst, line[4*x:4*x+3]...)
		}
	}
	return dst
}

// repeat makes the table of copies: each row as often as repeats says, with
// the pixels and numbers of the copies.
func (t *imageTable) repeat(repeats []int, pixels []byte, copies arrow.Array) (arrow.Record, error) {
	defer copies.Release()
	fields := slices.Clone(t.rec.Schema().Fields())
	columns := make([]arrow.Array, 0, len(fields)+1)
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	for at, f := range fields {
		if at == t.imageAt {
			columns = append(columns, record.NewTensors(f.Type, pixels, copies.Len()))
			continue
		}
		c, err := repeated(t.rec.Column(at), repeats)
		if err != nil {
			return nil, fmt.Errorf("copy column %q: %w", f.Name, err)
		}
		columns = append(columns, c)
	}
	copies.Retain()
	columns = append(columns, copies)
	fields = append(fields, arrow.Field{Name: record.Copy, Type: arrow.PrimitiveTypes.Int32})
	meta := t.rec.Schema().Metadata()
	return array.NewRecord(arrow.NewSchema(fields, &meta), columns, int64(copies.Len())), nil
}

// repeated is a column with each row as often as repeats says.
func repeated(column arrow.Array, repeats []int) (arrow.Array, error) {
	var runs []arrow.Array
	defer func() {
		for _, r := range runs {
			r.Release()
		}
	}()
	for i, n := range repeats {
		for range n {
			runs = append(runs, array.NewSlice(column, int64(i), int64(i+1)))
		}
	}
	if len(runs) == 0 {
		column.Retain()
		return column, nil
	}
	return array.Concatenate(runs, memory.DefaultAllocator)
}

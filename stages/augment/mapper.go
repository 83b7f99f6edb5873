package augment

import (
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"

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
func (s *stage) Open(_ context.Context, env *pipeline.Env, _ map[string][]pipeline.Input) (pipeline.Mapper, error) {
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
	out := pipeline.Mapped{Counts: make([]int32, in.NumRows())}
	pixels := make([]byte, 0, int(in.NumRows())*m.params.Copies*t.images.Size())
	copies := array.NewInt32Builder(memory.DefaultAllocator)
	defer copies.Release()
	for i := range out.Counts {
		if t.images.IsNull(i) {
			continue
		}
		digest := sha256.Sum256(t.images.Bytes(i))
		for c := 1; c <= m.params.Copies; c++ {
			if err := ctx.Err(); err != nil {
				return pipeline.Mapped{}, err
			}
			varied := m.params.vary(t.picture(i), newDraw(m.seed, string(digest[:]), c), fill{m.params.Fill, t.mean}, t.decibels)
			pixels = t.appendPixels(pixels, varied)
			copies.Append(int32(c))
			out.Counts[i]++
		}
	}
	numbers := copies.NewArray()
	defer numbers.Release()
	images := record.NewTensors(t.field.Type, pixels, numbers.Len())
	defer images.Release()
	out.Rows = array.NewRecord(arrow.NewSchema([]arrow.Field{t.field, copyField}, nil), []arrow.Array{images, numbers}, int64(numbers.Len()))
	return out, nil
}

// imageTable is an images record being read.
type imageTable struct {
	images        record.Tensors
	field         arrow.Field
	height, width int
	mean          color.NRGBA // that the normalisation takes to 0
	decibels      float64     // from black to white, of spectrograms
}

func readTable(rec arrow.Record) (*imageTable, error) {
	t := &imageTable{}
	schema := rec.Schema()
	var err error
	if _, t.field, err = record.Column(schema, record.Image); err != nil {
		return nil, err
	}
	if t.images, err = record.TensorColumn(rec, record.Image); err != nil {
		return nil, err
	}
	if t.images.Element.ID() != arrow.UINT8 {
		return nil, fmt.Errorf("images are stored as %s; only uint8 can be augmented: set `store: uint8` in the preprocess stage", t.images.Element)
	}
	if len(t.images.Shape) != 3 || t.images.Shape[2] != 3 {
		return nil, fmt.Errorf("images have the shape %v, not [height, width, 3]", t.images.Shape)
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
		t.decibels = p.Sound.Decibels
		t.mean.R, t.mean.G, t.mean.B = level(float64(255*mean[0])), level(float64(255*mean[1])), level(float64(255*mean[2]))
	}
	return t, nil
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

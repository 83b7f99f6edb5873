package preprocess

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/sourcegraph/conc/pool"
	"golang.org/x/sync/semaphore"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/picture/likeness"
	"github.com/tlpipe/tlpipe/internal/picture/render"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// mapper is the stage at work.
type mapper struct {
	stage    *stage
	set      *dataset.Set
	threads  int
	prepare  *picture.Preparation
	size     int       // values of a picture
	decoders sync.Pool // of *picture.Decoder
	memory   *semaphore.Weighted
	looks    []render.Look // of each source
}

// Decoding takes up to so many bytes a pixel, and pictures that are decoded at
// the same time so many bytes together: a folder of scans must not take more
// memory than one of them. A picture that takes more is decoded alone.
const (
	bytesPerPixel = 8
	decodeMemory  = 256 << 20
)

func newMapper(s *stage, set *dataset.Set, threads int) *mapper {
	m := &mapper{
		stage: s, set: set, threads: threads, prepare: s.preparation,
		memory: semaphore.NewWeighted(decodeMemory),
	}
	m.size = m.prepare.Size()
	for _, source := range s.params.Source {
		m.looks = append(m.looks, source.Render.look())
	}
	m.decoders.New = func() any {
		d := picture.NewDecoder()
		d.Limits.Pixels = s.params.MaxPixels
		return d
	}
	return m
}

// Close implements pipeline.Mapper.
func (m *mapper) Close() error { return m.set.Close() }

// Map implements pipeline.Mapper.
func (m *mapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	rows, err := dataset.ParseListing(in)
	if err != nil {
		return pipeline.Mapped{}, err
	}
	pixels := make([]byte, rows.Len()*m.size)
	reasons := make([]string, rows.Len())
	sizes := make([][2]int, rows.Len()) // width and height
	if err := m.decode(ctx, rows, pixels, sizes, reasons); err != nil {
		return pipeline.Mapped{}, err
	}
	out := pipeline.Mapped{Rejects: map[int]string{}}
	kept := 0
	for i, reason := range reasons {
		if reason != "" {
			out.Rejects[i] = reason
			continue
		}
		copy(pixels[kept*m.size:], pixels[i*m.size:(i+1)*m.size])
		sizes[kept] = sizes[i]
		kept++
	}
	out.Rows = m.table(kept, pixels[:kept*m.size], sizes)
	return out, nil
}

// decode reads and fits the pictures, several at once if there are threads. A
// picture that cannot be used gets a reason; an error is about the source.
func (m *mapper) decode(ctx context.Context, rows *dataset.Listed, pixels []byte, sizes [][2]int, reasons []string) error {
	work := pool.New().WithMaxGoroutines(m.threads).WithContext(ctx).WithCancelOnError().WithFirstError()
	var next atomic.Int64
	for range m.threads {
		work.Go(func(ctx context.Context) error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= rows.Len() {
					return nil
				}
				part, at, digest := rows.Source(i)
				data, err := m.set.Read(ctx, part, at, digest)
				switch {
				case errors.Is(err, dataset.ErrTooLarge):
					reasons[i] = dataset.ErrTooLarge.Error()
					continue
				case err != nil:
					return err
				}
				own := pixels[i*m.size : (i+1)*m.size]
				if sizes[i], reasons[i], err = m.fitted(ctx, own, data); err != nil {
					return err
				}
				if look := m.looks[part]; reasons[i] == "" && look != (render.Look{}) {
					look.Apply(own, m.prepare.Height(), m.prepare.Width())
				}
			}
			return ctx.Err()
		})
	}
	return work.Wait()
}

// fitted decodes one picture, when there is memory for it, and fits it into
// dst. size is its width and height as it is to be seen; reason says why it cannot be used; err is that of ctx.
func (m *mapper) fitted(ctx context.Context, dst, data []byte) (size [2]int, reason string, err error) {
	decoder := m.decoders.Get().(*picture.Decoder)
	need := soundMemory(data)
	if !m.prepare.OfSound() {
		info, err := decoder.Inspect(data)
		if err != nil {
			m.decoders.Put(decoder)
			return size, err.Error(), nil
		}
		if size = [2]int{info.Width, info.Height}; info.Orientation.Sideways() {
			size = [2]int{info.Height, info.Width}
		}
		need = min(int64(bytesPerPixel*info.Width*info.Height), decodeMemory)
	}
	if err := m.memory.Acquire(ctx, need); err != nil {
		return size, "", err
	}
	defer m.memory.Release(need)
	if err := m.prepare.Pixels(decoder, dst, data); err != nil {
		reason = err.Error()
	}
	if need < decodeMemory/8 { // the buffers of larger ones are not kept
		m.decoders.Put(decoder)
	}
	if need > decodeMemory/2 {
		runtime.GC() // or the next one comes on top of what this one left
	}
	return size, reason, nil
}

// table holds so many pictures, what tells those that look alike, and how large they were.
func (m *mapper) table(pictures int, pixels []byte, sizes [][2]int) arrow.Record {
	likenesses := array.NewStringBuilder(memory.DefaultAllocator)
	defer likenesses.Release()
	for i := range pictures {
		if hash, ok := likeness.Of(pixels[i*m.size:(i+1)*m.size], m.prepare.Height(), m.prepare.Width()); ok && !m.prepare.OfSound() {
			likenesses.Append(hash.String())
		} else {
			likenesses.AppendNull()
		}
	}
	alike := likenesses.NewArray()
	defer alike.Release()
	element, stored := m.stored(pixels)
	fields := []arrow.Field{
		record.TensorField(record.Image, element, m.prepare.Height(), m.prepare.Width(), 3),
		{Name: record.Likeness, Type: arrow.BinaryTypes.String, Nullable: true},
	}
	column := record.NewTensors(fields[0].Type, stored, pictures)
	defer column.Release()
	columns := []arrow.Array{column, alike}
	if !m.prepare.OfSound() {
		for side, name := range []string{record.PictureWidth, record.PictureHeight} {
			b := array.NewInt32Builder(memory.DefaultAllocator)
			defer b.Release()
			for _, size := range sizes[:pictures] {
				b.Append(int32(size[side]))
			}
			values := b.NewArray()
			defer values.Release()
			fields, columns = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Int32}), append(columns, values)
		}
	}
	schema := record.WithMetadata(arrow.NewSchema(fields, nil), record.PreprocessingKey, m.stage.pixels().Encode())
	return array.NewRecord(schema, columns, int64(pictures))
}

// stored brings pixels into the form in which they rest.
func (m *mapper) stored(pixels []byte) (arrow.DataType, []byte) {
	store := m.stage.params.Store
	if store == "uint8" {
		return arrow.PrimitiveTypes.Uint8, pixels
	}
	floats := make([]float32, len(pixels))
	for i := 0; i < len(pixels); i += m.size {
		m.prepare.Normalise(floats[i:i+m.size], pixels[i:i+m.size])
	}
	if store == "float16" {
		raw := make([]byte, 0, 2*len(floats))
		for _, x := range floats {
			raw = binary.LittleEndian.AppendUint16(raw, float16.New(x).Uint16())
		}
		return arrow.FixedWidthTypes.Float16, raw
	}
	raw := make([]byte, 0, 4*len(floats))
	for _, x := range floats {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return arrow.PrimitiveTypes.Float32, raw
}

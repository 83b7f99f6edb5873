package extract

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/sourcegraph/conc/pool"

	"github.com/tlpipe/tlpipe/internal/features"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// mapper is the stage at work.
type mapper struct {
	stage   *stage
	threads int

	mu      sync.Mutex
	engines map[[2]int]*engine // by height and width of the pictures: one, unless a caller mixes
}

// Open implements pipeline.RowWise.
func (s *stage) Open(ctx context.Context, env *pipeline.Env, _ map[string][]pipeline.Input) (pipeline.Mapper, error) {
	if err := s.weights.Fetch(ctx, env.Log); err != nil {
		return nil, err
	}
	m := &mapper{stage: s, threads: max(env.Threads, 1), engines: map[[2]int]*engine{}}
	if s.height > 0 {
		if _, err := m.engine(s.height, s.width); err != nil {
			return nil, err
		}
	}
	if err := s.weights.Unchanged(ctx, env.Files); err != nil {
		return nil, err
	}
	return m, nil
}

// Close implements pipeline.Mapper.
func (m *mapper) Close() error {
	for _, e := range m.engines {
		e.Close()
	}
	return nil
}

// engine returns the compiled backbone for pictures of a size.
func (m *mapper) engine(height, width int) (*engine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	size := [2]int{height, width}
	if e := m.engines[size]; e != nil {
		return e, nil
	}
	e, err := m.stage.compile(height, width, m.threads)
	if err != nil {
		return nil, err
	}
	m.engines[size] = e
	return e, nil
}

// Map implements pipeline.Mapper.
func (m *mapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	pixels, err := picture.NewColumn(in)
	if err != nil {
		return pipeline.Mapped{}, fmt.Errorf("extract features: %w", err)
	}
	e, err := m.engine(pixels.Height, pixels.Width)
	if err != nil {
		return pipeline.Mapped{}, fmt.Errorf("extract features: %w", err)
	}
	features, reasons, err := e.run(ctx, pixels, m.stage.params.Batch, m.threads)
	if err != nil {
		return pipeline.Mapped{}, fmt.Errorf("extract features: %w", err)
	}
	return output(e, features, reasons), nil
}

// output is the column of the features, without the rows that have none.
func output(e *engine, features []float32, reasons []string) pipeline.Mapped {
	out := pipeline.Mapped{Rejects: map[int]string{}}
	size, kept := e.Shape().Size(), 0
	for i, reason := range reasons {
		if reason != "" {
			out.Rejects[i] = reason
			continue
		}
		copy(features[kept*size:(kept+1)*size], features[i*size:])
		kept++
	}
	features = features[:kept*size]
	field := record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, e.Shape()...)
	column := record.NewTensors(field.Type, arrow.Float32Traits.CastToBytes(features), kept)
	defer column.Release()
	schema := record.WithMetadata(arrow.NewSchema([]arrow.Field{field}, nil), record.ExtractionKey, e.made.Encode())
	out.Rows = array.NewRecord(schema, []arrow.Array{column}, int64(kept))
	return out
}

// engine is the backbone compiled for pictures of one size.
type engine struct {
	*features.Extractor
	made record.Extraction
}

// compile loads the weights and compiles the backbone up to the layer.
func (s *stage) compile(height, width, threads int) (*engine, error) {
	made, err := s.extraction(height, width)
	if err != nil {
		return nil, err
	}
	e, err := features.New(made, s.weights, height, width, threads)
	return &engine{e, made}, err
}

// run computes the features of all rows, and for each row why it has none, or "".
func (e *engine) run(ctx context.Context, in *picture.Column, batch, threads int) (features []float32, reasons []string, err error) {
	size := e.Shape().Size()
	features, reasons = make([]float32, in.Rows*size), make([]string, in.Rows)
	batches := (in.Rows + batch - 1) / batch
	each := max(threads/max(batches, 1), 1) // threads of a batch: one, unless there are fewer batches
	tasks := pool.New().WithErrors().WithMaxGoroutines(max(threads/each, 1))
	for from := 0; from < in.Rows; from += batch {
		to := min(from+batch, in.Rows)
		tasks.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			w := e.Take(batch, each)
			defer e.GiveBack(w)
			return e.batch(w, in, from, features[from*size:to*size], reasons[from:to])
		})
	}
	return features, reasons, tasks.Wait()
}

// batch computes the features of as many rows as there are reasons, beginning with from.
func (e *engine) batch(w *features.Worker, in *picture.Column, from int, features []float32, reasons []string) error {
	for i := range reasons {
		row := w.Input[i*in.Size() : (i+1)*in.Size()]
		if in.IsNull(from + i) {
			reasons[i] = "there is no picture"
			clear(row)
			continue
		}
		in.Read(row, from+i)
	}
	if err := w.Run(len(reasons), features); err != nil {
		return err
	}
	size := e.Shape().Size()
	for i := range reasons {
		if reasons[i] == "" && !finite(features[i*size:(i+1)*size]) {
			reasons[i] = "the features are not finite: the pixels are not, or the weights are no good"
		}
	}
	return nil
}

func finite(x []float32) bool {
	for _, v := range x {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return true
}

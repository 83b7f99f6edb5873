package predict

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/inference"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// mapper is the stage at work.
type mapper struct {
	stage   *stage
	model   *inference.Model
	head    record.Head
	schema  *arrow.Schema // of what is made
	threads int

	mu   sync.Mutex
	rows map[string]*inference.Rows // by the schema of the input: one, unless a caller mixes
}

func newMapper(s *stage, model *inference.Model, threads int) (*mapper, error) {
	m := &mapper{stage: s, model: model, head: model.Head(), threads: threads, rows: map[string]*inference.Rows{}}
	names := m.head.Names()
	var fields []arrow.Field
	switch m.head.Task {
	case record.Regression:
		fields = []arrow.Field{record.NumbersField(record.Predicted, names)}
	case record.MultiLabel:
		fields = []arrow.Field{record.ClassesField(record.Predicted), record.TensorField(record.Probabilities, arrow.PrimitiveTypes.Float32, len(names))}
	default:
		fields = []arrow.Field{
			{Name: record.Predicted, Type: arrow.BinaryTypes.String},
			{Name: record.Confidence, Type: arrow.PrimitiveTypes.Float32},
			record.TensorField(record.Probabilities, arrow.PrimitiveTypes.Float32, len(names)),
		}
	}
	m.schema = arrow.NewSchema(fields, nil)
	if m.head.Task != record.SingleLabel {
		text, err := m.head.Encode()
		if err != nil {
			return nil, err
		}
		m.schema = record.WithMetadata(m.schema, record.HeadKey, text)
	}
	if m.head.Task != record.Regression {
		classes, err := json.Marshal(names)
		if err != nil {
			return nil, err
		}
		m.schema = record.WithMetadata(m.schema, record.ClassesKey, string(classes))
	}
	return m, nil
}

// Close implements pipeline.Mapper.
func (m *mapper) Close() error {
	for _, r := range m.rows {
		r.Close()
	}
	return nil
}

// Map implements pipeline.Mapper.
func (m *mapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	rows, err := m.rowsOf(in.Schema())
	if err != nil {
		return pipeline.Mapped{}, fmt.Errorf("prepare the model: %w", err)
	}
	answers, reasons, err := rows.Run(ctx, in, m.threads)
	if err != nil {
		return pipeline.Mapped{}, fmt.Errorf("run the model: %w", err)
	}
	out := pipeline.Mapped{Rejects: map[int]string{}}
	b := array.NewRecordBuilder(memory.DefaultAllocator, m.schema)
	defer b.Release()
	names := len(m.head.Names())
	for i, reason := range reasons {
		if reason != "" {
			out.Rejects[i] = reason
			continue
		}
		m.append(b, answers[i*names:(i+1)*names])
	}
	out.Rows = b.NewRecord()
	return out, nil
}

func (m *mapper) rowsOf(schema *arrow.Schema) (*inference.Rows, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := schema.String()
	if r := m.rows[key]; r != nil {
		return r, nil
	}
	r, err := m.model.OnRows(schema, m.stage.path(m.stage.params.Weights))
	if err == nil {
		m.rows[key] = r
	}
	return r, err
}

// append appends a row's answer.
func (m *mapper) append(b *array.RecordBuilder, answer []float32) {
	switch m.head.Task {
	case record.Regression:
		list := b.Field(0).(*array.FixedSizeListBuilder)
		list.Append(true)
		for _, x := range answer {
			list.ValueBuilder().(*array.Float64Builder).Append(float64(x))
		}
		return
	case record.MultiLabel:
		list := b.Field(0).(*array.ListBuilder)
		list.Append(true)
		for k, x := range answer {
			if float64(x) >= m.stage.params.Threshold {
				list.ValueBuilder().(*array.StringBuilder).Append(m.head.Classes[k])
			}
		}
	default:
		best := metrics.MostProbable(answer)
		b.Field(0).(*array.StringBuilder).Append(m.head.Classes[best])
		b.Field(1).(*array.Float32Builder).Append(answer[best])
	}
	list := b.Field(len(b.Fields()) - 1).(*array.FixedSizeListBuilder)
	list.Append(true)
	list.ValueBuilder().(*array.Float32Builder).AppendValues(answer, nil)
}

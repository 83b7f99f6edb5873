package evaluate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// predictions writes what every candidate answers to every row: the plain columns
// of the data, then model, predicted and probabilities.
type predictions struct {
	schema  *arrow.Schema
	carried int // columns that come from the data
	classes []string
	writer  pipeline.Writer
}

// newPredictions opens the output. Its columns are those that any of the
// tables has; in rows of tables without them they are null.
func newPredictions(e *evaluation) (*predictions, error) {
	fields, err := e.carried(func(f arrow.Field) bool { return isScalar(f.Type) })
	if err != nil {
		return nil, err
	}
	p := &predictions{carried: len(fields), classes: e.classes}
	fields = append(fields,
		arrow.Field{Name: "model", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: record.Predicted, Type: arrow.BinaryTypes.String},
		record.TensorField(record.Probabilities, arrow.PrimitiveTypes.Float32, len(e.classes)))
	classes, err := json.Marshal(e.classes)
	if err != nil {
		return nil, err
	}
	p.schema = record.WithMetadata(arrow.NewSchema(fields, nil), record.ClassesKey, string(classes))
	p.writer, err = e.task.Output("predictions", p.schema)
	return p, err
}

// carried are the columns of the data that predictions keep, of those that pass.
func (e *evaluation) carried(passes func(arrow.Field) bool) (fields []arrow.Field, err error) {
	types := map[string]arrow.DataType{}
	for _, r := range e.candidates {
		for _, f := range r.table.schema.Fields() {
			if !passes(f) || slices.Contains([]string{record.Copy, record.Likeness, record.PictureWidth, record.PictureHeight, "model", record.Predicted}, f.Name) {
				continue
			}
			if known, ok := types[f.Name]; !ok {
				types[f.Name] = f.Type
				kept := arrow.Field{Name: f.Name, Type: f.Type, Nullable: true}
				if !isScalar(f.Type) {
					kept.Metadata = f.Metadata // the names of numbers
				}
				fields = append(fields, kept)
			} else if !arrow.TypeEqual(known, f.Type) {
				return nil, fmt.Errorf("column %q is %s in one data input and %s in %s", f.Name, known, f.Type, r.table.input.Name())
			}
		}
	}
	return fields, nil
}

// write appends a candidate's answers to some rows of a batch.
func (p *predictions) write(ctx context.Context, r *candidate, batch examples, probabilities []float32) error {
	n := len(batch.at)
	columns := make([]arrow.Array, p.schema.NumFields())
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	if err := p.carry(columns, batch); err != nil {
		return err
	}
	models := array.NewStringBuilder(memory.DefaultAllocator)
	defer models.Release()
	predicted := array.NewStringBuilder(memory.DefaultAllocator)
	defer predicted.Release()
	lists := array.NewBuilder(memory.DefaultAllocator, p.schema.Field(p.carried+2).Type).(*array.FixedSizeListBuilder)
	defer lists.Release()
	values := lists.ValueBuilder().(*array.Float32Builder)
	for row := range n {
		own := probabilities[row*len(p.classes) : (row+1)*len(p.classes)]
		models.Append(r.name)
		predicted.Append(p.classes[metrics.MostProbable(own)])
		lists.Append(true)
		values.AppendValues(own, nil)
	}
	columns[p.carried] = models.NewArray()
	columns[p.carried+1] = predicted.NewArray()
	columns[p.carried+2] = lists.NewArray()
	rec := array.NewRecord(p.schema, columns, int64(n))
	defer rec.Release()
	return p.writer.Write(rec)
}

// carry fills in the columns that come from the data.
func (p *predictions) carry(columns []arrow.Array, batch examples) error {
	for i, f := range p.schema.Fields()[:p.carried] {
		at := batch.rows.rec.Schema().FieldIndices(f.Name)
		if len(at) != 1 {
			columns[i] = array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, len(batch.at))
			continue
		}
		taken, err := record.Take(batch.rows.rec.Column(at[0]), batch.at)
		if err != nil {
			return fmt.Errorf("write predictions: column %q: %w", f.Name, err)
		}
		columns[i] = taken
	}
	return nil
}

func (p *predictions) close() error { return p.writer.Close() }

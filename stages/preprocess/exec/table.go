package exec

import (
	"context"
	"errors"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/pipeline"
)

// table is the stage in mode table.
type table struct{ *stage }

// Run implements pipeline.WholeTable.
func (s *table) Run(ctx context.Context, task *pipeline.Task) (err error) {
	in := task.Input("data")
	if len(s.Reads) > 0 {
		in = in.Select(s.Reads...)
	}
	schema, err := in.Schema(ctx)
	if err != nil {
		return err
	}
	if schema == nil {
		return errors.New("the data have no rows")
	}
	for _, name := range s.Reads {
		if !schema.HasField(name) {
			return pipeline.ParamError("reads", "the data have no column %q", name)
		}
	}
	made := s.schema()
	out, err := task.Output("rows", made)
	if err != nil {
		return err
	}
	p, err := s.command(max(task.Threads, 1)).Start()
	if err != nil {
		return err
	}
	sent, total := int64(0), in.Rows()
	question := func(yield func(arrow.Record, error) bool) {
		for rec, err := range in.Batches(ctx) {
			if !yield(rec, err) {
				return
			}
			if rec != nil {
				sent += rec.NumRows()
				task.Progress(sent, total, "row sent")
			}
		}
	}
	err = p.Answer(ctx, schema, iter.Seq2[arrow.Record, error](question), func(rec arrow.Record) error {
		columns, err := s.conformed(rec)
		if err != nil {
			return p.Failed(err.Error())
		}
		conformed := array.NewRecord(made, columns, rec.NumRows())
		defer conformed.Release()
		for _, c := range columns {
			c.Release()
		}
		return out.Write(conformed)
	})
	if ended := p.End(patience); err == nil {
		err = ended
	}
	return errors.Join(err, out.Close())
}

package adapt

import (
	"context"
	"errors"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/pipeline"
)

// write writes all outputs of the stage.
func (r *run) write(ctx context.Context) error {
	measured, points, err := r.shift(ctx)
	if err != nil {
		return err
	}
	var history []record.LossTerm
	for _, c := range r.trials {
		history = append(history, c.terms...)
	}
	model, direct := *r.chosen.model, *r.baseline.model // they may be one
	if err := transfer.Refer(ctx, r.task.Threads, &model, &r.rows.Reserve, identity(r.rows.Reserve.Rows())); err != nil {
		return err
	}
	if err := transfer.Refer(ctx, r.task.Threads, &direct, &r.rows.Validation, r.positionsOf(objective.SourceDomain)); err != nil {
		return err
	}
	return errors.Join(
		writeModel(r.task, "model", &model),
		writeModel(r.task, "direct", &direct),
		r.task.WriteRecord("history", record.FromRows(history)),
		r.task.WriteRecord("shift", record.FromRows(measured)),
		r.task.WriteRecord("selection", record.FromRows(r.selection)),
		r.task.WriteRecord("maps", record.FromRows(points)),
		r.task.WriteRecord("changes", record.FromRows(r.changes())),
		r.task.WriteRecord("diagnostics", record.FromRows(r.diagnostics)),
	)
}

func writeModel(task *pipeline.Task, port string, c *classifier.Classifier) error {
	rec, err := c.Record()
	if err != nil {
		return err
	}
	return task.WriteRecord(port, rec)
}

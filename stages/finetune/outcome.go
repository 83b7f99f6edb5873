package finetune

import (
	"errors"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/pipeline"
)

// write writes all outputs of the stage.
func write(task *pipeline.Task, o *transfer.Outcome) error {
	for _, output := range []struct {
		port string
		of   *classifier.Classifier
	}{{transfer.ModelPort, o.Model}, {"last", o.Last}, {twinsPort, o.Twins}} {
		var model record.Model
		if output.of != nil {
			var err error
			if model, err = output.of.Model(); err != nil {
				return err
			}
		}
		rec, err := model.Record()
		if err != nil {
			return err
		}
		if err := task.WriteRecord(output.port, rec); err != nil {
			return err
		}
	}
	return errors.Join(
		task.WriteRecord("history", record.FromRows(o.History)),
		task.WriteRecord("tasks", record.FromRows(o.Measures)),
		task.WriteRecord("phases", record.FromRows(o.Phases)),
		task.WriteRecord("diagnostics", record.FromRows(o.Diagnostics)),
	)
}

package finetune

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"
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
	}{{transfer.ModelPort, o.Model}, {"last", o.Last}} {
		model, err := output.of.Model()
		if err != nil {
			return err
		}
		rec, err := model.Record()
		if err != nil {
			return err
		}
		if err := writeRecord(task, output.port, rec); err != nil {
			return err
		}
	}
	return errors.Join(
		writeRecord(task, "history", record.FromRows(o.History)),
		writeRecord(task, "phases", record.FromRows(o.Phases)),
		writeRecord(task, "diagnostics", record.FromRows(o.Diagnostics)),
	)
}

// writeRecord writes one record to an output, and releases it.
func writeRecord(task *pipeline.Task, port string, rec arrow.Record) error {
	defer rec.Release()
	w, err := task.Output(port, rec.Schema())
	if err != nil {
		return err
	}
	return errors.Join(w.Write(rec), w.Close())
}

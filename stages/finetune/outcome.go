package finetune

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// write writes all outputs of the stage.
func (t *training) write(signs []record.TransferSign) error {
	for _, output := range []struct {
		port    string
		weights nn.Weights
	}{{modelPort, t.weights}, {"last", t.last}} {
		c := classifier.Classifier{Network: t.net, Weights: output.weights, Classes: t.data.classes, Metadata: t.data.metadata}
		model, err := c.Model()
		if err != nil {
			return err
		}
		rec, err := model.Record()
		if err != nil {
			return err
		}
		if err := write(t.task, output.port, rec); err != nil {
			return err
		}
	}
	return errors.Join(
		write(t.task, "history", record.FromRows(t.history)),
		write(t.task, "phases", record.FromRows(t.layers)),
		write(t.task, "signs", record.FromRows(signs)),
	)
}

// write writes one record to an output, and releases it.
func write(task *pipeline.Task, port string, rec arrow.Record) error {
	defer rec.Release()
	w, err := task.Output(port, rec.Schema())
	if err != nil {
		return err
	}
	return errors.Join(w.Write(rec), w.Close())
}

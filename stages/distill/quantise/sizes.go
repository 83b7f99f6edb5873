package quantise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/tlpipe/tlpipe/internal/metrics"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/prune"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
)

// openMeasured opens the rows on which a model with weights of two bytes is measured. It can do without: where there are none, or none
// that the model can be measured on, that is told.
func (q *work) openMeasured(ctx context.Context) (err error) {
	in, head := q.task.Input(dataPort), q.model.Head()
	if in == nil || head.Task != record.SingleLabel {
		return nil
	}
	skip := func(format string, args ...any) error {
		q.task.Log("accuracy is not measured: "+format, args...)
		return nil
	}
	schema, err := in.Schema(ctx)
	if err != nil {
		return err
	}
	if schema == nil {
		return skip("the data has no rows")
	}
	target := record.TargetOf(schema, head.Name)
	if _, field, err := record.Column(schema, target); err != nil {
		return skip("%v", err)
	} else if task, err := record.TargetTask(field); err != nil || task != record.SingleLabel {
		return skip("column %q of the data does not hold one class a row", target)
	}
	labelled := map[string]int{}
	for rec, err := range in.Select(record.ID, record.Split, target).Batches(ctx) {
		if err != nil {
			return err
		}
		view, err := record.NewTargetColumn(rec, target)
		if err != nil {
			return err
		}
		roles, err := record.NewRoles(rec)
		if err != nil {
			return err
		}
		for i := range int(rec.NumRows()) {
			if view.Known(i) {
				labelled[strings.Clone(roles.Split(i))]++
			}
		}
	}
	if labelled[record.Validation] == 0 || labelled[record.Train] == 0 {
		return skip("the data has %d labelled rows of split train and %d of split val, and both are needed", labelled[record.Train], labelled[record.Validation])
	}
	d, err := rows.Read(ctx, in, schema, head.Name, rows.Options{})
	if err != nil {
		return err
	}
	if err := d.Renumber(head); err != nil {
		return errors.Join(skip("%v", err), d.Close())
	}
	if n := d.Shape.Size(); n != q.size {
		return errors.Join(skip("the model takes %d numbers a row, and those of the data have %d", q.size, n), d.Close())
	}
	q.data = d
	return nil
}

// sizeOf counts the weights of a model as they are stored. Nothing is measured yet.
func sizeOf(c *classifier.Classifier) (record.ModelSize, error) {
	nan := math.NaN()
	out := record.ModelSize{
		MultiplyAdds: c.Network.MultiplyAdds(), Nonzero: prune.Nonzero(c.Network, c.Weights),
		Accuracy: nan, Low: nan, High: nan, Agreement: nan, AgreementLow: nan, AgreementHigh: nan,
	}
	out.Parameters, _ = c.Network.ParameterCount()
	model, err := c.Model()
	if err != nil {
		return out, fmt.Errorf("count the bytes of a model: %w", err)
	}
	for _, t := range model.Tensors {
		out.Bytes += t.StoredBytes()
	}
	return out, nil
}

// sizeRows are the model before and after, on the rows of the gate.
func (q *work) sizeRows() ([]record.ModelSize, error) {
	small, err := sizeOf(q.model)
	if err != nil {
		return nil, err
	}
	small.Model, small.Role = record.RoleQuantised+string(q.Type), record.RoleQuantised+string(q.Type)
	out := []record.ModelSize{q.given, small}
	if q.data == nil || q.model.Head().Task != record.SingleLabel || q.data.Validation.Rows() == 0 {
		return out, nil
	}
	n := q.data.Validation.Rows()
	for i, answers := range [][]float32{q.before, q.after} {
		width := len(answers) / n
		var right, alike float64
		for row := range n {
			class := greatest(answers[row*width : (row+1)*width])
			if class == q.data.Validation.Classes[row] {
				right++
			}
			if class == greatest(q.before[row*width:(row+1)*width]) {
				alike++
			}
		}
		o := &out[i]
		o.Rows, o.Accuracy, o.Agreement = int64(n), right/float64(n), alike/float64(n)
		interval := metrics.Wilson(right, float64(n))
		o.Low, o.High = interval.Low, interval.High
		interval = metrics.Wilson(alike, float64(n))
		o.AgreementLow, o.AgreementHigh = interval.Low, interval.High
	}
	if q.Type != Int8 {
		was, is := out[0], out[1]
		q.task.Log("size %.3g of %.3g MB in float32; on %d validation rows accuracy %.1f %% → %.1f %% (%.1f to %.1f), %.1f %% of the predictions unchanged",
			float64(is.Bytes)/1e6, float64(was.Bytes)/1e6, n, 100*was.Accuracy, 100*is.Accuracy, 100*is.Low, 100*is.High, 100*is.Agreement)
	}
	return out, nil
}

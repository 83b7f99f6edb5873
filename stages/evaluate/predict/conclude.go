package predict

import (
	"context"
	"errors"

	"github.com/tlpipe/tlpipe/internal/domain/drift"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Conclude implements pipeline.Concluding: it warns if the answers are unlike those to the rows that the model was validated
// on. Rows of split train are left out, whose answers are surer if the model learned from them.
func (s *stage) Conclude(ctx context.Context, env *pipeline.Env, side map[string][]pipeline.Input, output pipeline.Input) error {
	d, err := s.description(ctx, side)
	if err != nil || d == nil || d.Reference == nil || len(d.Heads) != 1 || d.Heads[0].Task == record.Regression {
		return err
	}
	head := d.Heads[0]
	var batch []uint16
	for rec, err := range output.Batches(ctx) {
		if err != nil {
			return err
		}
		roles, err := record.NewRoles(rec)
		if err != nil {
			return err
		}
		answers, err := record.TensorColumn(rec, record.Probabilities)
		if err != nil {
			return err
		}
		var row []float32
		for i := range int(rec.NumRows()) {
			if roles.Split(i) == record.Train {
				continue
			}
			row = answers.AppendFloats(row[:0], i)
			batch = drift.Profile(batch, row)
		}
	}
	finding, ok, err := drift.Compare(d.Reference, batch)
	if err != nil {
		return err
	}
	if ok && finding.Shifted() {
		env.Log("warning: %s", finding.InWords(head.Names()))
	}
	return nil
}

// description is what the model says of itself; nil if it says nothing.
func (s *stage) description(ctx context.Context, side map[string][]pipeline.Input) (*record.Description, error) {
	if s.stored != nil {
		return &s.stored.Description, nil
	}
	if len(side["model"]) == 0 {
		return nil, errors.New("there is no model")
	}
	schema, err := side["model"][0].Schema(ctx)
	if err != nil || schema == nil {
		return nil, err
	}
	text, ok := schema.Metadata().GetValue(record.DescriptionKey)
	if !ok {
		return nil, nil
	}
	d, err := record.ParseDescription(text)
	return &d, err
}

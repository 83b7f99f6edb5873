package transfer

import (
	"context"
	"errors"

	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Kind is the plainest kind of stage that trains, to run trainings in tests: parameters, ports and outputs are those of
// finetune.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name: "finetune", Version: 1, Seeded: true,
		Inputs: []pipeline.Port{
			{Name: DataPort, Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images}},
			{Name: ModelPort, Kind: pipeline.Model, Optional: true},
			{Name: SourcePort, Kind: pipeline.Images, Optional: true},
		},
		Outputs: []pipeline.Port{
			{Name: ModelPort, Kind: pipeline.Model}, {Name: "last", Kind: pipeline.Model}, {Name: "history", Kind: pipeline.Metrics},
			{Name: "phases", Kind: pipeline.Metrics}, {Name: "diagnostics", Kind: pipeline.Metrics},
		},
	}, Defaults(), func(p Params) (pipeline.Stage, error) {
		s, err := New(p)
		if err != nil {
			return nil, err
		}
		return &stage{s}, nil
	})
}

type stage struct{ *Setup }

func (s *stage) Run(ctx context.Context, task *pipeline.Task) error {
	o, err := s.Train(ctx, task)
	if err != nil {
		return err
	}
	for port, c := range map[string]*classifier.Classifier{ModelPort: o.Model, "last": o.Last} {
		rec, err := c.Record()
		if err != nil {
			return err
		}
		if err := task.WriteRecord(port, rec); err != nil {
			return err
		}
	}
	return errors.Join(
		task.WriteRecord("history", record.FromRows(o.History)),
		task.WriteRecord("phases", record.FromRows(o.Phases)),
		task.WriteRecord("diagnostics", record.FromRows(o.Diagnostics)),
	)
}

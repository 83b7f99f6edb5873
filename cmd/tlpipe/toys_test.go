package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/stages/preprocess/exec"
)

// toys are kinds of stage that take no time, or as much as they are told, and
// fail when they are told.
func toys() []pipeline.Kind {
	numbers := []pipeline.Port{{Name: "numbers", Kind: pipeline.Features, Doc: "numbers"}}
	many := []pipeline.Port{{Name: "numbers", Kind: pipeline.Features, Many: true, Doc: "numbers"}}
	scores := []pipeline.Port{{Name: "metrics", Kind: pipeline.Metrics, Doc: "their mean"}}
	return []pipeline.Kind{
		pipeline.Define(pipeline.Kind{
			Name: "count", Summary: "the numbers from 1 on", Version: 1, Outputs: numbers,
			Doc: "Counts.", Example: "rows:\n  uses: count\n  with: {rows: 100}\n",
		}, countParams{Rows: 10}, func(p countParams) (pipeline.Stage, error) { return count{p}, nil }),
		exec.Kind(),
		pipeline.Define(pipeline.Kind{
			Name: "scale", Summary: "multiplies", Version: 1, Inputs: numbers, Outputs: numbers,
			Example: "double:\n  uses: scale\n  from: rows\n  with: {by: 2}\n",
		}, scaleParams{By: 1}, func(p scaleParams) (pipeline.Stage, error) { return scale{p}, nil }),
		pipeline.Define(pipeline.Kind{
			Name: "measure", Summary: "takes the mean for an accuracy", Version: 1, Seeded: true, Inputs: many, Outputs: scores,
			Example: "scores:\n  uses: measure\n  from: rows\n",
		}, measureParams{Steps: 1}, func(p measureParams) (pipeline.Stage, error) { return measure{p}, nil }),
	}
}

var numberSchema = arrow.NewSchema([]arrow.Field{
	{Name: record.ID, Type: arrow.BinaryTypes.String},
	{Name: "n", Type: arrow.PrimitiveTypes.Int64},
	record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, 2),
}, nil)

func numberTable(rows []int64) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, numberSchema)
	defer b.Release()
	for _, n := range rows {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("row-%06d", n))
		b.Field(1).(*array.Int64Builder).Append(n)
		list := b.Field(2).(*array.FixedSizeListBuilder)
		list.Append(true)
		list.ValueBuilder().(*array.Float32Builder).AppendValues([]float32{float32(n), -float32(n)}, nil)
	}
	return b.NewRecord()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

type countParams struct {
	Rows int `yaml:"rows" min:"1" doc:"how far to count"`
	Bad  int `yaml:"bad" min:"0" doc:"reject every bad-th number; 0 for none"`
}

type count struct{ p countParams }

func (count) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) { return nil, nil }

func (s count) List(context.Context, *pipeline.Env) (pipeline.Listing, error) {
	rows := make([]int64, s.p.Rows)
	for i := range rows {
		rows[i] = int64(i + 1)
	}
	return pipeline.Listing{Rows: numberTable(rows)}, nil
}

func (count) Columns(in *arrow.Schema) (pipeline.Columns, error) { return pipeline.ReadsAll(in), nil }

func (s count) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	return mapper(func(_ context.Context, n int64) (int64, error) {
		if s.p.Bad > 0 && n%int64(s.p.Bad) == 0 {
			return 0, fmt.Errorf("%d is divisible by %d", n, s.p.Bad)
		}
		return n, nil
	}), nil
}

type scaleParams struct {
	By    int           `yaml:"by" min:"1" max:"1000" doc:"the factor"`
	Delay time.Duration `yaml:"delay" recipe:"-" doc:"how long each row takes"`
}

type scale struct{ p scaleParams }

func (scale) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) { return nil, nil }

func (scale) Columns(in *arrow.Schema) (pipeline.Columns, error) { return pipeline.ReadsAll(in), nil }

func (s scale) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	return mapper(func(ctx context.Context, n int64) (int64, error) {
		if s.p.Delay > 0 {
			if err := sleep(ctx, s.p.Delay); err != nil {
				return 0, err
			}
		}
		return n * int64(s.p.By), nil
	}), nil
}

// mapper maps numbers one by one; those that give an error are rejected,
// unless the run is over.
type mapper func(ctx context.Context, n int64) (int64, error)

func (m mapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	var rows []int64
	rejects := map[int]string{}
	for i, n := range in.Column(1).(*array.Int64).Int64Values() {
		made, err := m(ctx, n)
		switch {
		case ctx.Err() != nil:
			return pipeline.Mapped{}, ctx.Err()
		case err != nil:
			rejects[i] = err.Error()
		default:
			rows = append(rows, made)
		}
	}
	return pipeline.Mapped{Rows: numberTable(rows), Rejects: rejects}, nil
}

func (mapper) Close() error { return nil }

type measureParams struct {
	Steps int           `yaml:"steps" min:"1" doc:"how many steps to take"`
	Delay time.Duration `yaml:"delay" recipe:"-" doc:"how long each step takes"`
	Fail  bool          `yaml:"fail" doc:"fail in the end"`
	Deaf  bool          `yaml:"deaf" doc:"go on though the run is to end"`
}

type measure struct{ p measureParams }

func (measure) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}

func (s measure) Run(ctx context.Context, task *pipeline.Task) error {
	for i := range s.p.Steps {
		if s.p.Deaf {
			time.Sleep(s.p.Delay)
		} else if err := sleep(ctx, s.p.Delay); err != nil {
			return err
		}
		task.Progress(int64(i+1), int64(s.p.Steps), "step")
	}
	if s.p.Fail {
		return errors.New("asked to fail")
	}
	out, err := task.Output("metrics", record.RowsSchema[record.Metric]())
	if err != nil {
		return err
	}
	var table []record.Metric
	for _, in := range task.Inputs["numbers"] {
		var sum, rows int64
		for rec, err := range in.Batches(ctx) {
			if err != nil {
				return err
			}
			for _, n := range rec.Column(1).(*array.Int64).Int64Values() {
				sum += n
				rows++
			}
		}
		mean := float64(sum) / float64(rows) / 1000
		table = append(table, record.Metric{
			Model: in.Name(), Role: record.ModelRole, Metric: record.Accuracy,
			Value: mean, Low: mean - 0.01, High: math.NaN(), Rows: rows,
		})
		table[len(table)-1].High = mean + 0.01
	}
	rec := record.FromRows(table)
	defer rec.Release()
	if err := out.Write(rec); err != nil {
		return err
	}
	return out.Close()
}

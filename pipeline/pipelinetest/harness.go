// Package pipelinetest runs one stage in a test, without a pipeline or a cache:
// it decodes parameters, checks, lists, maps and runs with records in memory.
package pipelinetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Stage makes a stage of the kind from the YAML of its `with`, and fails the
// test if that is refused.
func Stage(t testing.TB, kind pipeline.Kind, with string) pipeline.Stage {
	t.Helper()
	stage, err := TryStage(kind, with)
	if err != nil {
		t.Fatalf("stage %s with %q: %v", kind.Name, with, err)
	}
	return stage
}

// TryStage is Stage for parameters that may be refused. It also checks that
// the declaration holds together: a JSON Schema and a canonical form exist.
func TryStage(kind pipeline.Kind, with string) (pipeline.Stage, error) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(with), &node); err != nil {
		return nil, err
	}
	target := reflect.New(reflect.TypeOf(kind.Params))
	target.Elem().Set(reflect.ValueOf(kind.Params))
	var errs []error
	for _, e := range params.Decode(&node, target.Interface()) {
		errs = append(errs, e)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	params.JSONSchema(kind.Params)
	params.Canonical(target.Elem().Interface())
	return kind.New(target.Elem().Interface())
}

// Env is an environment for a test: files are hashed anew each time, there is
// no progress, and log lines go to the test's log.
func Env(t testing.TB) *pipeline.Env {
	return &pipeline.Env{
		Seed: 1, Threads: 2, Dir: t.TempDir(),
		Files:          plainFiles{},
		Checkpoint:     &MemoryCheckpoint{},
		Progress:       func(int64, int64, string) {},
		ProgressWithin: func(int64, int64, string, int64, int64, string) {},
		Log:            func(format string, args ...any) { t.Logf(format, args...) },
	}
}

// Mapped is what a row-wise stage made of a chunk: its whole result, with the
// columns that are passed on.
type Mapped struct {
	Rows    arrow.Record // nil if there is no row
	Rejects []pipeline.Reject
}

// Map opens a row-wise stage and maps the records, one chunk each.
func Map(t testing.TB, env *pipeline.Env, stage pipeline.Stage, side map[string][]pipeline.Input, chunks ...arrow.Record) []Mapped {
	t.Helper()
	ctx := context.Background()
	mapper, err := stage.(pipeline.RowWise).Open(ctx, env, side)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer func() {
		if err := mapper.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	out := make([]Mapped, len(chunks))
	for i, rec := range chunks {
		if out[i], err = MapRecord(ctx, stage.(pipeline.RowWise), mapper, rec); err != nil {
			t.Fatalf("map chunk %d: %v", i, err)
		}
	}
	return out
}

// MapRecord gives the whole result of a record, without a cache.
func MapRecord(ctx context.Context, stage pipeline.RowWise, mapper pipeline.Mapper, rec arrow.Record) (Mapped, error) {
	rows, rejects, err := pipeline.MapRecord(ctx, stage, mapper, rec)
	return Mapped{rows, rejects}, err
}

// Run runs a whole-table stage and returns what it wrote to each port. It
// fails the test if an output was opened or closed other than once.
func Run(ctx context.Context, t testing.TB, env *pipeline.Env, stage pipeline.Stage, kind pipeline.Kind, inputs map[string][]pipeline.Input) (map[string]*Table, error) {
	t.Helper()
	outputs := map[string]*Table{}
	task := task(env, inputs, outputs)
	if _, numeric := stage.(pipeline.Numeric); numeric {
		ask := task.Part
		task.Part = func(ctx context.Context, part pipeline.Part, compute func(context.Context, *pipeline.Task) error) (map[string]pipeline.Input, error) {
			if part.Numerics == "" {
				t.Errorf("part %q does not say its numerics, as the stage does", part.Name)
			}
			return ask(ctx, part, compute)
		}
	}
	open := task.Output
	task.Output = func(port string, schema *arrow.Schema) (pipeline.Writer, error) {
		if _, declared := kind.Output(port); !declared {
			return nil, fmt.Errorf("no output port %q", port)
		}
		return open(port, schema)
	}
	if err := stage.(pipeline.WholeTable).Run(ctx, task); err != nil {
		return nil, err
	}
	for _, port := range kind.Outputs {
		if table := outputs[port.Name]; table == nil || !table.closed {
			t.Errorf("output port %q was not opened and closed", port.Name)
		}
	}
	return outputs, nil
}

// Task makes a task of some inputs for a test, whose outputs go nowhere.
func Task(env *pipeline.Env, inputs map[string][]pipeline.Input) *pipeline.Task {
	return task(env, inputs, map[string]*Table{})
}

// task makes a task that writes to outputs and computes every part that is
// asked for.
func task(env *pipeline.Env, inputs map[string][]pipeline.Input, outputs map[string]*Table) *pipeline.Task {
	return &pipeline.Task{
		Env: env, Inputs: inputs,
		Output: func(port string, schema *arrow.Schema) (pipeline.Writer, error) {
			if outputs[port] != nil {
				return nil, fmt.Errorf("output port %q opened twice", port)
			}
			outputs[port] = &Table{name: port, schema: schema}
			return outputs[port], nil
		},
		Part: func(ctx context.Context, part pipeline.Part, compute func(context.Context, *pipeline.Task) error) (map[string]pipeline.Input, error) {
			params.Canonical(part.Recipe) // it must have one
			own := *env
			own.Checkpoint = partCheckpoint(env.Checkpoint, part)
			of := map[string][]pipeline.Input{}
			for port, in := range part.Inputs {
				of[port] = []pipeline.Input{in}
			}
			written := map[string]*Table{}
			if err := compute(ctx, task(&own, of, written)); err != nil {
				return nil, fmt.Errorf("%s: %w", part.Name, err)
			}
			results := map[string]pipeline.Input{}
			for name, table := range written {
				if !table.closed {
					return nil, fmt.Errorf("part %s: output %q was not closed", part.Name, name)
				}
				results[name] = table
			}
			return results, nil
		},
	}
}

// Table is an artifact in memory: an output that was written, or an input.
type Table struct {
	name        string
	coordinates pipeline.Coordinates
	schema      *arrow.Schema
	records     []arrow.Record
	closed      bool
}

// NewTable makes an input of records; they are retained.
func NewTable(name string, coordinates pipeline.Coordinates, records ...arrow.Record) *Table {
	t := &Table{name: name, coordinates: coordinates, records: records, closed: true}
	for _, r := range records {
		r.Retain()
		t.schema = r.Schema()
	}
	return t
}

// Records are the batches written.
func (t *Table) Records() []arrow.Record { return t.records }

// Name implements pipeline.Input.
func (t *Table) Name() string { return t.name }

// Coordinates implements pipeline.Input.
func (t *Table) Coordinates() pipeline.Coordinates { return t.coordinates }

// Rows implements pipeline.Input.
func (t *Table) Rows() (n int64) {
	for _, r := range t.records {
		n += r.NumRows()
	}
	return n
}

// Schema implements pipeline.Input.
func (t *Table) Schema(context.Context) (*arrow.Schema, error) { return t.schema, nil }

// Digest implements pipeline.Input: of the bytes the table would rest as.
func (t *Table) Digest() string {
	hash := sha256.New()
	w, err := record.NewWriter(hash, t.schema)
	if err != nil {
		panic(err)
	}
	for _, r := range t.records {
		if err := w.Write(r); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Batches implements pipeline.Input.
func (t *Table) Batches(ctx context.Context) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		for _, r := range t.records {
			if ctx.Err() != nil {
				yield(nil, ctx.Err())
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Chunks implements pipeline.Input: each record is one.
func (t *Table) Chunks() []pipeline.Input {
	out := make([]pipeline.Input, len(t.records))
	for i, r := range t.records {
		out[i] = NewTable(t.name, t.coordinates, r)
	}
	return out
}

// Select implements pipeline.Input.
func (t *Table) Select(columns ...string) pipeline.Input {
	out := &Table{name: t.name, coordinates: t.coordinates, closed: true}
	narrow := func(s *arrow.Schema) *arrow.Schema {
		var fields []arrow.Field
		for _, f := range s.Fields() {
			if slices.Contains(columns, f.Name) {
				fields = append(fields, f)
			}
		}
		m := s.Metadata()
		return arrow.NewSchema(fields, &m)
	}
	if t.schema != nil {
		out.schema = narrow(t.schema)
	}
	for _, r := range t.records {
		var arrays []arrow.Array
		for i, f := range r.Schema().Fields() {
			if slices.Contains(columns, f.Name) {
				arrays = append(arrays, r.Column(i))
			}
		}
		out.records = append(out.records, array.NewRecord(narrow(r.Schema()), arrays, r.NumRows()))
	}
	return out
}

// Open implements pipeline.Input.
func (t *Table) Open(context.Context) (*pipeline.Table, error) {
	return pipeline.NewTable(t.records...), nil
}

// Write implements pipeline.Writer.
func (t *Table) Write(rec arrow.Record) error {
	if t.closed {
		return errors.New("write after close")
	}
	if !rec.Schema().Equal(t.schema) {
		return fmt.Errorf("schema of the batch %v is not the output's %v", rec.Schema(), t.schema)
	}
	rec.Retain()
	t.records = append(t.records, rec)
	return nil
}

// Close implements pipeline.Writer.
func (t *Table) Close() error {
	if t.closed {
		return errors.New("closed twice")
	}
	t.closed = true
	return nil
}

// MemoryCheckpoint keeps the state of a task in memory. Set AfterSave to stop
// a task at a chosen point, as a kill would.
type MemoryCheckpoint struct {
	State     []byte // of the task; its parts begin with it too
	Saves     int    // of this and of the parts' checkpoints
	AfterSave func(saves int) error

	parts map[string]*MemoryCheckpoint
	whole *MemoryCheckpoint // of a part's: that of the task
}

// partCheckpoint is the checkpoint of a part, which another run of the task
// with the same checkpoint finds again.
func partCheckpoint(whole pipeline.Checkpoint, part pipeline.Part) pipeline.Checkpoint {
	c, ok := whole.(*MemoryCheckpoint)
	if !ok {
		return whole
	}
	key := fmt.Sprint(part.Name, params.Canonical(part.Recipe))
	for _, port := range slices.Sorted(maps.Keys(part.Inputs)) {
		key += port + part.Inputs[port].Digest()
	}
	if c.parts == nil {
		c.parts = map[string]*MemoryCheckpoint{}
	}
	if c.parts[key] == nil {
		c.parts[key] = &MemoryCheckpoint{State: c.State, whole: c}
	}
	return c.parts[key]
}

// Load implements pipeline.Checkpoint.
func (c *MemoryCheckpoint) Load() ([]byte, bool, error) { return c.State, c.State != nil, nil }

// Save implements pipeline.Checkpoint.
func (c *MemoryCheckpoint) Save(state []byte) error {
	c.State = append([]byte(nil), state...)
	for c.whole != nil {
		c = c.whole
	}
	c.Saves++
	if c.AfterSave != nil {
		return c.AfterSave(c.Saves)
	}
	return nil
}

type plainFiles struct{}

func (plainFiles) Digest(_ context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func (plainFiles) Derived(_ context.Context, _, _ string, compute func() ([]byte, error)) ([]byte, error) {
	return compute()
}

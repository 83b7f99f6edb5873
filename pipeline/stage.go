package pipeline

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Stage is a kind with its parameters filled in: what a node of the graph
// does. Every stage is also a [RowWise] or a [WholeTable].
type Stage interface {
	// Check is called before anything runs, with the traits of each connected
	// input (several for a Many port), and returns the traits of each output.
	// It refuses what can already be known to fail: pixels prepared for
	// another backbone, a missing weight file. It reads no artifact.
	Check(inputs map[string][]Traits) (outputs map[string]Traits, err error)
}

// Identified is implemented by stages whose result depends on more than their
// parameters: the digest of a weight file, the version of a decoder.
type Identified interface {
	// Identity returns named facts that become part of the recipe. It is
	// called after Check and must be quick: `plan` calls it too.
	Identity() (map[string]string, error)
}

// Numeric is implemented by stages that compute with floating-point numbers in
// ways whose last bits depend on the machine.
type Numeric interface {
	// Numerics names what decides these bits: instructions and the revision of
	// what is computed with them, such as "avx512 1". It is called after Check
	// and becomes part of the recipe, so that a cache that moves to another
	// machine gives no results that this one would not.
	Numerics() string
}

// Noted is implemented by stages that know of something that a user should be
// told before they run: what is computed in the place of what was asked for.
type Noted interface {
	// Notes returns lines for people. It is called after Check, must be quick,
	// and has no part in the recipe.
	Notes() []string
}

// Probing is implemented by stages whose parameters name files or folders that must be there when it runs.
type Probing interface {
	// Probe looks for them, and reads no more than the headers of tables. It is called after Check; its errors are those of parameters.
	Probe() error
}

// Located is implemented by stages whose parameters name files.
type Located interface {
	// Locate tells where relative paths start: the pipeline file's folder. It
	// is called once, before Check.
	Locate(dir string)
}

// Connected is implemented by stages for which it matters which outputs are connected, not just what these are.
type Connected interface {
	// Connect is called once, before Check, with the outputs at each port, in order. An error refuses the pipeline.
	Connect(inputs map[string][]NodeOutput) error
}

// NodeOutput is an output of a node.
type NodeOutput struct {
	Node string // such as "features[weights=random]"
	Port string
}

// RowWise is a stage whose every output row depends on one input row alone.
// The runner cuts the input into chunks, maps them in parallel, streams them
// to the next stage and caches each, and within each every row.
type RowWise interface {
	Stage
	// Columns tells which columns of an input of that schema are read, and
	// what becomes of the others.
	Columns(in *arrow.Schema) (Columns, error)
	// Open prepares the mapping: it loads weights and allocates buffers. It is
	// called once a run, and only if some chunk has to be computed. Inputs
	// after the first come whole, by port.
	Open(ctx context.Context, env *Env, side map[string][]Input) (Mapper, error)
}

// Mapper maps chunks. Map may be called from several goroutines at once.
type Mapper interface {
	// Map returns what is made of the input rows, in order: a row may give
	// none, one or several. The input has the columns that the stage reads, the
	// output those that it makes. The input is released by the caller, the
	// output too. Rows that cannot be mapped are rejects, not errors; an error
	// stops the stage. The bytes must not depend on which rows come together.
	Map(ctx context.Context, in arrow.Record) (Mapped, error)
	// Close frees what Open took.
	Close() error
}

// Concluding is implemented by row-wise stages that have something to say of all of their rows together, such as a warning.
type Concluding interface {
	// Conclude is called when all chunks of the first output are there, computed or from the cache, and logs by env. side are the
	// inputs after the first. It has no part in the result.
	Conclude(ctx context.Context, env *Env, side map[string][]Input, output Input) error
}

// Mapped is what was made of some rows.
type Mapped struct {
	// Rows are the columns made; nil if there is no row. The metadata of their schema replace those of the input, key by key; a key
	// with the value "" takes the input's away.
	Rows    arrow.Record
	Counts  []int32        // how many rows were made of each input row; nil: one, or none if it is rejected
	Rejects map[int]string // by input row, why it could not be used: one line for people
}

// Reject is a row that could not be used, and why. The reason is one line
// for people.
type Reject struct {
	ID     string
	Reason string
}

// Source is a row-wise stage with no input: it lists its rows, and the runner
// cuts the listing into chunks and maps them like any other.
type Source interface {
	RowWise
	// List enumerates the rows. It is called on every run and every plan, so
	// it must be quick when nothing changed: use env.Files for digests.
	List(ctx context.Context, env *Env) (Listing, error)
}

// Listing is the table of a source's rows before they are read: an `id`
// column (utf8, unique) and whatever Map needs. Rows are in a stable order,
// by id within a source. Columns whose field metadata has LocationColumn say
// where the row is found, not what it is (a path): they enter no key, Map is
// given them, and the result has them not. A digest column that the stage
// reads stands for the content.
type Listing struct {
	Rows     arrow.Record
	Rejects  []Reject
	Overview *Overview // nil if there is nothing to tell
}

// LocationColumn is the key of the field metadata (value "true") that keeps a
// column of a [Listing] out of the cache keys.
const LocationColumn = "tlpipe.location"

// WholeTable is a stage that sees its inputs as a whole: training,
// evaluation.
type WholeTable interface {
	Stage
	// Run reads the task's inputs and writes all of its outputs. It must
	// return soon after ctx ends. The bytes written depend on the inputs, the
	// parameters and the seed alone.
	Run(ctx context.Context, task *Task) error
}

// PartsPlanner is implemented by whole-table stages that know which parts they
// will ask for, before they run.
type PartsPlanner interface {
	// PlanParts goes through the parts in the order in which Run would ask for
	// them, as far as that is known: ask returns the results of a part that is
	// in the cache, and false for one that is not. The inputs are whole, but
	// none should be read: plans are quick. It returns how many parts there
	// will be, parts of parts left out; 0 if that is not known.
	PlanParts(inputs map[string][]Input, seed uint64, ask func(Part) (map[string]Input, bool)) (parts int, err error)
}

// Task is one execution of a whole-table stage.
type Task struct {
	*Env
	Inputs map[string][]Input

	// Recipe is all that decides the results of the stage but its inputs, for those that tell what made
	// them. Secrets, paths and how the work is done are no part of it. Nil in a part's task.
	Recipe *record.Recipe

	// Output opens an output port for writing; every declared output must be
	// opened, and closed by the stage, exactly once.
	Output func(port string, schema *arrow.Schema) (Writer, error)

	// Part gives the results of a part of the task, by name: from the cache,
	// or as compute makes them. compute gets a task of its own, with the
	// part's inputs, a checkpoint, outputs of any names, and further parts if
	// it needs them. Parts are asked for one at a time.
	Part func(ctx context.Context, part Part, compute func(ctx context.Context, task *Task) error) (map[string]Input, error)

	measure func(name string, do func() error) error // see Measured; nil: nothing is measured
}

// WriteRecord writes an output of one record, and releases the record.
func (t *Task) WriteRecord(port string, rec arrow.Record) error {
	defer rec.Release()
	w, err := t.Output(port, rec.Schema())
	if err != nil {
		return err
	}
	return errors.Join(w.Write(rec), w.Close())
}

// Part is a piece of a whole-table stage's work that is cached on its own: a
// phase of a training, or what one chunk of an input becomes. Its name, recipe
// and inputs, with the stage's kind and version, decide its results and nothing
// else does, so that all stages of a kind share equal parts. The seed is among
// that only if the recipe has it.
type Part struct {
	Name   string           // the sort of part, such as "phase"
	Recipe any              // a struct as package params takes it; its canonical form enters the key
	Inputs map[string]Input // by port

	// Numerics is what decides the last bits of the part's results, as for a
	// [Numeric] stage, all of whose parts say it; "" for other stages.
	Numerics string
}

// Input returns the only artifact at a port, or nil if nothing is connected.
func (t *Task) Input(port string) Input {
	if all := t.Inputs[port]; len(all) > 0 {
		return all[0]
	}
	return nil
}

// Input is an artifact that a stage reads.
type Input interface {
	// Name is the name of the node that made the artifact, such as
	// "features[weights=random]".
	Name() string
	// Coordinates are the matrix values of that node: {"weights": "random"}.
	Coordinates() Coordinates
	// Digest is that of the content, as hexadecimal SHA-256.
	Digest() string
	// Rows is the number of rows.
	Rows() int64
	// Schema returns the schema of the table. An artifact with no chunk has
	// none: nil.
	Schema(ctx context.Context) (*arrow.Schema, error)
	// Batches reads the artifact chunk by chunk, each verified by digest. The
	// record is released when the loop goes on: retain it to keep it.
	Batches(ctx context.Context) iter.Seq2[arrow.Record, error]
	// Chunks divides the artifact into its chunks, each an artifact by itself.
	Chunks() []Input
	// Select narrows the artifact to some of its columns. Its digest is of what
	// those say, so that an edit of others leaves it as it is.
	Select(columns ...string) Input
	// Open gives access to the rows in any order, without reading them all
	// into memory. Close the table when done.
	Open(ctx context.Context) (*Table, error)
}

// Writer takes the rows of an output port.
type Writer interface {
	Write(rec arrow.Record) error
	Close() error
}

// Coordinates are a node's place in the matrix: axis name to value.
type Coordinates map[string]string

// String gives "a=1,b=2", axes in order; "" for none.
func (c Coordinates) String() string {
	parts := make([]string, 0, len(c))
	for _, axis := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, axis+"="+c[axis])
	}
	return strings.Join(parts, ",")
}

// Fits tells whether c and other agree on every axis that both have.
func (c Coordinates) Fits(other Coordinates) bool {
	for axis, v := range c {
		if w, ok := other[axis]; ok && w != v {
			return false
		}
	}
	return true
}

// Env is what the runner lends to a stage at work.
type Env struct {
	Seed    uint64 // of this stage; for Seeded kinds
	Threads int    // how many goroutines the stage may keep busy
	Memory  int64  // bytes that a whole-table stage may take where it got less than it asked for; 0: what it asked for
	Dir     string // relative paths in parameters start here: the pipeline file's folder

	Files      Files      // digests of source files
	Checkpoint Checkpoint // state of long work; never nil for whole-table stages

	// Progress reports how far a whole-table stage has come, in units of its
	// choice ("epoch"); total 0 means unknown. Never nil.
	Progress func(done, total int64, unit string)
	// ProgressWithin is Progress while one unit takes long: that after the done ones has come as far as part of parts, in
	// smaller units ("step"). Never nil.
	ProgressWithin func(done, total int64, unit string, part, parts int64, smaller string)
	// Log prints one line for people and keeps it in the journal. Never nil.
	Log func(format string, args ...any)
}

// Files gives content digests of source files, remembered by size, time and
// inode so that an unchanged file costs one stat.
type Files interface {
	// Digest returns the hexadecimal SHA-256 of the file's content.
	Digest(ctx context.Context, path string) (string, error)
	// Derived returns what compute makes of the file, remembered by the
	// file's content and by name, which says what is computed and its
	// version: the index of an archive, for one.
	Derived(ctx context.Context, path, name string, compute func() ([]byte, error)) ([]byte, error)
}

// Checkpoint keeps the state of one task between processes; it is keyed by
// the task's recipe and inputs and removed when the task ends well.
type Checkpoint interface {
	// Load returns the newest saved state; ok is false if there is none.
	Load() (state []byte, ok bool, err error)
	// Save replaces the state, atomically.
	Save(state []byte) error
}

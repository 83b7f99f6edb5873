package prefix

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/tlpipe/tlpipe/internal/handle"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// activationRecipe is what decides, beside the pixels, the activations of a chunk of pictures. Labels have no part
// in it.
type activationRecipe struct {
	Network   string `yaml:"network"` // digest of the architecture up to the cut
	Weights   string `yaml:"weights"` // digest
	Precision string `yaml:"precision"`
	Rows      string `yaml:"rows"` // digest of the numbers of the rows in use
}

// Activator computes and fetches the activations at the cut of a phase. Of later phases whose cuts
// lie lower, it computes those too, while it is at it.
type Activator struct {
	task    *pipeline.Task
	data    *rows.Data
	copies  int
	cuts    []Prefix // the phase's, then lower ones, from the top down; two may be at one layer, in another precision
	shapes  []shape  // of what rests, by cut
	outputs []int    // by cut: which output of the program it is
	recipes []activationRecipe
	compile func() (*frozen.Program, error) // with the cuts as outputs, in their order

	view    View            // of the pictures; nil: as they are
	program *frozen.Program // nil until some chunk has to be computed
	session *frozen.Session
	pool    *kernel.Pool
	done    int // chunks at hand
}

// shape is that of what rests of a row: so many numbers, or so many for each of its tokens.
type shape struct {
	size   int
	tokens bool
}

func shapeOf(s nn.Shape) shape {
	if s.Fixed() {
		return shape{size: s.Size()}
	}
	return shape{size: s[1:].Size(), tokens: true}
}

// numbers is how many numbers rest of rows with so many tokens together.
func (s shape) numbers(rows, tokens int) int {
	if s.tokens {
		return tokens * s.size
	}
	return rows * s.size
}

// NewActivator prepares the fetching of activations of a network with these weights.
func NewActivator(task *pipeline.Task, d *rows.Data, net *nn.Network, weights nn.Weights, copies int, cuts []Prefix) (*Activator, error) {
	a := &Activator{task: task, data: d, copies: copies, cuts: cuts}
	var names []string
	for _, p := range cuts {
		below, err := net.Cut(p.Cut)
		if err != nil {
			return nil, err
		}
		a.shapes = append(a.shapes, shapeOf(net.Shape(p.Cut)))
		architecture, err := json.Marshal(below)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(architecture)
		a.recipes = append(a.recipes, activationRecipe{
			Network: hex.EncodeToString(sum[:]), Weights: weights.Select(below).Digest(),
			Precision: p.Precision,
		})
		output := slices.Index(names, p.Cut)
		if output < 0 {
			output, names = len(names), append(names, p.Cut)
		}
		a.outputs = append(a.outputs, output)
	}
	a.compile = func() (*frozen.Program, error) {
		below, err := net.Cut(names...)
		if err != nil {
			return nil, err
		}
		return frozen.Compile(below, weights.Select(below), names...)
	}
	return a, nil
}

// View makes the pictures of the rows into those that the network takes.
type View interface {
	// Recipe tells all that decides what it makes.
	Recipe() string
	// Size is how many numbers a picture of the rows has.
	Size() int
	// Apply writes what the network takes of a picture.
	Apply(dst, src []float32)
}

// Through lets the network see the pictures through a view.
func (a *Activator) Through(v View) { a.view = v }

// viewedRecipe is the recipe of activations of pictures that are seen through a view.
type viewedRecipe struct {
	activationRecipe
	View string `yaml:"view"`
}

// Close frees what computing took.
func (a *Activator) Close() {
	if a.pool != nil {
		a.pool.Close()
	}
}

// Fetch returns the activations of all chunks at the phase's cut.
func (a *Activator) Fetch(ctx context.Context) (_ *Activations, err error) {
	out := &Activations{shape: a.shapes[0], ctx: ctx, open: handle.Set[int, *openedActivations]{Most: rows.TablesOpen}}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close())
		}
	}()
	for _, c := range a.data.Chunks {
		used, err := c.InUse(a.copies)
		if err != nil {
			return nil, err
		}
		if len(used) == 0 {
			out.chunks = append(out.chunks, activationChunk{})
			continue
		}
		result, _, err := a.part(ctx, a.task, c, used, nil)
		if err != nil {
			return nil, err
		}
		chunk := activationChunk{input: result[activationsOutput], used: used, rows: len(used)}
		if out.shape.tokens {
			if chunk.first, err = firstTokens(c, used); err != nil {
				return nil, err
			}
			chunk.rows = chunk.first[len(used)]
		}
		out.chunks = append(out.chunks, chunk)
		_, done, err := out.use(len(out.chunks) - 1) // what cannot be read is told here
		if err != nil {
			return nil, err
		}
		done()
		a.done++
		a.task.Progress(int64(a.done), int64(len(a.data.Chunks)), "chunk of activations")
	}
	return out, nil
}

// activationsOutput is the name of a part's only result, and of its only column.
const activationsOutput = "activation"

// part returns the activations of a chunk at the cut below those that writers are for, which are
// being written. If they have to be computed, all of them are written in one run of the network, with
// those of the lower cuts that are not there either; ran tells so.
func (a *Activator) part(ctx context.Context, task *pipeline.Task, c *rows.Chunk, used []int, writers []*activationWriter) (result map[string]pipeline.Input, ran bool, err error) {
	i := len(writers)
	recipe := a.recipes[i]
	recipe.Rows = rowsDigest(used)
	part := pipeline.Part{
		Name: "activations", Recipe: recipe, Inputs: map[string]pipeline.Input{"pictures": c.Input.Select(record.Image)}, Numerics: frozen.Float32.Numerics(),
	}
	if a.data.Tokens {
		part.Inputs = map[string]pipeline.Input{"texts": c.Input.Select(record.Tokens)}
	}
	if a.view != nil {
		part.Recipe = viewedRecipe{recipe, a.view.Recipe()}
	}
	result, err = task.Part(ctx, part, func(ctx context.Context, task *pipeline.Task) error {
		w, err := newActivationWriter(task, a.cuts[i], a.shapes[i])
		if err != nil {
			return err
		}
		all := append(writers[:i:i], w)
		if len(all) < len(a.cuts) {
			_, ran, err = a.part(ctx, task, c, used, all)
		}
		if err == nil && !ran {
			err = a.run(ctx, c, used, all)
		}
		ran = true
		return errors.Join(err, w.out.Close())
	})
	return result, ran, err
}

// rowsDigest is what a list of rows is known by.
func rowsDigest(rows []int) string {
	var raw []byte
	for _, row := range rows {
		raw = binary.AppendUvarint(raw, uint64(row))
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// run computes the rows of a chunk and writes what the first cuts put out.
func (a *Activator) run(ctx context.Context, c *rows.Chunk, used []int, writers []*activationWriter) error {
	if a.program == nil {
		var err error
		if a.program, err = a.compile(); err != nil {
			return err
		}
		a.pool = kernel.NewPool(max(a.task.Threads, 1))
		if a.data.Tokens {
			a.session = a.program.NewSession(tokensAtOnce)
		} else {
			a.session = a.program.NewSession(RowsAtOnce(a.program))
		}
	}
	if a.data.Tokens {
		return a.runTexts(ctx, c, used, writers)
	}
	size := a.program.InputShape().Size()
	for part := range slices.Chunk(used, RowsAtOnce(a.program)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		inputs := make([]float32, len(part)*size)
		errs := make([]error, len(part))
		a.pool.Each(len(part), func(_, i int) { errs[i] = a.read(inputs[i*size:(i+1)*size], c, part[i]) })
		if err := errors.Join(errs...); err != nil {
			return err
		}
		outputs := make([][]float32, slices.Max(a.outputs)+1)
		for i, cut := range a.cuts {
			outputs[a.outputs[i]] = make([]float32, len(part)*cut.Size)
		}
		if err := a.session.Run(a.pool, inputs, len(part), outputs...); err != nil {
			return err
		}
		for i, w := range writers {
			if err := w.write(a.pool, outputs[a.outputs[i]], len(part)); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads what the network takes of a row.
func (a *Activator) read(dst []float32, c *rows.Chunk, row int) error {
	if a.view == nil {
		return c.Read(dst, row)
	}
	picture := make([]float32, a.view.Size())
	if err := c.Read(picture, row); err != nil {
		return err
	}
	a.view.Apply(dst, picture)
	return nil
}

// mostRows is how many rows are computed at once, at most.
const mostRows = 32

// RowsAtOnce is how many rows a program computes at once: fewer where maps are large.
func RowsAtOnce(p *frozen.Program) int { return p.AtOnce(mostRows) }

// activationWriter writes the activations of a chunk at one cut.
type activationWriter struct {
	field  arrow.Field
	schema *arrow.Schema
	out    pipeline.Writer
}

func newActivationWriter(task *pipeline.Task, p Prefix, s shape) (*activationWriter, error) {
	// Arrow has no bfloat16: its bits rest as uint16.
	var element arrow.DataType = arrow.PrimitiveTypes.Float32
	if p.Precision == BFloat16 {
		element = arrow.PrimitiveTypes.Uint16
	}
	w := &activationWriter{field: record.TensorField(activationsOutput, element, s.size)}
	w.schema = arrow.NewSchema([]arrow.Field{w.field}, nil)
	var err error
	w.out, err = task.Output(activationsOutput, w.schema)
	return w, err
}

func (w *activationWriter) write(pool *kernel.Pool, values []float32, rows int) error {
	raw := arrow.Float32Traits.CastToBytes(values)
	if w.field.Type.(*arrow.FixedSizeListType).Elem().ID() == arrow.UINT16 {
		halves := make([]kernel.BFloat16, len(values))
		kernel.ToBFloat16(pool, halves, values)
		raw = make([]byte, 0, 2*len(values))
		for _, h := range halves {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(h))
		}
	}
	column := record.NewTensors(w.field.Type, raw, rows)
	defer column.Release()
	rec := array.NewRecord(w.schema, []arrow.Array{column}, int64(rows))
	defer rec.Release()
	return w.out.Write(rec)
}

// Activations are those of all chunks at one cut, read where they rest.
type Activations struct {
	shape  shape
	chunks []activationChunk
	ctx    context.Context // of the training, for chunks that are opened again
	open   handle.Set[int, *openedActivations]
}

type activationChunk struct {
	input pipeline.Input // nil if no row is in use
	used  []int          // rows of the pictures' chunk, in order, by row of the input
	first []int          // of tokens, which are the input's rows: the first of each row in use, and how many there are; else nil
	rows  int            // of the input
}

// openedActivations are those of a chunk, to be read.
type openedActivations struct {
	*pipeline.Table
	floats [][]float32 // by record of the table
	halves [][]uint16
}

// use returns the activations of a chunk; done ends their use.
func (a *Activations) use(chunk int) (o *openedActivations, done func(), err error) {
	return a.open.Use(chunk, func() (*openedActivations, error) {
		c := a.chunks[chunk]
		if c.input == nil {
			return nil, errors.New("the chunk has no activations")
		}
		table, err := c.input.Open(a.ctx)
		if err != nil {
			return nil, err
		}
		o, err := openActivations(table, c.rows)
		if err != nil {
			return nil, errors.Join(err, table.Close())
		}
		return o, nil
	})
}

func openActivations(table *pipeline.Table, rows int) (*openedActivations, error) {
	if table.Len() != rows {
		return nil, fmt.Errorf("%d activations of %d rows", table.Len(), rows)
	}
	o := &openedActivations{Table: table}
	for _, rec := range table.Records() {
		list, ok := rec.Column(0).(*array.FixedSizeList)
		if !ok {
			return nil, fmt.Errorf("activations are %s", rec.Column(0).DataType())
		}
		var floats []float32
		var halves []uint16
		switch values := list.ListValues().(type) {
		case *array.Float32:
			floats = values.Float32Values()
		case *array.Uint16:
			halves = values.Uint16Values()
		}
		o.floats, o.halves = append(o.floats, floats), append(o.halves, halves)
	}
	return o, nil
}

// Close frees the activations.
func (a *Activations) Close() error { return a.open.Close() }

// Of makes examples of activations of the same rows as those of pictures or texts.
func (a *Activations) Of(e *rows.Examples) train.Examples {
	if lengths, ok := e.Sequences(); ok && a.shape.tokens {
		return sequenceExamples{activationExamples{a, e}, lengths}
	}
	return activationExamples{a, e}
}

// activationExamples are examples that start at the cut.
type activationExamples struct {
	*Activations
	of *rows.Examples
}

// Len implements train.Examples.
func (e activationExamples) Len() int { return e.of.Rows() }

// Read implements train.Examples.
func (e activationExamples) Read(positions []int, into train.Batch) error {
	size := e.shape.size
	for _, input := range into.Inputs {
		for i, position := range positions {
			if err := e.read(input.Float32[i*size:(i+1)*size], e.of.Places[position]); err != nil {
				return err
			}
		}
	}
	return e.of.ReadTargets(positions, into.Targets)
}

// sequenceExamples are examples with a vector for each token, that start at the cut.
type sequenceExamples struct {
	activationExamples
	rows.Sequenced
}

// Read implements train.Examples.
func (e sequenceExamples) Read(positions []int, into train.Batch) error {
	for _, input := range into.Inputs {
		padded := len(input.Float32) / max(len(positions), 1)
		for i, position := range positions {
			row, numbers := input.Float32[i*padded:(i+1)*padded], e.Length(position)*e.shape.size
			if err := e.read(row[:numbers], e.of.Places[position]); err != nil {
				return err
			}
			clear(row[numbers:])
			into.Lengths[i] = e.Length(position)
		}
	}
	return e.of.ReadTargets(positions, into.Targets)
}

// read writes the activation of a picture, or those of the tokens of a text.
func (a *Activations) read(dst []float32, place rows.Place) error {
	c := &a.chunks[place.Chunk]
	at, ok := slices.BinarySearch(c.used, place.Row)
	if !ok {
		return fmt.Errorf("row %d has no activation", place.Row)
	}
	if c.first != nil {
		if has := (c.first[at+1] - c.first[at]) * a.shape.size; has != len(dst) {
			return fmt.Errorf("row %d has %d numbers of activations, not %d", place.Row, has, len(dst))
		}
		at = c.first[at]
	}
	chunk, done, err := a.use(place.Chunk)
	if err != nil {
		return err
	}
	defer done()
	rec, row := chunk.Find(at)
	from := row * a.shape.size
	if floats := chunk.floats[rec]; floats != nil {
		copy(dst, floats[from:])
		return nil
	}
	for i, h := range chunk.halves[rec][from : from+len(dst)] {
		dst[i] = kernel.BFloat16(h).Float32()
	}
	return nil
}

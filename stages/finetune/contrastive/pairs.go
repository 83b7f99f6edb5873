package contrastive

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/pipeline"
)

// tables are the two tables.
type tables struct{ first, second *side }

func (t *tables) sides() []*side { return []*side{t.first, t.second} }

// side is a table: its rows that have a value of the column that pairs them.
type side struct {
	port       string
	width      int
	values     []float32        // [rows][width]
	splits     []string         // of each row
	rows       map[string][]int // by key
	transforms record.Transforms
	metadata   map[string]string
}

// read reads both tables, and refuses a key that stands in several splits unless that is allowed.
func (s stage) read(ctx context.Context, task *pipeline.Task) (*tables, error) {
	t := &tables{}
	var err error
	if t.first, err = s.readSide(ctx, task, firstPort); err != nil {
		return nil, err
	}
	if t.second, err = s.readSide(ctx, task, secondPort); err != nil {
		return nil, err
	}
	if s.SharedKeys {
		return t, nil
	}
	splits := map[string]string{}
	for _, of := range t.sides() {
		for _, key := range slices.Sorted(maps.Keys(of.rows)) {
			for _, row := range of.rows[key] {
				now := of.splits[row]
				if before, ok := splits[key]; ok && before != now {
					return nil, fmt.Errorf("rows with %s %q stand in split %s and in split %s: what is asked for would have been learned from; divide both tables by that column, such as `split: {by: %s, …}` or by class, or set shared_keys: true if new rows of known values are what is asked for", s.By, key, before, now, s.By)
				}
				splits[key] = now
			}
		}
	}
	return t, nil
}

func (s stage) readSide(ctx context.Context, task *pipeline.Task, port string) (*side, error) {
	in := task.Input(port)
	schema, err := in.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, fmt.Errorf("%s has no rows", in.Name())
	}
	of := &side{port: port, rows: map[string][]int{}, metadata: map[string]string{}}
	for _, key := range rows.Carried() {
		if value, ok := schema.Metadata().GetValue(key); ok {
			of.metadata[key] = value
		}
	}
	if of.transforms, err = record.TransformsOf(of.metadata); err != nil {
		return nil, fmt.Errorf("%s: %w", in.Name(), err)
	}
	for _, key := range rows.Carried() {
		delete(of.metadata, key) // the transforms tell it
	}
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		if err := of.take(rec, s.By); err != nil {
			return nil, fmt.Errorf("%s: %w", in.Name(), err)
		}
	}
	if len(of.splits) == 0 {
		return nil, fmt.Errorf("%s has no row with a value in column %s", in.Name(), s.By)
	}
	for i, v := range of.values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%s: a feature of row %d is not a finite number", in.Name(), i/of.width+1)
		}
	}
	return of, nil
}

// take takes in the rows of a batch. Augmented copies do as rows of their own.
func (of *side) take(rec arrow.Record, by string) error {
	roles, err := record.NewRoles(rec)
	if err != nil {
		return err
	}
	features, err := record.TensorColumn(rec, record.Feature)
	if err != nil {
		return err
	}
	at, field, err := record.Column(rec.Schema(), by)
	if err != nil {
		return pipeline.ParamError("by", "%v", err)
	}
	if _, nested := field.Type.(arrow.NestedType); nested {
		return pipeline.ParamError("by", "column %q is %s, not a plain value", by, field.Type)
	}
	keys := rec.Column(at)
	of.width = features.Size()
	for i := range int(rec.NumRows()) {
		if keys.IsNull(i) || features.IsNull(i) || roles.Copy(i) != 0 && roles.Split(i) != record.Train {
			continue
		}
		key := strings.Clone(keys.ValueStr(i))
		of.rows[key] = append(of.rows[key], len(of.splits))
		of.splits = append(of.splits, strings.Clone(roles.Split(i)))
		of.values = features.AppendFloats(of.values, i)
	}
	return nil
}

// in lists the rows of a split with a key.
func (of *side) in(split, key string) (rows []int) {
	for _, row := range of.rows[key] {
		if of.splits[row] == split {
			rows = append(rows, row)
		}
	}
	return rows
}

// moments writes the means and variances of the training rows.
func (of *side) moments(mean, variance []float32) {
	means, squares, n := make([]float64, of.width), make([]float64, of.width), 0.0
	each := func(do func(k int, v float64)) {
		for row, split := range of.splits {
			if split == record.Train {
				for k, v := range of.values[row*of.width : (row+1)*of.width] {
					do(k, float64(v))
				}
			}
		}
	}
	for _, split := range of.splits {
		if split == record.Train {
			n++
		}
	}
	each(func(k int, v float64) { means[k] += v / n })
	each(func(k int, v float64) { squares[k] += (v - means[k]) * (v - means[k]) / n })
	for k := range means {
		if squares[k] <= 1e-12*means[k]*means[k] { // less than float32 can tell
			squares[k] = 1
		}
		mean[k], variance[k] = float32(means[k]), float32(squares[k])
	}
}

// pairs are what two tables have in common in a split: examples of training. Position i·n + j, with n the rows of the second table, is
// row i of the first with row j of the second.
type pairs struct {
	*tables
	keys  []string
	of    [][2][]int // of each key: its rows of both tables
	owner []int      // of each row of the first table: its key; −1
}

func (t *tables) pairsOf(split string) *pairs {
	p := &pairs{tables: t, owner: make([]int, len(t.first.splits))}
	for i := range p.owner {
		p.owner[i] = -1
	}
	for _, key := range slices.Sorted(maps.Keys(t.first.rows)) {
		first, second := t.first.in(split, key), t.second.in(split, key)
		switch { // one side may have a few rows for all splits, such as prompts
		case len(first) > 0 && len(second) == 0:
			second = t.second.in(record.Train, key)
		case len(second) > 0 && len(first) == 0:
			first = t.first.in(record.Train, key)
		}
		if len(first) == 0 || len(second) == 0 {
			continue
		}
		for _, row := range first {
			p.owner[row] = len(p.keys)
		}
		p.keys, p.of = append(p.keys, key), append(p.of, [2][]int{first, second})
	}
	return p
}

// Len implements [train.Examples].
func (p *pairs) Len() int { return len(p.first.splits) * len(p.second.splits) }

func (p *pairs) position(first, second int) int { return first*len(p.second.splits) + second }

// Read implements [train.Examples].
func (p *pairs) Read(positions []int, into train.Batch) error {
	n := len(p.second.splits)
	for i, at := range positions {
		for k, row := range []int{at / n, at % n} {
			of := p.sides()[k]
			copy(into.Inputs[of.port+"."+inputLayer].Float32[i*of.width:(i+1)*of.width], of.values[row*of.width:(row+1)*of.width])
		}
		if keys := into.Targets[objective.Class].Int32; keys != nil {
			keys[i] = int32(p.owner[at/n])
		}
	}
	return nil
}

// epoch gives the batches of an epoch. It goes through the keys in rounds, as many as the key with the most rows has: in each, a key that
// has further rows gives a pair of them, so that a batch of one round has no key twice.
func (p *pairs) epoch(seed uint64, epoch, size int) [][]int {
	random := rand.New(rand.NewPCG(seed, uint64(epoch)))
	order := make([][2][]int, len(p.of))
	most := 0
	for k, of := range p.of {
		order[k] = [2][]int{random.Perm(len(of[0])), random.Perm(len(of[1]))}
		most = max(most, len(of[0]), len(of[1]))
	}
	var out [][]int
	for round := range most {
		var positions []int
		for _, k := range random.Perm(len(p.of)) {
			of := p.of[k]
			if round < max(len(of[0]), len(of[1])) {
				positions = append(positions, p.position(of[0][order[k][0][round%len(of[0])]], of[1][order[k][1][round%len(of[1])]]))
			}
		}
		runs := slices.Collect(slices.Chunk(positions, size))
		if n := len(runs); n > 1 && len(runs[n-1]) < min(size/2, 16) { // too few to be told from
			runs[n-2] = positions[(n-2)*size:]
			runs = runs[:n-1]
		}
		for _, run := range runs {
			if len(run) > 1 {
				out = append(out, run)
			}
		}
	}
	return out
}

// each gives the pairs of all keys in order, as examples for validation; nil if there are none.
func (p *pairs) each() train.Examples {
	if len(p.keys) == 0 {
		return nil
	}
	var list chosen
	list.pairs = p
	for _, of := range p.of {
		for round := range max(len(of[0]), len(of[1])) {
			list.positions = append(list.positions, p.position(of[0][round%len(of[0])], of[1][round%len(of[1])]))
		}
	}
	return &list
}

// chosen are some pairs.
type chosen struct {
	*pairs
	positions []int
}

// Len implements [train.Examples].
func (c *chosen) Len() int { return len(c.positions) }

// Read implements [train.Examples].
func (c *chosen) Read(positions []int, into train.Batch) error {
	at := make([]int, len(positions))
	for i, p := range positions {
		at[i] = c.positions[p]
	}
	return c.pairs.Read(at, into)
}

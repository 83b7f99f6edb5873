package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/segment"
)

// composer puts chunks of a row-wise node together: of rows that are in the
// cache, whatever chunk they were computed in, of rows that are computed now,
// and of the columns that are passed on. Plans use it too: what a run would
// put together has the same digests.
type composer struct {
	store   *cache.Store
	stage   RowWise
	recipe  string           // digest
	side    []cache.InputRef // inputs after the first
	fresh   bool             // nothing that was computed before is used
	dry     bool             // nothing is written that is not needed to read on
	mu      sync.Mutex
	scopes  map[string]*rowScope     // by digest of the input's schema
	schemas map[string]*arrow.Schema // by digest of the blob
	inline  map[string]*segment.Blob // what could not be written, by digest
}

func newComposer(store *cache.Store, n *Node, side []cache.InputRef) *composer {
	return &composer{
		store: store, stage: n.Stage.(RowWise), recipe: n.Recipe.Digest(), side: side,
		scopes: map[string]*rowScope{}, schemas: map[string]*arrow.Schema{}, inline: map[string]*segment.Blob{},
	}
}

// rowScope is what the composer knows of inputs of one schema.
type rowScope struct {
	*layout
	name  string // digest of the recipe, the other inputs and the schema of what is read
	index rowIndex
}

// rows are a chunk that comes in.
type rows struct {
	schema   *arrow.Schema
	n        int64
	segments []cache.Segment
	listing  arrow.Record // of a source: read in the place of what rests
}

// listed makes rows of a source's listing. The columns that are passed on rest
// nowhere yet: compose puts them into a blob.
func (c *composer) listed(rec arrow.Record) (*rows, *rowScope, error) {
	sc, err := c.scope(rec.Schema())
	if err != nil {
		return nil, nil, err
	}
	in := &rows{schema: rec.Schema(), n: rec.NumRows(), listing: rec}
	names := sc.passing(nil)
	if len(names) == 0 {
		in.segments = []cache.Segment{{Rows: in.n}}
		return in, sc, nil
	}
	passing, err := narrowed(rec, names)
	if err != nil {
		return nil, nil, err
	}
	defer passing.Release()
	in.segments = []cache.Segment{{Rows: in.n, Slices: []cache.Slice{{
		Columns: names, Each: 1, Digests: segment.Digests(passing.Columns()...),
	}}}}
	return in, sc, nil
}

// resting makes rows of a chunk at rest.
func (c *composer) resting(ctx context.Context, chunk cache.Chunk) (*rows, *rowScope, error) {
	in := &rows{n: chunk.Rows, segments: chunk.Segments}
	if chunk.Composed() {
		var err error
		if in.schema, err = c.schema(*chunk.Schema); err != nil {
			return nil, nil, err
		}
	} else {
		blob := cache.Blob{Digest: chunk.Digest, Bytes: chunk.Bytes}
		opened, err := c.open(ctx, blob)
		if err != nil {
			return nil, nil, err
		}
		if len(opened.Records) == 0 {
			return nil, nil, fmt.Errorf("a chunk of no batch: %w", cache.ErrCorrupt)
		}
		in.schema = opened.Records[0].Schema()
		var digests cache.RowDigests
		for _, rec := range opened.Records {
			digests = append(digests, segment.Digests(rec.Columns()...)...)
		}
		in.segments = []cache.Segment{{Rows: in.n, Slices: []cache.Slice{{
			Columns: record.ColumnNames(in.schema), Blob: blob, Each: 1, Digests: digests,
		}}}}
	}
	sc, err := c.scope(in.schema)
	return in, sc, err
}

// scope returns what is known of inputs of a schema.
func (c *composer) scope(schema *arrow.Schema) (*rowScope, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	raw, err := schemaBytes(schema)
	if err != nil {
		return nil, err
	}
	id := string(raw)
	if sc := c.scopes[id]; sc != nil {
		return sc, nil
	}
	l, err := resolve(c.stage, schema)
	if err != nil {
		return nil, err
	}
	p := cache.Preimage{{Name: "recipe", Value: c.recipe}}
	for _, in := range c.side {
		p = append(p, cache.Field{Name: "input." + in.Port, Value: in.Digest}, cache.Field{Name: "name." + in.Port, Value: in.Name})
	}
	for _, f := range schema.Fields() {
		if slices.Contains(l.Reads, f.Name) {
			p = append(p, cache.Field{Name: "reads." + f.Name, Value: f.Type.Fingerprint()})
			p = appendMetadata(p, f.Metadata)
		}
	}
	p = appendMetadata(p, schema.Metadata())
	sc := &rowScope{layout: l, name: p.Digest()}
	sc.index.load = func() error { return sc.index.read(c.store, sc.name) }
	c.scopes[id] = sc
	return sc, nil
}

func appendMetadata(p cache.Preimage, m arrow.Metadata) cache.Preimage {
	entries := m.ToMap()
	for _, key := range sortedKeys(entries) {
		p = append(p, cache.Field{Name: "metadata." + key, Value: entries[key]})
	}
	return p
}

// selected tells which rows Map is given, and what each of those is known by.
func (c *composer) selected(ctx context.Context, in *rows, sc *rowScope) (keys []cache.RowDigest, given []bool, err error) {
	given = make([]bool, in.n)
	for i := range given {
		given[i] = !sc.narrowing
	}
	if sc.narrowing {
		if err := c.narrow(ctx, in, sc, given); err != nil {
			return nil, nil, err
		}
	} else if sc.Where != nil {
		clear(given)
	}
	keys = make([]cache.RowDigest, in.n)
	if !slices.Contains(given, true) {
		return keys, given, nil
	}
	columns := make([]cache.RowDigests, len(sc.Reads))
	for i, name := range sc.Reads {
		if columns[i], err = c.columnDigests(ctx, in, name); err != nil {
			return nil, nil, err
		}
	}
	for i := range keys {
		var all []byte
		for _, d := range columns {
			one := d.At(i)
			all = append(all, one[:]...)
		}
		keys[i] = segment.Sum(all)
	}
	return keys, given, nil
}

// narrow looks at the column of the condition.
func (c *composer) narrow(ctx context.Context, in *rows, sc *rowScope, given []bool) error {
	from := 0
	for rec, err := range c.read(ctx, in, []string{sc.Where.Column}) {
		if err != nil {
			return err
		}
		column := rec.Column(0)
		for i := range column.Len() {
			given[from+i] = !column.IsNull(i) && slices.Contains(sc.Where.Values, column.ValueStr(i))
		}
		from += column.Len()
	}
	return nil
}

// columnDigests are those of a column's rows: noted where the column was made,
// else those of its values.
func (c *composer) columnDigests(ctx context.Context, in *rows, name string) (cache.RowDigests, error) {
	var out cache.RowDigests
	if in.listing == nil {
		if out = segment.Noted(in.segments, name); out != nil {
			return out, nil
		}
	}
	for rec, err := range c.read(ctx, in, []string{name}) {
		if err != nil {
			return nil, err
		}
		out = append(out, segment.Digests(rec.Column(0))...)
	}
	return out, nil
}

// lookUp finds what was made of the rows of a chunk before, and checks that it
// is still there. It returns the rows that are missing.
func (c *composer) lookUp(sc *rowScope, keys []cache.RowDigest, given []bool) (found []*madeRow, missing []int, err error) {
	found = make([]*madeRow, len(keys))
	if !c.fresh && slices.Contains(given, true) {
		if err := sc.index.find(keys, given, found); err != nil {
			return nil, nil, err
		}
		checked := map[*madeEntry]bool{}
		for i, m := range found {
			if m == nil {
				continue
			}
			there, known := checked[m.madeEntry]
			if !known {
				_, err := c.store.Lookup(m.Key)
				there = err == nil
				checked[m.madeEntry] = there
			}
			if !there {
				found[i] = nil
			}
		}
	}
	first := map[cache.RowDigest]bool{} // rows that say the same are computed once
	for i, m := range found {
		if m == nil && given[i] && !first[keys[i]] {
			first[keys[i]] = true
			missing = append(missing, i)
		}
	}
	return found, missing, nil
}

// compose puts the chunk together: what was made of each row given is in found. rejects
// are those rows that could not be used; ok is false if no row is left.
func (c *composer) compose(ctx context.Context, in *rows, sc *rowScope, given []bool, found []*madeRow) (chunk cache.Chunk, rejects []Reject, ok bool, err error) {
	if err := c.putPassing(in); err != nil {
		return chunk, nil, false, err
	}
	var made *arrow.Schema
	for _, m := range found {
		if m != nil {
			if made, err = c.schema(m.Made.Schema); err != nil {
				return chunk, nil, false, err
			}
			break
		}
	}
	schema, err := sc.schema(made)
	if err != nil {
		return chunk, nil, false, err
	}
	var madeNames []string
	if made != nil {
		madeNames = record.ColumnNames(made)
	}
	stays := func(name string) bool { return sc.passes[name] }
	replaced := func(name string) bool { return sc.passes[name] && !slices.Contains(madeNames, name) }
	var segments []cache.Segment
	emit := func(from *cache.Segment, at, each int64, m *madeRow) {
		if each == 0 {
			return
		}
		next := cache.Segment{Rows: each}
		if m == nil {
			next.Slices = segment.Pick(from, at, 1, 1, stays)
		} else {
			next.Slices = segment.Pick(from, at, 1, each, replaced)
			start := m.starts[m.row]
			for _, name := range madeNames {
				next.Slices = append(next.Slices, cache.Slice{
					Columns: []string{name}, Blob: m.blob, Start: start, Each: 1,
					Digests: m.Made.Columns[name].Slice(int(start), int(start+each)),
				})
			}
		}
		next.Slices = segment.Order(next.Slices, schema)
		segments = segment.Append(segments, next)
	}
	each := func(visit func(from *cache.Segment, at int64, row int)) {
		row := 0
		for i := range in.segments {
			for at := range in.segments[i].Rows {
				visit(&in.segments[i], at, row)
				row++
			}
		}
	}
	if sc.Keeps {
		each(func(s *cache.Segment, at int64, _ int) { emit(s, at, 1, nil) })
	}
	rejected := map[int]string{}
	each(func(s *cache.Segment, at int64, row int) {
		m := found[row]
		switch {
		case m != nil:
			emit(s, at, m.count(), m)
			if reason, no := m.Made.Rejects[m.row]; no {
				rejected[row] = reason
			}
		case !given[row] && !sc.Keeps:
			emit(s, at, 1, nil)
		}
	})
	if rejects, err = c.rejects(ctx, in, rejected); err != nil || len(segments) == 0 {
		return chunk, rejects, false, err
	}
	blob, err := c.putSchema(schema)
	if err != nil {
		return chunk, nil, false, err
	}
	return segment.Compose(blob, segments), rejects, true, nil
}

// rejects names the rows that could not be used.
func (c *composer) rejects(ctx context.Context, in *rows, reasons map[int]string) (out []Reject, err error) {
	if len(reasons) == 0 {
		return nil, nil
	}
	ids, err := c.ids(ctx, in)
	if err != nil {
		return nil, err
	}
	for _, row := range slices.Sorted(maps.Keys(reasons)) {
		id := fmt.Sprintf("row %d", row+1)
		if row < len(ids) {
			id = ids[row]
		}
		out = append(out, Reject{ID: id, Reason: reasons[row]})
	}
	return out, nil
}

// ids names the rows, if they have names.
func (c *composer) ids(ctx context.Context, in *rows) ([]string, error) {
	ids := make([]string, 0, in.n)
	if !in.schema.HasField(record.ID) {
		return nil, nil
	}
	for rec, err := range c.read(ctx, in, []string{record.ID}) {
		if err != nil {
			return nil, err
		}
		for i := range int(rec.NumRows()) {
			ids = append(ids, rec.Column(0).ValueStr(i))
		}
	}
	return ids, nil
}

// within says of an error which rows were mapped: from first to last of a piece.
func (c *composer) within(ctx context.Context, in *rows, first, last int, err error) error {
	ids, unknown := c.ids(ctx, in)
	switch {
	case ctx.Err() != nil:
		return err
	case unknown != nil || last >= len(ids):
		return fmt.Errorf("rows %d to %d of a chunk: %w", first+1, last+1, err)
	case first == last:
		return fmt.Errorf("row %s: %w", ids[first], err)
	}
	return fmt.Errorf("rows %s to %s: %w", ids[first], ids[last], err)
}

// read yields columns of the rows.
func (c *composer) read(ctx context.Context, in *rows, columns []string) func(yield func(arrow.Record, error) bool) {
	if in.listing != nil {
		return func(yield func(arrow.Record, error) bool) {
			rec, err := narrowed(in.listing, columns)
			if err != nil {
				yield(nil, err)
				return
			}
			yield(rec, nil)
			rec.Release()
		}
	}
	return segment.Records(ctx, narrowedSchema(in.schema, columns), in.segments, segment.Recent(c.open))
}

// open reads a blob.
func (c *composer) open(_ context.Context, b cache.Blob) (*segment.Blob, error) {
	c.mu.Lock()
	inline := c.inline[b.Digest]
	c.mu.Unlock()
	if inline != nil {
		return inline, nil
	}
	return segment.Open(c.store, b)
}

// putPassing puts what is passed on of a listing into a blob.
func (c *composer) putPassing(in *rows) error {
	if in.listing == nil || len(in.segments[0].Slices) == 0 {
		return nil
	}
	slice := &in.segments[0].Slices[0]
	passing, err := narrowed(in.listing, slice.Columns)
	if err != nil {
		return err
	}
	defer passing.Release()
	slice.Blob, err = c.put(passing)
	return err
}

// put stores rows that are passed on. A plan that cannot write keeps them in
// memory.
func (c *composer) put(rec arrow.Record) (cache.Blob, error) {
	raw, err := record.Encode(rec)
	if err != nil {
		return cache.Blob{}, err
	}
	chunk, err := c.store.PutOrHold(raw, rec.NumRows(), false)
	b := cache.Blob{Digest: chunk.Digest, Bytes: chunk.Bytes}
	if err != nil && c.dry {
		rec.Retain()
		c.mu.Lock()
		c.inline[b.Digest] = segment.NewBlob([]arrow.Record{rec})
		c.mu.Unlock()
		err = nil
	}
	return b, err
}

// putSchema stores a schema.
func (c *composer) putSchema(schema *arrow.Schema) (cache.Blob, error) {
	raw, err := schemaBytes(schema)
	if err != nil {
		return cache.Blob{}, err
	}
	chunk, err := c.store.PutOrHold(raw, 0, true)
	b := cache.Blob{Digest: chunk.Digest, Bytes: chunk.Bytes}
	if err == nil || c.dry {
		c.mu.Lock()
		c.schemas[b.Digest] = schema
		c.mu.Unlock()
		err = nil
	}
	return b, err
}

// schema reads a schema.
func (c *composer) schema(b cache.Blob) (*arrow.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.schemas[b.Digest]; s != nil {
		return s, nil
	}
	s, err := readSchema(c.store, b)
	if err == nil {
		c.schemas[b.Digest] = s
	}
	return s, err
}

func readSchema(store *cache.Store, b cache.Blob) (*arrow.Schema, error) {
	raw, err := store.Blob(b.Digest)
	if err != nil {
		return nil, err
	}
	return record.DecodeSchema(raw)
}

func schemaBytes(schema *arrow.Schema) ([]byte, error) {
	var buf bytes.Buffer
	w, err := record.NewWriter(&buf, schema)
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write a schema: %w", err)
	}
	return buf.Bytes(), nil
}

// narrowed is the record with some of its columns, in the record's order.
func narrowed(rec arrow.Record, columns []string) (arrow.Record, error) {
	schema := narrowedSchema(rec.Schema(), columns)
	if schema.NumFields() != len(columns) {
		return nil, errors.New("a column is missing")
	}
	out := make([]arrow.Array, 0, len(columns))
	for _, f := range schema.Fields() {
		out = append(out, rec.Column(rec.Schema().FieldIndices(f.Name)[0]))
	}
	return array.NewRecord(schema, out, rec.NumRows()), nil
}

// narrowedSchema is the schema with some of its columns, and its metadata.
func narrowedSchema(s *arrow.Schema, columns []string) *arrow.Schema {
	var fields []arrow.Field
	for _, f := range s.Fields() {
		if slices.Contains(columns, f.Name) {
			fields = append(fields, f)
		}
	}
	m := s.Metadata()
	return arrow.NewSchema(fields, &m)
}

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/segment"
)

// chunkRef is a chunk of an artifact and the way to make it again, should one
// of its blobs turn out to be damaged. What is made again says the same, but
// may rest elsewhere.
type chunkRef struct {
	cache.Chunk
	restore func(ctx context.Context) (cache.Chunk, error) // nil: cannot be made again here
}

// restored picks a chunk of an entry that is made again.
func restored(again func(context.Context) (cache.Entry, error), port string, i int) func(context.Context) (cache.Chunk, error) {
	return func(ctx context.Context) (cache.Chunk, error) {
		e, err := again(ctx)
		if err != nil {
			return cache.Chunk{}, err
		}
		if i >= len(e.Outputs[port]) {
			return cache.Chunk{}, nil // it is another, which the reader notices
		}
		return e.Outputs[port][i], nil
	}
}

// mended reads the chunk; if a blob of it is missing or damaged, it has the
// chunk computed again and reads anew, once for each blob.
func (c chunkRef) mended(ctx context.Context, read func(c cache.Chunk) error) error {
	err := read(c.Chunk)
	if err == nil || c.restore == nil || !isDamage(err) {
		return err
	}
	for range c.Chunk.Blobs() {
		again, restoreErr := c.restore(ctx)
		if restoreErr != nil {
			return restoreErr
		}
		if again.Digest != c.Digest {
			return errAnother
		}
		if err = read(again); err == nil || !isDamage(err) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", errAnother, err)
}

var errAnother = errors.New("computed again, the result is another: the stage does not give the same bytes each time")

// records returns the chunk's records. They may be kept longer than the chunk.
func (c chunkRef) records(ctx context.Context, store *cache.Store, columns []string) (records []arrow.Record, err error) {
	err = c.mended(ctx, func(chunk cache.Chunk) error {
		records, err = chunkRecords(ctx, store, chunk, columns, func(_ context.Context, b cache.Blob) (*segment.Blob, error) {
			return segment.Open(store, b)
		})
		return err
	})
	return records, err
}

// chunkRecords are the records of a chunk, with some of its columns or, if that
// is nil, all; open gives the rows of a blob.
func chunkRecords(ctx context.Context, store *cache.Store, c cache.Chunk, columns []string, open segment.Opener) ([]arrow.Record, error) {
	if !c.Composed() {
		blob, err := open(ctx, cache.Blob{Digest: c.Digest, Bytes: c.Bytes})
		if err != nil {
			return nil, err
		}
		records := make([]arrow.Record, len(blob.Records))
		for i, rec := range blob.Records {
			rec.Retain()
			if records[i] = rec; columns != nil {
				if records[i], err = narrowed(rec, columns); err != nil {
					return nil, err
				}
			}
		}
		return records, nil
	}
	schema, err := readSchema(store, *c.Schema)
	if err != nil {
		return nil, err
	}
	if columns != nil {
		schema = narrowedSchema(schema, columns)
	}
	var records []arrow.Record
	for rec, err := range segment.Records(ctx, schema, c.Segments, segment.Recent(open)) {
		if err != nil {
			return nil, err
		}
		rec.Retain()
		records = append(records, rec)
	}
	return records, nil
}

func isDamage(err error) bool {
	return errors.Is(err, cache.ErrMissing) || errors.Is(err, cache.ErrCorrupt)
}

// Artifact is what an output port held after a run; it implements [Input].
type Artifact struct {
	store       *cache.Store
	name        string
	coordinates Coordinates
	chunks      []chunkRef
	columns     []string // that it was narrowed to; nil: all

	empty *arrow.Schema // where there are no chunks; nil if it is not known
}

// NewArtifact makes the artifact of chunks that are in the store.
func NewArtifact(store *cache.Store, name string, coordinates Coordinates, chunks []cache.Chunk) *Artifact {
	a := &Artifact{store: store, name: name, coordinates: coordinates}
	for _, c := range chunks {
		a.chunks = append(a.chunks, chunkRef{Chunk: c})
	}
	return a
}

// NewRejects makes the artifact of the rows that a stage rejected, whose columns are known if there are none.
func NewRejects(store *cache.Store, name string, coordinates Coordinates, chunks []cache.Chunk) *Artifact {
	a := NewArtifact(store, name, coordinates, chunks)
	a.empty = rejectSchema
	return a
}

// Name implements Input.
func (a *Artifact) Name() string { return a.name }

// Coordinates implements Input.
func (a *Artifact) Coordinates() Coordinates { return a.coordinates }

// Rows implements Input.
func (a *Artifact) Rows() (n int64) {
	for _, c := range a.chunks {
		n += c.Rows
	}
	return n
}

// Bytes is the size of the artifact on disk.
func (a *Artifact) Bytes() (n int64) {
	for _, c := range a.chunks {
		n += c.Bytes
	}
	return n
}

// Blobs lists the artifact's blobs in order.
func (a *Artifact) Blobs() []cache.Chunk {
	out := make([]cache.Chunk, len(a.chunks))
	for i, c := range a.chunks {
		out[i] = c.Chunk
	}
	return out
}

// Digest implements Input: it stands for the chunks and their order.
func (a *Artifact) Digest() string {
	chunks := a.Blobs()
	if a.columns != nil {
		for i, c := range chunks {
			chunks[i].Digest = selectedDigest(a.store, c, a.columns)
		}
	}
	return chunksDigest(chunks)
}

// selectedDigest is that of some columns of a chunk: of what they say where
// that was noted, else of the whole chunk.
func selectedDigest(store *cache.Store, c cache.Chunk, columns []string) string {
	p := cache.Preimage{{Name: "chunk", Value: c.Digest}}
	if c.Composed() {
		if noted, ok := notedColumns(store, c, columns); ok {
			p = noted
		}
	}
	for _, name := range columns {
		p = append(p, cache.Field{Name: "column", Value: name})
	}
	return p.Digest()
}

func notedColumns(store *cache.Store, c cache.Chunk, columns []string) (p cache.Preimage, ok bool) {
	schema, err := readSchema(store, *c.Schema)
	if err != nil {
		return nil, false
	}
	raw, err := schemaBytes(narrowedSchema(schema, columns))
	if err != nil {
		return nil, false
	}
	p = cache.Preimage{{Name: "schema", Value: string(raw)}}
	for _, name := range columns {
		digests := segment.Noted(c.Segments, name)
		if digests == nil {
			return nil, false
		}
		p = append(p, cache.Field{Name: "rows", Value: string(digests)})
	}
	return p, true
}

// Select implements Input.
func (a *Artifact) Select(columns ...string) Input {
	narrow := *a
	narrow.columns = columns
	return &narrow
}

func chunksDigest(chunks []cache.Chunk) string {
	p := make(cache.Preimage, len(chunks))
	for i, c := range chunks {
		p[i] = cache.Field{Name: "chunk", Value: c.Digest}
	}
	return p.Digest()
}

// Schema implements Input.
func (a *Artifact) Schema(ctx context.Context) (schema *arrow.Schema, err error) {
	if len(a.chunks) == 0 {
		if a.empty != nil && a.columns != nil {
			return narrowedSchema(a.empty, a.columns), nil
		}
		return a.empty, nil
	}
	err = a.chunks[0].mended(ctx, func(c cache.Chunk) error {
		b := cache.Blob{Digest: c.Digest, Bytes: c.Bytes}
		if c.Composed() {
			b = *c.Schema
		}
		schema, err = readSchema(a.store, b)
		if err == nil && a.columns != nil {
			schema = narrowedSchema(schema, a.columns)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", a.name, err)
	}
	return schema, nil
}

// Batches implements Input.
func (a *Artifact) Batches(ctx context.Context) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		for _, c := range a.chunks {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			records, err := c.records(ctx, a.store, a.columns)
			if err != nil {
				yield(nil, fmt.Errorf("read %s: %w", a.name, err))
				return
			}
			for _, rec := range records {
				more := yield(rec, nil)
				rec.Release()
				if !more {
					return
				}
			}
		}
	}
}

// Chunks implements Input.
func (a *Artifact) Chunks() []Input {
	out := make([]Input, len(a.chunks))
	for i := range a.chunks {
		out[i] = &Artifact{store: a.store, name: a.name, coordinates: a.coordinates, chunks: a.chunks[i : i+1], columns: a.columns}
	}
	return out
}

// Open implements Input.
func (a *Artifact) Open(ctx context.Context) (_ *Table, err error) {
	t := &Table{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open %s: %w", a.name, err), t.Close())
		}
	}()
	views := map[string]*segment.Blob{} // chunks may share blobs
	view := func(_ context.Context, b cache.Blob) (*segment.Blob, error) {
		if v := views[b.Digest]; v != nil {
			return v, nil
		}
		data, unmap, err := a.store.ViewBlob(b.Digest)
		if err != nil {
			return nil, err
		}
		t.onClose(unmap)
		records, err := record.View(data)
		if err != nil {
			return nil, err
		}
		views[b.Digest] = segment.NewBlob(records)
		return views[b.Digest], nil
	}
	for _, c := range a.chunks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := c.mended(ctx, func(c cache.Chunk) error {
			records, err := chunkRecords(ctx, a.store, c, a.columns, view)
			if err != nil {
				return err
			}
			for _, rec := range records {
				t.append(rec)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// stream is an output port while a run is on: chunks come in order, and any
// number of readers follow at their own pace.
type stream struct {
	mu      sync.Mutex
	chunks  []chunkRef
	total   int // how many there will be; -1 while unknown
	done    bool
	err     error
	changed chan struct{} // closed and replaced whenever something changed
}

func newStream() *stream { return &stream{total: -1, changed: make(chan struct{})} }

func (s *stream) update(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) add(c chunkRef)  { s.update(func() { s.chunks = append(s.chunks, c) }) }
func (s *stream) expect(n int)    { s.update(func() { s.total = n }) }
func (s *stream) close(err error) { s.update(func() { s.done, s.err = true, err }) }

// wait blocks until ready says so; ready is called with the lock held.
func (s *stream) wait(ctx context.Context, ready func() bool) error {
	for {
		s.mu.Lock()
		ok, changed := ready(), s.changed
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// at returns chunk i once it is there; ok is false if the stream ended
// before.
func (s *stream) at(ctx context.Context, i int) (c chunkRef, ok bool, err error) {
	waitErr := s.wait(ctx, func() bool {
		switch {
		case i < len(s.chunks):
			c, ok = s.chunks[i], true
		case s.done:
			err = s.err
		default:
			return false
		}
		return true
	})
	if waitErr != nil {
		return c, false, waitErr
	}
	return c, ok, err
}

// all returns the chunks once the stream has ended.
func (s *stream) all(ctx context.Context) (chunks []chunkRef, err error) {
	waitErr := s.wait(ctx, func() bool {
		chunks, err = s.chunks, s.err
		return s.done
	})
	if waitErr != nil {
		return nil, waitErr
	}
	return chunks, err
}

// expected returns how many chunks there will be, once that is known; -1 if
// the stream failed before.
func (s *stream) expected(ctx context.Context) (n int) {
	n = -1
	_ = s.wait(ctx, func() bool {
		if s.done && s.err == nil {
			n = len(s.chunks)
		} else {
			n = s.total
		}
		return n >= 0 || s.done
	})
	return n
}

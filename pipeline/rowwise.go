package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	concstream "github.com/sourcegraph/conc/stream"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

func (g *Graph) dir() string { return filepath.Dir(g.File) }

// piece is a chunk of a row-wise node's input.
type piece struct {
	digest string
	rows   int64
	read   func(ctx context.Context) iter.Seq2[arrow.Record, error]
}

// runRows maps the input chunk by chunk: in parallel, as chunks arrive, with
// the results in order.
func (nr *nodeRun) runRows(ctx context.Context, stage RowWise) error {
	port := ""
	var pieces iter.Seq2[piece, error]
	side, sideRefs := map[string][]Input{}, []cache.InputRef(nil)
	if source, ok := stage.(Source); ok {
		list, err := nr.list(ctx, source)
		if err != nil {
			return err
		}
		pieces = list
	} else {
		// The first input streams; the others are waited for.
		var err error
		if side, sideRefs, err = nr.side(ctx, 1); err != nil {
			return err
		}
		port = nr.node.Inputs[0].Port
		pieces = nr.follow(ctx)
	}
	nr.mapper.open = func(ctx context.Context) (Mapper, error) {
		return stage.Open(ctx, nr.env(nr.mapperThreads()), side)
	}
	output := nr.node.Kind.Outputs[0].Name

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Enough tasks that a slot never waits for one, though some wait for locks.
	tasks := concstream.New().WithMaxGoroutines(2 * nr.x.jobs())
	i := 0
	var pieceErr error
	for p, err := range pieces {
		if err != nil || ctx.Err() != nil {
			pieceErr = err
			break
		}
		index := i
		i++
		inputs := append([]cache.InputRef{{Port: port, Digest: p.digest}}, sideRefs...)
		work := nr.work(inputs, func(ctx context.Context) (cache.Entry, error) { return nr.mapPiece(ctx, p, output) })
		tasks.Go(func() concstream.Callback {
			if ctx.Err() != nil {
				return func() {}
			}
			e, computed, err := nr.obtain(ctx, nr.x.executor, work)
			return func() {
				if err == nil && ctx.Err() == nil {
					err = nr.accept(ctx, e, index, p.rows, computed, nr.again(work))
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	tasks.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return pieceErr
}

// list asks a source for its rows and cuts them into pieces.
func (nr *nodeRun) list(ctx context.Context, source Source) (iter.Seq2[piece, error], error) {
	nr.busy.start()
	defer nr.busy.stop()
	listing, err := source.List(ctx, nr.env(1))
	if err != nil {
		return nil, fmt.Errorf("list the source: %w", err)
	}
	if err := nr.x.index.Save(); err != nil {
		nr.x.log(nr.node.Name, "%v", err)
	}
	if listing.Overview != nil {
		nr.mu.Lock()
		nr.overview = listing.Overview
		nr.mu.Unlock()
		nr.x.emit(SourceListed{Event: "listed", Stage: nr.node.Name, Overview: listing.Overview})
		switch err := unmet(nr.node, listing.Overview, nr.x.working()); {
		case err != nil && nr.x.KeepGoing:
			nr.x.log(nr.node.Name, "%v", err)
		case err != nil:
			return nil, err
		}
	}
	chunks, err := cutListing(listing.Rows)
	if err != nil {
		return nil, err
	}
	for _, p := range nr.node.Kind.Outputs {
		nr.outputs[p.Name].expect(len(chunks))
	}
	rejected, err := putRejects(nr.x.Store, listing.Rejects)
	if err != nil {
		return nil, nr.writeError(err)
	}
	for _, c := range rejected {
		nr.outputs[RejectsPort].add(chunkRef{Chunk: c})
	}
	nr.mu.Lock()
	nr.ended.Rejects += int64(len(listing.Rejects))
	nr.seen += int64(len(listing.Rejects))
	nr.mu.Unlock()
	if err := nr.tooManyRejects(ctx, len(chunks) == 0); err != nil {
		return nil, err
	}
	if len(chunks) == 0 {
		return nil, errors.New("the source has no rows")
	}
	return pieces(chunks), nil
}

func pieces(chunks []listed) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		for _, c := range chunks {
			p := piece{digest: c.digest, rows: c.rows.NumRows(), read: func(context.Context) iter.Seq2[arrow.Record, error] {
				return func(yield func(arrow.Record, error) bool) { yield(c.rows, nil) }
			}}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// follow yields the chunks of the first input as they come.
func (nr *nodeRun) follow(ctx context.Context) iter.Seq2[piece, error] {
	edge := nr.node.Inputs[0]
	upstream := nr.x.nodes[edge.From].outputs[edge.FromPort]
	return func(yield func(piece, error) bool) {
		if n := upstream.expected(ctx); n >= 0 {
			for _, p := range nr.node.Kind.Outputs {
				nr.outputs[p.Name].expect(n)
			}
		}
		for i := 0; ; i++ {
			c, ok, err := upstream.at(ctx, i)
			if err != nil {
				yield(piece{}, err)
				return
			}
			if !ok {
				return
			}
			p := piece{digest: c.Digest, rows: c.Rows, read: func(ctx context.Context) iter.Seq2[arrow.Record, error] {
				a := &Artifact{store: nr.x.Store, name: edge.From.Name, chunks: []chunkRef{c}}
				return a.Batches(ctx)
			}}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// mapperThreads is how many threads one Map may use: chunks run side by side,
// so one each unless there are fewer chunks than slots.
func (nr *nodeRun) mapperThreads() int {
	if n := nr.expected(); n > 0 && n < nr.x.jobs() {
		return max(1, nr.x.jobs()/n)
	}
	return 1
}

// mapRows is how many rows are mapped at once: what a stage makes of them is
// written before the next are mapped, so that memory does not grow with the
// length of a chunk.
const mapRows = 32

// mapPiece maps one piece and stores what came of it.
func (nr *nodeRun) mapPiece(ctx context.Context, p piece, output string) (cache.Entry, error) {
	mapper, release, err := nr.mapper.acquire(ctx)
	if err != nil {
		return cache.Entry{}, err
	}
	defer release()
	out := chunkWriter{store: nr.x.Store}
	defer out.abort()
	var rejects []Reject
	for rec, err := range p.read(ctx) {
		if err != nil {
			return cache.Entry{}, err
		}
		for from := int64(0); from == 0 || from < rec.NumRows(); from += mapRows {
			rejected, err := mapInto(ctx, mapper, rec, from, &out)
			if err != nil {
				return cache.Entry{}, err
			}
			rejects = append(rejects, rejected...)
		}
	}
	e := cache.Entry{Outputs: map[string][]cache.Chunk{}}
	chunk, ok, err := out.commit()
	if err != nil {
		return e, err
	}
	if ok {
		e.Outputs[output] = []cache.Chunk{chunk}
	}
	rejected, err := putRejects(nr.x.Store, rejects)
	if err != nil {
		return e, err
	}
	if rejected != nil {
		e.Outputs[RejectsPort] = rejected
	}
	return e, nil
}

// mapInto maps the rows that begin at from and writes what came of them.
func mapInto(ctx context.Context, mapper Mapper, rec arrow.Record, from int64, out *chunkWriter) ([]Reject, error) {
	slice := rec.NewSlice(from, min(from+mapRows, rec.NumRows()))
	defer slice.Release()
	mapped, err := mapper.Map(ctx, slice)
	if err != nil {
		return nil, err
	}
	if mapped.Rows == nil {
		return mapped.Rejects, nil
	}
	defer mapped.Rows.Release()
	return mapped.Rejects, out.write(mapped.Rows)
}

// chunkWriter writes a chunk, which is there once it is committed.
type chunkWriter struct {
	store *cache.Store
	blob  *cache.BlobWriter
	file  *record.Writer
}

func (w *chunkWriter) write(rec arrow.Record) (err error) {
	if w.file == nil {
		if w.blob, err = w.store.NewBlob(); err != nil {
			return err
		}
		if w.file, err = record.NewWriter(w.blob, rec.Schema()); err != nil {
			return err
		}
	}
	return w.file.Write(rec)
}

// commit ends the chunk; ok is false if nothing was written.
func (w *chunkWriter) commit() (c cache.Chunk, ok bool, err error) {
	if w.file == nil {
		return c, false, nil
	}
	if err := w.file.Close(); err != nil {
		return c, false, err
	}
	c, err = w.blob.Commit(w.file.Rows())
	w.blob = nil
	return c, true, err
}

func (w *chunkWriter) abort() {
	if w.blob != nil {
		w.blob.Abort()
	}
}

// mapperHolder opens a stage's mapper when it is first needed, and again if
// it is needed after it was closed.
type mapperHolder struct {
	mu     sync.RWMutex
	open   func(ctx context.Context) (Mapper, error)
	mapper Mapper
}

func (h *mapperHolder) acquire(ctx context.Context) (m Mapper, release func(), err error) {
	for {
		h.mu.RLock()
		if h.mapper != nil {
			return h.mapper, h.mu.RUnlock, nil
		}
		h.mu.RUnlock()
		h.mu.Lock()
		if h.mapper == nil {
			if h.mapper, err = h.open(ctx); err != nil {
				h.mapper = nil
				h.mu.Unlock()
				return nil, nil, err
			}
		}
		h.mu.Unlock()
	}
}

func (h *mapperHolder) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mapper == nil {
		return nil
	}
	err := h.mapper.Close()
	h.mapper = nil
	return err
}

var rejectSchema = arrow.NewSchema([]arrow.Field{
	{Name: record.ID, Type: arrow.BinaryTypes.String},
	{Name: record.Reason, Type: arrow.BinaryTypes.String},
}, nil)

func rejectTable(rejects []Reject) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, rejectSchema)
	defer b.Release()
	for _, r := range rejects {
		b.Field(0).(*array.StringBuilder).Append(r.ID)
		b.Field(1).(*array.StringBuilder).Append(r.Reason)
	}
	return b.NewRecord()
}

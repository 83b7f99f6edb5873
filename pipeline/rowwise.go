package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	concstream "github.com/sourcegraph/conc/stream"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/segment"
)

func (g *Graph) dir() string { return filepath.Dir(g.File) }

// piece is a chunk of a row-wise node's input: of a source's listing, or at
// rest.
type piece struct {
	digest  string
	rows    int64
	listing arrow.Record
	chunk   chunkRef
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
	nr.composer = newComposer(nr.x.Store, nr.node, sideRefs)
	nr.composer.fresh = nr.mode.force

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
		work := nr.work(inputs, func(ctx context.Context) (cache.Entry, error) { return nr.mapPiece(ctx, p) })
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
	if concluding, ok := stage.(Concluding); ok && pieceErr == nil && i > 0 {
		return concluding.Conclude(ctx, nr.env(1), side, nr.artifact(nr.node.Kind.Outputs[0].Name))
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
		failing := nr.x.foresee(nr.node, listing.Overview, nr.x.working())
		if nr.x.KeepGoing {
			for _, f := range failing {
				nr.x.log(f.node.Name, "it will fail: %v", f.err)
			}
		} else if len(failing) > 0 {
			nr.x.fail(failing)
			return nil, errForeseen
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
	return func(yield func(piece, error) bool) {
		for _, c := range chunks {
			if !yield(piece{digest: c.digest, rows: c.rows.NumRows(), listing: c.rows}, nil) {
				return
			}
		}
	}, nil
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
			if !yield(piece{digest: c.Digest, rows: c.Rows, chunk: c}, nil) {
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

// mapPiece makes the result of a piece: it puts together what was made of its
// rows before and what is made of the others now.
func (nr *nodeRun) mapPiece(ctx context.Context, p piece) (e cache.Entry, err error) {
	if p.listing != nil {
		in, sc, err := nr.composer.listed(p.listing)
		if err != nil {
			return e, err
		}
		return nr.mapRows(ctx, in, sc)
	}
	err = p.chunk.mended(ctx, func(chunk cache.Chunk) error {
		// What is passed on is not read here, but has to be there.
		if err := nr.x.Store.AtHand(chunk); err != nil {
			return err
		}
		in, sc, err := nr.composer.resting(ctx, chunk)
		if err == nil {
			e, err = nr.mapRows(ctx, in, sc)
		}
		return err
	})
	return e, err
}

// mapRows makes the result of the rows of a piece.
func (nr *nodeRun) mapRows(ctx context.Context, in *rows, sc *rowScope) (e cache.Entry, err error) {
	keys, given, err := nr.composer.selected(ctx, in, sc)
	if err != nil {
		return e, err
	}
	found, missing, err := nr.composer.lookUp(sc, keys, given)
	if err != nil {
		return e, err
	}
	var used ledger
	computed := len(missing) > 0
	if computed {
		started := time.Now()
		made, fresh, err := nr.makeRows(ctx, in, sc, keys, missing)
		if err != nil {
			return e, err
		}
		used.note(made.Entry, fresh, time.Since(started))
		sc.index.add(made)
		at := map[cache.RowDigest]int{}
		for i, row := range missing {
			at[keys[row]] = i
		}
		for row := range found {
			if i, ok := at[keys[row]]; ok && given[row] && found[row] == nil {
				found[row] = &madeRow{made, i}
			}
		}
		computed = fresh
	}
	for _, m := range found {
		if m != nil && !used.parts[m.Key] {
			share := float64(countOf(found, m.madeEntry)) / float64(max(1, m.Made.Rows.Len()))
			m := m.Entry
			m.Cost *= share
			used.note(m, false, 0)
		}
	}
	used.close(&e)
	e.Composed = !computed
	chunk, rejects, ok, err := nr.composer.compose(ctx, in, sc, given, found)
	if err != nil {
		return e, err
	}
	e.Outputs = map[string][]cache.Chunk{}
	if ok {
		e.Outputs[nr.node.Kind.Outputs[0].Name] = []cache.Chunk{chunk}
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

// countOf is how many rows were made in an entry.
func countOf(found []*madeRow, entry *madeEntry) (n int) {
	for _, m := range found {
		if m != nil && m.madeEntry == entry {
			n++
		}
	}
	return n
}

// missingRows stands for the port of a piece of work that computes rows; no port
// has such a name.
const missingRows = "missing rows"

// makeRows has some rows of a piece computed, in an entry of their own; fresh
// tells whether they were not in the cache after all.
func (nr *nodeRun) makeRows(ctx context.Context, in *rows, sc *rowScope, keys []cache.RowDigest, missing []int) (made *madeEntry, fresh bool, err error) {
	var all cache.RowDigests
	for _, row := range missing {
		all = append(all, keys[row][:]...)
	}
	work := nr.work([]cache.InputRef{{Port: missingRows, Digest: segment.Sum(all).String()}}, nil)
	work.Key = cache.Preimage{{Name: "scope", Value: sc.name}, {Name: "rows", Value: string(all)}}.Digest()
	work.Here = func(ctx context.Context) (cache.Entry, error) {
		e, err := nr.mapMissing(ctx, in, sc, missing)
		if err == nil {
			e.Made.Rows = all
		}
		return e, err
	}
	e, fresh, err := nr.obtain(ctx, inPlace{}, work)
	if err != nil {
		return nil, false, err
	}
	nr.x.Store.NoteRows(sc.name, e.Key)
	made, err = newMadeEntry(e)
	return made, fresh, err
}

// mapMissing maps rows of a piece and stores what was made of them.
func (nr *nodeRun) mapMissing(ctx context.Context, in *rows, sc *rowScope, missing []int) (e cache.Entry, err error) {
	mapper, release, err := nr.mapper.acquire(ctx)
	if err != nil {
		return e, err
	}
	defer release()
	return mapMissing(ctx, nr.composer, in, sc, mapper, missing)
}

func mapMissing(ctx context.Context, c *composer, in *rows, sc *rowScope, mapper Mapper, missing []int) (e cache.Entry, err error) {
	takes, err := estimate(c.stage, nil)
	if err != nil {
		return e, err
	}
	batch := takes.rowsAtOnce()
	out := &madeWriter{store: c.store}
	defer out.abort()
	first := 0 // row of the piece with which the record begins
	for rec, err := range c.read(ctx, in, sc.given) {
		if err != nil {
			return e, err
		}
		var at []int // places in the record
		for len(missing) > 0 && missing[0] < first+int(rec.NumRows()) {
			at = append(at, missing[0]-first)
			missing = missing[1:]
		}
		first += int(rec.NumRows())
		for len(at) > 0 {
			n := min(batch, len(at))
			if err := mapInto(ctx, mapper, rec, at[:n], out); err != nil {
				begin := first - int(rec.NumRows())
				return e, c.within(ctx, in, begin+at[0], begin+at[n-1], err)
			}
			at = at[n:]
		}
	}
	return out.commit(c)
}

// mapInto maps some rows of a record and writes what came of them.
func mapInto(ctx context.Context, mapper Mapper, rec arrow.Record, at []int, out *madeWriter) error {
	taken, err := record.TakeRows(rec, at)
	if err != nil {
		return err
	}
	defer taken.Release()
	mapped, err := mapper.Map(ctx, taken)
	if err != nil {
		return err
	}
	if mapped.Rows != nil {
		defer mapped.Rows.Release()
	}
	return out.write(mapped, len(at))
}

// madeWriter writes what is made of rows.
type madeWriter struct {
	store *cache.Store
	blob  *cache.BlobWriter
	file  *record.Writer

	schema  *arrow.Schema
	given   int
	counts  []int32
	plain   bool // each row gave one, so far
	columns map[string]cache.RowDigests
	rejects map[int]string
}

func (w *madeWriter) write(m Mapped, given int) (err error) {
	if w.counts == nil {
		w.plain, w.columns, w.rejects = true, map[string]cache.RowDigests{}, map[int]string{}
	}
	counts := m.Counts
	if counts == nil {
		counts = make([]int32, given)
		for i := range counts {
			if _, rejected := m.Rejects[i]; !rejected {
				counts[i] = 1
			}
		}
	}
	var rows, sum int64
	if m.Rows != nil {
		rows = m.Rows.NumRows()
	}
	for _, n := range counts {
		sum += int64(n)
		w.plain = w.plain && n == 1
	}
	if len(counts) != given || sum != rows {
		return fmt.Errorf("the stage made %d rows of %d, and says that it made %d", rows, given, sum)
	}
	for row, reason := range m.Rejects {
		w.rejects[w.given+row] = reason
	}
	w.counts = append(w.counts, counts...)
	w.given += given
	if m.Rows == nil {
		return nil
	}
	if w.file == nil {
		w.schema = m.Rows.Schema()
		if w.blob, err = w.store.NewBlob(); err != nil {
			return err
		}
		if w.file, err = record.NewWriter(w.blob, w.schema); err != nil {
			return err
		}
	}
	for i, f := range w.schema.Fields() {
		w.columns[f.Name] = append(w.columns[f.Name], segment.Digests(m.Rows.Column(i))...)
	}
	return w.file.Write(m.Rows)
}

// commit keeps what was made.
func (w *madeWriter) commit(c *composer) (e cache.Entry, err error) {
	if w.file == nil { // not one row: a blob of no column stands for that
		w.schema = arrow.NewSchema(nil, nil)
		if w.blob, err = w.store.NewBlob(); err != nil {
			return e, err
		}
		if w.file, err = record.NewWriter(w.blob, w.schema); err != nil {
			return e, err
		}
	}
	if err := w.file.Close(); err != nil {
		return e, err
	}
	chunk, err := w.blob.Commit(w.file.Rows())
	w.blob = nil
	if err != nil {
		return e, err
	}
	e.Outputs = map[string][]cache.Chunk{rowsOutput: {chunk}}
	e.Made = &cache.Made{Columns: w.columns, Rejects: w.rejects}
	if !w.plain {
		e.Made.Counts = w.counts
	}
	e.Made.Schema, err = c.putSchema(w.schema)
	return e, err
}

func (w *madeWriter) abort() {
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

// RejectsSchema is the schema of tables of rejected rows.
func RejectsSchema() *arrow.Schema { return rejectSchema }

func rejectTable(rejects []Reject) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, rejectSchema)
	defer b.Release()
	for _, r := range rejects {
		b.Field(0).(*array.StringBuilder).Append(r.ID)
		b.Field(1).(*array.StringBuilder).Append(r.Reason)
	}
	return b.NewRecord()
}

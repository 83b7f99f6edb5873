package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sourcegraph/conc/panics"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/budget"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// nodeRun is a node at work in one run.
type nodeRun struct {
	x        *execution
	node     *Node
	mode     mode
	recipe   string // digest
	outputs  map[string]*stream
	mapper   mapperHolder
	composer *composer // of a row-wise node
	busy     stopwatch
	waiting  sync.Once // to tell it once, not for every chunk
	noting   sync.Once

	bound    int64        // see Env.Memory
	takes    Resources    // as far as it is known before anything runs
	keep     *budget.Keep // the memory of the open mapper
	decided  atomic.Bool  // it is known whether it has to be computed
	finished atomic.Bool

	mu      sync.Mutex
	keys    []string        // of the chunks handed on
	kept    []string        // of what was computed, handed on or not, and of parts
	derived map[string]bool // keys of what was derived from source files, such as indexes of archives
	counted map[string]bool // keys of the parts that were told of
	ended   StageEnded
	seen    int64 // rows that went in
	err     error

	foreseen error // why it would fail, by what a source found
	stops    bool  // the run ends with it, though it has not failed

	overview *Overview // of a source
}

func newNodeRun(x *execution, n *Node, m mode) *nodeRun {
	nr := &nodeRun{
		x: x, node: n, mode: m, recipe: n.Recipe.Digest(), outputs: map[string]*stream{RejectsPort: newStream()},
		ended: StageEnded{Event: "stage", Stage: n.Name, Uses: n.Kind.Name}, counted: map[string]bool{},
		derived: map[string]bool{},
	}
	for _, p := range n.Kind.Outputs {
		nr.outputs[p.Name] = newStream()
	}
	nr.takes, _ = estimate(n.Stage, nil) // Fits has told of errors
	nr.keep = &budget.Keep{Memory: nr.takes.Memory, Drop: func() {
		if err := nr.mapper.idle(); err != nil {
			x.log(n.Name, "%v", err)
		}
	}}
	return nr
}

// run does the node's work and tells how it ended.
func (nr *nodeRun) run(ctx context.Context) {
	err := panicsAsErrors(func() error {
		nr.x.emit(StageStarted{Event: "start", Stage: nr.node.Name, Uses: nr.node.Kind.Name})
		if stage, ok := nr.node.Stage.(RowWise); ok {
			return nr.runRows(ctx, stage)
		}
		if stage, ok := nr.node.Stage.(WholeTable); ok {
			return nr.node.placed(nr.runTable(ctx, stage))
		}
		return fmt.Errorf("stage kind %s is neither row-wise nor whole-table", nr.node.Kind.Name)
	})
	if err == nil {
		err = nr.tooManyRejects(ctx, true)
	}
	if errors.Is(err, syscall.EMFILE) {
		err = fmt.Errorf("%w: this process may not have as many files open at once as it needs: raise the limit (ulimit -n), or work on less at once with --jobs", err)
	}
	err = errors.Join(err, nr.mapper.close())
	if nr.x.budget != nil {
		nr.x.budget.Forget(nr.keep)
	}

	nr.mu.Lock()
	nr.stops = errors.Is(err, errForeseen)
	if err != nil && nr.foreseen != nil {
		err = nr.foreseen
	}
	nr.err = err
	e := &nr.ended
	e.Seconds = nr.busy.total().Seconds()
	if _, rowWise := nr.node.Stage.(RowWise); rowWise && e.ChunksComputed == e.Chunks {
		e.Cost = e.Seconds
	}
	if err != nil {
		e.Chunks = max(e.Chunks, nr.expected()) // it ended early and had more to do
	}
	if e.ChunksComputed > 0 {
		e.Notes = nr.node.Notes()
	}
	switch {
	case err == nil && e.ChunksComputed == 0:
		e.Cache = "hit"
	case err == nil && e.ChunksComputed < e.Chunks:
		e.Cache = "partial"
	case err == nil:
		e.Cache = "miss"
	case errors.Is(err, errSkipped) || errors.Is(context.Cause(ctx), errSkipped) && errors.Is(err, context.Canceled):
		nr.err = errSkipped
		e.Cache = "skipped"
	case errors.Is(err, context.Canceled):
		e.Cache = "interrupted"
	default:
		e.Cache, e.Error = "failed", err.Error()
	}
	ended := *e
	nr.mu.Unlock()

	nr.finished.Store(true) // before those that wait for it go on
	defer nr.decide()
	for _, s := range nr.outputs {
		if nr.err != nil {
			s.close(errSkipped)
		} else {
			s.close(nil)
		}
	}
	if nr.err == nil {
		ended.Digest = nr.digest()
		nr.mu.Lock()
		nr.ended.Digest = ended.Digest
		nr.mu.Unlock()
	}
	nr.x.emit(ended)
}

// panicsAsErrors runs f; a panic becomes an error that tells where it was.
func panicsAsErrors(f func() error) (err error) {
	if p := panics.Try(func() { err = f() }); p != nil {
		return fmt.Errorf("internal error, please report it: %v\n%s", p.Value, p.Stack)
	}
	return err
}

// digest of the first output: what the stage is known by.
func (nr *nodeRun) digest() string {
	port := RejectsPort
	if len(nr.node.Kind.Outputs) > 0 {
		port = nr.node.Kind.Outputs[0].Name
	}
	return nr.artifact(port).Digest()
}

func (nr *nodeRun) artifact(port string) *Artifact {
	s := nr.outputs[port]
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &Artifact{store: nr.x.Store, name: nr.node.Name, coordinates: nr.node.Coordinates, chunks: s.chunks}
	if port == RejectsPort {
		a.empty = rejectSchema
	}
	return a
}

func (nr *nodeRun) result() *NodeResult {
	r := &NodeResult{Node: nr.node, Ended: nr.ended, Err: nr.x.graph.hideError(nr.err), Overview: nr.overview}
	r.Ended.Error = nr.x.graph.Hide(r.Ended.Error)
	if nr.err == nil {
		r.Outputs = map[string]*Artifact{}
		for port := range nr.outputs {
			r.Outputs[port] = nr.artifact(port)
		}
	}
	return r
}

func (nr *nodeRun) latest() cache.LatestNode {
	l := cache.LatestNode{
		Name: nr.node.Name, Stage: nr.node.Kind.Name, Recipe: nr.recipe,
		Keys: slices.Concat(nr.keys, sortedKeys(nr.derived)), Outputs: map[string][]cache.Chunk{},
	}
	for _, e := range nr.node.Inputs {
		if from := nr.x.nodes[e.From]; from != nil {
			l.Inputs = append(l.Inputs, cache.InputRef{Port: e.Port, Name: e.From.Name, Digest: from.artifact(e.FromPort).Digest()})
		}
	}
	for port := range nr.outputs {
		for _, c := range nr.artifact(port).Blobs() {
			l.Outputs[port] = append(l.Outputs[port], c.Brief())
		}
	}
	return l
}

// unfinished is what there is of a node that did not end well, with what an
// earlier run, that did not end well either, left of the same work.
func (nr *nodeRun) unfinished(before cache.LatestNode) cache.LatestNode {
	l := cache.LatestNode{Name: nr.node.Name, Stage: nr.node.Kind.Name, Recipe: nr.recipe, Keys: slices.Concat(nr.keys, nr.kept)}
	switch {
	case len(l.Keys) == 0 && len(before.Keys) > 0:
		l = before
	case before.Recipe == l.Recipe:
		l.Keys = append(l.Keys, before.Keys...)
	}
	l.Keys = append(l.Keys, sortedKeys(nr.derived)...)
	slices.Sort(l.Keys)
	l.Keys = slices.Compact(l.Keys)
	return l
}

// env is what the stage is lent.
func (nr *nodeRun) env(threads int) *Env {
	return &Env{
		Seed: nr.node.Seed, Threads: threads, Dir: nr.x.graph.dir(), Files: nr.x.index.Noting(nr.noteDerived),
		Progress: func(done, total int64, unit string) {
			nr.x.emit(StageProgress{Event: "progress", Stage: nr.node.Name, Done: done, Total: total, Unit: unit})
		},
		ProgressWithin: func(done, total int64, unit string, part, parts int64, smaller string) {
			nr.x.emit(StageProgress{Event: "progress", Stage: nr.node.Name, Done: done, Total: total, Unit: unit, Part: part, Parts: parts, PartUnit: smaller})
		},
		Log: func(format string, args ...any) { nr.x.log(nr.node.Name, format, args...) },
	}
}

// noteDerived notes what was derived from a source file: it is kept as long as the node's results.
func (nr *nodeRun) noteDerived(key string) {
	nr.mu.Lock()
	known := nr.derived[key]
	nr.derived[key] = true
	nr.mu.Unlock()
	if !known {
		nr.x.emit(FileDerived{Event: "derived", Stage: nr.node.Name, Key: key})
	}
}

// side waits for the inputs from index first on and returns them by port,
// with what they add to keys.
func (nr *nodeRun) side(ctx context.Context, first int) (map[string][]Input, []cache.InputRef, error) {
	inputs := map[string][]Input{}
	var refs []cache.InputRef
	for _, e := range nr.node.Inputs[first:] {
		from := nr.x.nodes[e.From]
		if _, err := from.outputs[e.FromPort].all(ctx); err != nil {
			return nil, nil, err
		}
		a := from.artifact(e.FromPort)
		ref := cache.InputRef{Port: e.Port, Digest: a.Digest()}
		if e.Many {
			// Stages may name the members of a list, so names matter there.
			a.name = e.name()
			ref.Name = a.Name()
		} else {
			a.name, a.coordinates = e.Port, nil
		}
		inputs[e.Port] = append(inputs[e.Port], a)
		refs = append(refs, ref)
	}
	return inputs, refs, nil
}

// key is the digest of a recipe and inputs.
func key(recipe string, inputs []cache.InputRef) string {
	p := cache.Preimage{{Name: "recipe", Value: recipe}}
	for _, in := range inputs {
		p = append(p, cache.Field{Name: "input." + in.Port, Value: in.Digest})
		if in.Name != "" {
			p = append(p, cache.Field{Name: "name." + in.Port, Value: in.Name})
		}
	}
	return p.Digest()
}

// work describes a piece of the node's work.
func (nr *nodeRun) work(inputs []cache.InputRef, here func(ctx context.Context) (cache.Entry, error)) Work {
	work := Work{
		Node: nr.node.Name, Kind: nr.node.Kind.Name, Params: nr.node.Params, Seed: nr.node.Seed,
		Recipe: nr.node.Recipe, Inputs: inputs, Key: key(nr.recipe, inputs), Here: here,
	}
	if _, ok := nr.node.Stage.(RowWise); ok {
		work.Need = nr.chunkNeed()
	}
	return work
}

// composes tells whether the work may only put together what is in the cache: a
// chunk of a row-wise node, of whose rows none may be missing.
func (nr *nodeRun) composes(work Work) bool {
	return nr.composer != nil && work.Inputs[0].Port != missingRows
}

// obtain returns the entry of a piece of work from the cache, or has it done;
// computed tells which.
func (nr *nodeRun) obtain(ctx context.Context, executor Executor, work Work) (e cache.Entry, computed bool, err error) {
	store := nr.x.Store
	lookup := func() (cache.Entry, error) {
		if _, fresh := nr.x.made.Load(work.Key); nr.mode.force && !fresh {
			return cache.Entry{}, cache.ErrMissing
		}
		return store.Lookup(work.Key)
	}
	e, err = lookup()
	switch {
	case err == nil:
		return e, false, nil
	case !isDamage(err):
		return e, false, err
	case nr.mode.lookup && !nr.composes(work):
		return e, false, fmt.Errorf("it was asked for from the cache, but is not there: run with --until %s first", nr.node.Declared.Name)
	case err != cache.ErrMissing: // there was an entry, but it or its blobs are damaged
		nr.x.log(nr.node.Name, "%v: computed again", err)
	}
	unlock, err := nr.lock(ctx, work.Key, func() {
		nr.waiting.Do(func() { nr.x.log(nr.node.Name, "another stage or run is computing the same: waiting for it") })
	})
	if nr.composes(work) && cache.IsReadOnly(err) {
		unlock, err = func() {}, nil // nothing is written; of rows that are missing, the lock fails
	}
	if err != nil {
		return e, false, err
	}
	defer unlock()
	if e, err = lookup(); err == nil {
		return e, false, nil
	}
	e, err = nr.compute(ctx, executor, work)
	return e, !e.Composed, err
}

// compute has the work done and keeps the result.
func (nr *nodeRun) compute(ctx context.Context, executor Executor, work Work) (e cache.Entry, err error) {
	started := time.Now()
	here := work.Here
	work.Here = func(ctx context.Context) (e cache.Entry, err error) {
		nr.busy.start()
		defer nr.busy.stop()
		started = time.Now() // waiting for a grant is not work
		nr.noting.Do(func() {
			for _, note := range nr.node.Notes() {
				nr.x.log(nr.node.Name, "%s", note)
			}
		})
		err = panicsAsErrors(func() error {
			var err error
			e, err = here(ctx)
			return err
		})
		return e, err
	}
	if e, err = executor.Execute(ctx, work); err != nil {
		return e, nr.writeError(err)
	}
	e.Key, e.Stage, e.Inputs = work.Key, nr.node.Kind.Name, work.Inputs
	if e.Recipe, err = nr.x.Store.SaveRecipe(work.Recipe); err != nil && !(e.Composed && cache.IsReadOnly(err)) {
		return e, nr.writeError(err)
	}
	e.Seconds, e.Created = time.Since(started).Seconds(), started.UTC()
	e.Cost += e.Seconds
	if err := nr.x.Store.Commit(e); err != nil {
		return e, nr.writeError(err)
	}
	if _, long := nr.node.Stage.(WholeTable); long {
		nr.x.Store.Checkpoint(work.Key).Remove() // not before the result is safe
	}
	nr.x.made.Store(e.Key, true)
	nr.mu.Lock()
	nr.kept = append(nr.kept, e.Key)
	nr.mu.Unlock()
	return e, nil
}

// inPlace does work at once: its caller has a grant already.
type inPlace struct{}

func (inPlace) Execute(ctx context.Context, work Work) (cache.Entry, error) { return work.Here(ctx) }

// writeError adds, to faults of the disk, what can be done.
func (nr *nodeRun) writeError(err error) error {
	switch {
	case err == nil || errors.As(err, new(*unwritten)) || !nr.x.Store.Concerns(err):
		return err
	case cache.IsFull(err):
		return &unwritten{err, fmt.Sprintf("the disk with the cache %s is full; what was finished is kept: make room, `tlpipe cache gc` may help, and run again", nr.x.Store.Dir())}
	case cache.IsReadOnly(err):
		return &unwritten{err, fmt.Sprintf("the cache %s is read-only: choose another with --cache", nr.x.Store.Dir())}
	}
	return err
}

// unwritten is an error of the cache, with what people can do.
type unwritten struct {
	err  error
	hint string
}

func (e *unwritten) Error() string { return e.err.Error() + ": " + e.hint }
func (e *unwritten) Unwrap() error { return e.err }

// again returns the way to make a damaged result anew.
func (nr *nodeRun) again(work Work) func(ctx context.Context) (cache.Entry, error) {
	return func(ctx context.Context) (cache.Entry, error) {
		unlock, err := nr.lock(ctx, work.Key, nil)
		if err != nil {
			return cache.Entry{}, err
		}
		defer unlock()
		if e, err := nr.x.Store.Lookup(work.Key); err == nil {
			return e, nil // another reader found the damage too, and mended it
		}
		nr.x.log(nr.node.Name, "a result is damaged or missing in the cache: computed again")
		e, err := nr.compute(ctx, inPlace{}, work)
		if err != nil {
			return e, fmt.Errorf("compute stage %s again: %w", nr.node.Name, err)
		}
		return e, nil
	}
}

// accept adds a chunk's entry to the outputs and counts it.
func (nr *nodeRun) accept(ctx context.Context, e cache.Entry, chunk int, rowsIn int64, computed bool, restore func(context.Context) (cache.Entry, error)) error {
	var rows, rejects int64
	for i, p := range nr.node.Kind.Outputs {
		for j, c := range e.Outputs[p.Name] {
			nr.outputs[p.Name].add(chunkRef{c, restored(restore, p.Name, j)})
			if i == 0 {
				rows += c.Rows
			}
		}
	}
	for j, c := range e.Outputs[RejectsPort] {
		nr.outputs[RejectsPort].add(chunkRef{c, restored(restore, RejectsPort, j)})
		rejects += c.Rows
	}
	nr.mu.Lock()
	nr.keys = append(nr.keys, e.Key)
	nr.keys = append(nr.keys, e.Parts...)
	nr.ended.Chunks++
	done := ChunkDone{Event: "chunk", Stage: nr.node.Name, Chunk: chunk, Cached: !computed, Rows: rows, Rejects: rejects, Key: e.Key}
	if computed {
		nr.ended.ChunksComputed++
		done.Seconds = e.Seconds
	}
	if _, rowWise := nr.node.Stage.(RowWise); !rowWise {
		nr.ended.Cost, nr.ended.Shares = e.Cost, e.Shares
	}
	nr.ended.Rows += rows
	nr.ended.Rejects += rejects
	nr.seen += rowsIn
	nr.mu.Unlock()
	done.Chunks = nr.expected()
	nr.x.emit(done)
	return nr.tooManyRejects(ctx, false)
}

// expected is how many chunks the node has, -1 if that is not known.
func (nr *nodeRun) expected() int {
	if _, rowWise := nr.node.Stage.(RowWise); !rowWise {
		return 1 // its work is one piece, in however many blobs it rests
	}
	if len(nr.node.Kind.Outputs) == 0 {
		return -1
	}
	s := nr.outputs[nr.node.Kind.Outputs[0].Name]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// tooManyRejects fails the node if its rejects pass what is allowed; shares
// are judged at the end.
func (nr *nodeRun) tooManyRejects(ctx context.Context, end bool) error {
	nr.mu.Lock()
	c := counts{nr.ended.Rejects, nr.ended.Rows, nr.seen}
	nr.mu.Unlock()
	return nr.node.Declared.tooManyRejects(c, end, func() string { return firstReject(ctx, nr.artifact(RejectsPort)) })
}

// counts are the rows of a node: rejected, made, and gone in.
type counts struct{ rejects, rows, seen int64 }

// tooManyRejects is the error of a stage whose rejects pass what is allowed.
// Until the end, shares are not judged. first tells of the first of them.
func (st *StageSpec) tooManyRejects(c counts, end bool, first func() string) error {
	if c.rejects == 0 {
		return nil
	}
	switch {
	case st.OnError == FailOnError:
		return fmt.Errorf("a row failed, and on_error is fail: %s", first())
	case end && c.rows == 0:
		if c.rejects == 1 {
			return fmt.Errorf("nothing is left: %s", first())
		}
		return fmt.Errorf("all %d rows were rejected; the first: %s", c.rejects, first())
	case st.MaxRejects.Share > 0 && !end:
		return nil
	case st.MaxRejects.exceeded(c.rejects, c.seen):
		return fmt.Errorf("%d rows of %d were rejected, more than max_rejects (%s) allows; the first: %s", c.rejects, c.seen, st.MaxRejects, first())
	}
	return nil
}

func firstReject(ctx context.Context, rejects Input) string {
	for rec, err := range rejects.Batches(ctx) {
		if err != nil {
			return err.Error()
		}
		for i := range int(rec.NumRows()) {
			return rec.Column(0).ValueStr(i) + ": " + rec.Column(1).ValueStr(i)
		}
	}
	return "(none recorded)"
}

// putRejects stores rejects as a table of id and reason.
func putRejects(store *cache.Store, rejects []Reject) ([]cache.Chunk, error) {
	if len(rejects) == 0 {
		return nil, nil
	}
	rec := rejectTable(rejects)
	defer rec.Release()
	raw, err := record.Encode(rec)
	if err != nil {
		return nil, fmt.Errorf("write %s rejects: %w", strconv.Itoa(len(rejects)), err)
	}
	c, err := store.PutOrHold(raw, rec.NumRows(), true)
	return []cache.Chunk{c}, err
}

// stopwatch measures the time during which at least one of several pieces of
// work is going on.
type stopwatch struct {
	mu     sync.Mutex
	active int
	since  time.Time
	sum    time.Duration
}

func (w *stopwatch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active++; w.active == 1 {
		w.since = time.Now()
	}
}

func (w *stopwatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active--; w.active == 0 {
		w.sum += time.Since(w.since)
	}
}

func (w *stopwatch) total() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sum
}

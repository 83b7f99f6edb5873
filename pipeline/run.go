package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sourcegraph/conc"

	"github.com/tlpipe/tlpipe/pipeline/budget"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// Runner runs and plans graphs over one cache.
type Runner struct {
	Store     *cache.Store
	Jobs      int  // how many threads are kept busy; 0: as many as processors
	KeepGoing bool // after a failure, go on with what does not depend on it
	Selection Selection

	// Memory is how many bytes stages may take together, as they estimate it;
	// 0: three quarters of the machine's. Machine is what the machine has: a
	// stage that needs more is refused; 0: not known.
	Memory, Machine int64

	// Executor does the work; nil: this process does, within Jobs and Memory.
	Executor Executor

	// Observe is told what happens, one event at a time; it may be nil.
	Observe func(Event)
}

// Selection narrows a run to some stages. Names are those of stages as
// declared, or of single nodes.
type Selection struct {
	Only  []string // these alone; what they take must be in the cache
	From  []string // these and what follows; what comes before must be in the cache
	Until []string // these and what they need
	Force []string // compute these even if they are in the cache
}

// Result is what became of a run.
type Result struct {
	Run     string
	Status  string // ok, failed or interrupted
	Started time.Time
	Seconds float64
	Nodes   []*NodeResult // in the order of the graph; only those selected or looked up
	Err     error         // the root failures, joined; nil if Status is ok
	Dir     string        // the run's folder in the cache, for journal and report; "" if the cache cannot be written
	Journal *Journal      // open: the caller writes RunEnded and closes it

	close func() error
}

// Close frees what the run's artifacts may still need to be read.
func (r *Result) Close() error { return r.close() }

// NodeResult is what became of a node.
type NodeResult struct {
	Node    *Node
	Ended   StageEnded
	Outputs map[string]*Artifact // by port, with the rejects; only if it ended well
	Err     error

	Overview *Overview // what a source found; nil for other stages
}

// Node returns the result of the named node.
func (r *Result) Node(name string) (*NodeResult, bool) {
	for _, n := range r.Nodes {
		if n.Node.Name == name {
			return n, true
		}
	}
	return nil, false
}

// errSkipped marks nodes that did not run because of another's failure.
var errSkipped = errors.New("not run")

// errForeseen marks sources whose rows are such that another stage would fail.
var errForeseen = fmt.Errorf("%w: a stage that takes its rows would fail", errSkipped)

// Run computes what is not in the cache. The error tells of faults before
// anything ran; failures of stages are in the Result.
func (r *Runner) Run(ctx context.Context, g *Graph) (*Result, error) {
	selected, err := r.Selection.resolve(g)
	if err != nil {
		return nil, err
	}
	if err := g.fits(r.Machine, r.Budget(), func(n *Node) bool { m, ok := selected[n]; return ok && !m.lookup }); err != nil {
		return nil, err
	}
	started := time.Now()
	x := &execution{
		Runner: r, graph: g, nodes: map[*Node]*nodeRun{},
		index: r.Store.StatIndex(), executor: r.Executor,
	}
	if x.executor == nil {
		x.budget = budget.New(r.jobs(), r.Budget())
		x.executor = local{x.budget}
	}
	result := &Result{Run: runID(started), Started: started, close: x.close}
	if err := x.openJournal(result); err != nil {
		return nil, err
	}
	x.journal.Write(g.started())
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, n := range g.Nodes {
		if mode, ok := selected[n]; ok {
			x.nodes[n] = newNodeRun(x, n, mode)
		}
	}
	var group conc.WaitGroup
	for _, n := range g.Nodes {
		if nr := x.nodes[n]; nr != nil {
			group.Go(func() {
				if nr.run(runCtx); nr.err != nil && !r.KeepGoing && (nr.stops || !errors.Is(nr.err, errSkipped)) && ctx.Err() == nil {
					cancel(errSkipped)
				}
			})
		}
	}
	group.Wait()

	if err := x.index.Save(); err != nil {
		x.log("", "%v", err)
	}
	result.Status = "ok"
	var failures []error
	for _, n := range g.Nodes {
		nr := x.nodes[n]
		if nr == nil {
			continue
		}
		result.Nodes = append(result.Nodes, nr.result())
		if nr.err != nil && nr.ended.Cache == "failed" {
			failures = append(failures, fmt.Errorf("stage %s: %w", n.Name, nr.err))
			result.Status = "failed"
		}
	}
	if ctx.Err() != nil {
		result.Status = "interrupted"
		failures = append(failures, errors.New("interrupted; what was finished is kept"))
	}
	result.Err = g.hideError(errors.Join(failures...))
	if err := x.saveLatest(result); err != nil {
		x.log("", "%v", err)
	}
	result.Seconds = time.Since(started).Seconds()
	return result, nil
}

func (r *Runner) jobs() int {
	if r.Jobs > 0 {
		return r.Jobs
	}
	return runtime.GOMAXPROCS(0)
}

// Budget is how many bytes stages may take together; 0: not limited.
func (r *Runner) Budget() int64 {
	if r.Memory > 0 {
		return r.Memory
	}
	return r.Machine / 4 * 3
}

// runID sorts by time and is unique.
func runID(t time.Time) string {
	return t.UTC().Format("20060102-150405") + "-" + uuid.NewString()[:6]
}

// mode is what a run does with a node.
type mode struct {
	lookup bool // take it from the cache or fail
	force  bool // compute it even if it is in the cache
}

// resolve tells what to do with each node; nodes that are absent are not
// touched.
func (s Selection) resolve(g *Graph) (map[*Node]mode, error) {
	find := func(flag string, names []string) (map[*Node]bool, error) {
		out := map[*Node]bool{}
		for _, name := range names {
			found := g.Instances(name)
			if n, ok := g.Node(name); ok {
				found = append(found, n)
			}
			if len(found) == 0 {
				var known []string
				for _, n := range g.Nodes {
					if !slices.Contains(known, n.Declared.Name) {
						known = append(known, n.Declared.Name)
					}
				}
				return nil, &UsageError{fmt.Sprintf("--%s %s: the pipeline has no such stage; it has %v", flag, name, known)}
			}
			for _, n := range found {
				out[n] = true
			}
		}
		return out, nil
	}
	only, err1 := find("only", s.Only)
	from, err2 := find("from", s.From)
	until, err3 := find("until", s.Until)
	force, err4 := find("force", s.Force)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	needed := map[*Node]bool{} // by what runs
	work := map[*Node]bool{}   // what may be computed
	for _, n := range g.Nodes {
		after := from[n]
		for _, e := range n.Inputs {
			after = after || from[e.From]
		}
		if after {
			from[n] = true
		}
		work[n] = (len(only) == 0 || only[n]) && (len(from) == 0 || after)
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		wanted := until[n] || (len(until) == 0 && work[n])
		if wanted || needed[n] {
			needed[n] = true
			for _, e := range n.Inputs {
				needed[e.From] = true
			}
		}
	}
	out := map[*Node]mode{}
	for n := range needed {
		out[n] = mode{lookup: !work[n], force: force[n]}
	}
	for _, n := range g.Nodes {
		if force[n] && (!needed[n] || !work[n]) {
			return nil, &UsageError{fmt.Sprintf("--force %s: the other flags leave this stage out", n.Name)}
		}
	}
	return out, nil
}

// UsageError is a mistake in what was asked for, not in the work.
type UsageError struct{ Message string }

func (e *UsageError) Error() string { return e.Message }

// execution is one run.
type execution struct {
	*Runner
	graph    *Graph
	nodes    map[*Node]*nodeRun
	index    *cache.StatIndex
	executor Executor
	budget   *budget.Budget // nil if another executor does the work
	journal  *Journal
	observe  sync.Mutex
	made     sync.Map // keys of what this run computed: forced work is done once

	listing sync.Mutex
	listed  map[*Node]*Overview // what sources found so far
}

func (x *execution) openJournal(result *Result) error {
	dir, err := x.Store.RunDir(result.Run)
	if err == nil {
		var f *os.File
		f, err = os.OpenFile(filepath.Join(dir, "journal.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
		if err == nil {
			result.Dir, result.Journal = dir, NewJournal(f)
			x.journal = result.Journal
			return nil
		}
	}
	switch {
	case cache.IsReadOnly(err):
		x.log("", "the cache %s is read-only: what is in it can be used, but nothing new is kept", x.Store.Dir())
	case cache.IsFull(err):
		x.log("", "the disk with the cache %s is full: what is in it can be used, but nothing new is kept", x.Store.Dir())
	default:
		return err
	}
	return nil
}

// foresee takes in what a source found, and tells which of the nodes would fail by all that is known now, and why. What several would
// fail of, such as the instances of a matrix, is told of the first of them.
func (x *execution) foresee(source *Node, o *Overview, nodes []*Node) []foreseen {
	x.listing.Lock()
	defer x.listing.Unlock()
	if x.listed == nil {
		x.listed = map[*Node]*Overview{}
	}
	x.listed[source] = o
	var out []foreseen
	told := map[string]bool{}
	for _, n := range nodes {
		var errs []error
		for _, lack := range n.lacks(source, o) {
			errs = append(errs, errors.New(lack))
		}
		err := errors.Join(append(errs, n.foresee(x.listed))...)
		if err == nil || told[n.Declared.Name+err.Error()] {
			continue
		}
		told[n.Declared.Name+err.Error()] = true
		out = append(out, foreseen{n, err})
	}
	return out
}

// foreseen is a node that would fail, and why.
type foreseen struct {
	node *Node
	err  error
}

// fail has nodes fail before they have begun, by what a source has found.
func (x *execution) fail(nodes []foreseen) {
	for _, f := range nodes {
		nr := x.nodes[f.node]
		nr.mu.Lock()
		if nr.foreseen == nil {
			nr.foreseen = f.err
		}
		nr.mu.Unlock()
	}
}

// working lists the nodes that the run may compute.
func (x *execution) working() []*Node {
	var out []*Node
	for _, n := range x.graph.Nodes {
		if nr := x.nodes[n]; nr != nil && !nr.mode.lookup {
			out = append(out, n)
		}
	}
	return out
}

// emit passes an event on, one at a time.
func (x *execution) emit(e Event) {
	switch told := e.(type) {
	case LogLine:
		told.Text = x.graph.Hide(told.Text)
		e = told
	case StageEnded:
		told.Error = x.graph.Hide(told.Error)
		e = told
	}
	if _, chatty := e.(StageProgress); !chatty {
		x.journal.Write(e)
	}
	if x.Observe != nil {
		x.observe.Lock()
		defer x.observe.Unlock()
		x.Observe(e)
	}
}

func (x *execution) log(stage, format string, args ...any) {
	x.emit(LogLine{Event: "log", Stage: stage, Text: fmt.Sprintf(format, args...)})
}

func (x *execution) close() error {
	var errs []error
	for _, nr := range x.nodes {
		errs = append(errs, nr.mapper.close())
	}
	return errors.Join(errs...)
}

// saveLatest records what the nodes that ended well used; others keep what an
// earlier run recorded.
func (x *execution) saveLatest(result *Result) error {
	if result.Dir == "" {
		return nil
	}
	id := cache.PipelineID(x.graph.Name, x.graph.File)
	before, err := x.Store.Latest(id)
	if err != nil && !errors.Is(err, cache.ErrMissing) {
		return err
	}
	now := cache.Latest{Pipeline: x.graph.Name, File: x.graph.File, Run: result.Run, Time: result.Started.UTC()}
	for _, n := range x.graph.Nodes {
		nr := x.nodes[n]
		if nr != nil && nr.err == nil {
			now.Nodes = append(now.Nodes, nr.latest())
			continue
		}
		if old, ok := before.Node(n.Name); ok {
			now.Nodes = append(now.Nodes, old)
		}
		begun, _ := before.UnfinishedNode(n.Name)
		if nr != nil {
			begun = nr.unfinished(begun)
		}
		if len(begun.Keys) > 0 {
			now.Unfinished = append(now.Unfinished, begun)
		}
	}
	return x.Store.SaveLatest(id, now)
}

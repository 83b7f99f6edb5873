package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/pipeline/budget"
)

// Resources are what a stage takes while it is at work, about. The runner
// grants them from what there is; results do not depend on it.
type Resources struct {
	// Threads is how many threads the stage can keep busy; 0: any number. Of
	// row-wise stages the runner decides.
	Threads int

	// Memory is in bytes: what a whole-table stage takes while it runs, or a
	// row-wise stage as long as it is open.
	Memory int64

	// Least is what a whole-table stage can do with in more time, in bytes; 0: Memory. It is told if it gets less than Memory,
	// see [Env.Memory].
	Least int64

	// A row-wise stage takes more while it maps: so much for each thread, and
	// for each row that is mapped at once. PerRow depends on nothing but the
	// recipe and the input.
	PerThread, PerRow int64
}

// Estimator is implemented by stages that can estimate what they take. The
// others are taken to need little memory.
type Estimator interface {
	// Estimate is called after Check: with no inputs when a pipeline is
	// planned, for the least that the stage may take, and by whole-table stages
	// again with their inputs before they run. It must be quick, and reads no
	// rows.
	Estimate(inputs map[string][]Input) (Resources, error)
}

// least is what a stage takes at least, however few rows are mapped at once.
func (r Resources) least() int64 { return plus(r.granted(1), plus(r.PerThread, r.PerRow)) }

// granted is the memory that a whole-table stage gets where stages may take so much together; 0: any amount.
func (r Resources) granted(together int64) int64 {
	if r.Least <= 0 || r.Least >= r.Memory || together <= 0 {
		return r.Memory
	}
	return min(r.Memory, max(r.Least, together))
}

// plus adds without overflow: estimates may be of any size.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func times(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

// estimate is what a stage takes, with the inputs known so far.
func estimate(stage Stage, inputs map[string][]Input) (Resources, error) {
	estimator, ok := stage.(Estimator)
	if !ok {
		return Resources{}, nil
	}
	r, err := estimator.Estimate(inputs)
	if err != nil {
		return r, fmt.Errorf("estimate what it takes: %w", err)
	}
	return r, nil
}

// TooLarge is the error of a stage that needs more memory than there is, or of which a single row, which cannot be
// divided, takes more than the runner may grant.
type TooLarge struct {
	Need, Have int64 // bytes
	Row        bool
}

func (e *TooLarge) Error() string {
	if e.Row {
		return fmt.Sprintf("each of its rows takes about %s of memory, and stages may take %s together (--memory)", inBytes(e.Need), inBytes(e.Have))
	}
	return fmt.Sprintf("it needs about %s of memory, and the machine has %s", inBytes(e.Need), inBytes(e.Have))
}

func inBytes(n int64) string {
	for i, unit := range []string{"EB", "PB", "TB", "GB", "MB", "kB"} {
		if size := math.Pow(1000, float64(6-i)); float64(n) >= size {
			return fmt.Sprintf("%.3g %s", float64(n)/size, unit)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// Fits refuses a graph with stages that need more memory than the runner's
// machine has, or rows larger than its budget, as far as that is known before
// anything runs. The error holds Problems.
func (r *Runner) Fits(g *Graph) error {
	return g.fits(r.Machine, r.Budget(), func(*Node) bool { return true })
}

// fits is Fits of some nodes.
func (g *Graph) fits(machine, budget int64, chosen func(*Node) bool) error {
	r := g.reporter()
	for _, n := range g.Nodes {
		if !chosen(n) {
			continue
		}
		needs, err := estimate(n.Stage, nil)
		switch {
		case err != nil:
		case machine > 0 && needs.least() > machine:
			err = &TooLarge{Need: needs.least(), Have: machine}
		case budget > 0 && needs.PerRow > budget:
			err = &TooLarge{Need: needs.PerRow, Have: budget, Row: true}
		}
		if large := new(TooLarge); errors.As(err, &large) {
			r.at(n.Declared.uses, "smaller pictures, a smaller batch or another network need less", "stage %s: %v", n.Name, large)
		} else if err != nil {
			r.at(n.Declared.uses, "", "stage %s: %v", n.Name, err)
		}
	}
	return r.err()
}

// mapMemory bounds what the rows take that are mapped at once, and mostRows
// how many they are: what a stage makes of them is written before the next are
// mapped, so that memory does not grow with the length of a chunk.
const (
	mapMemory = 256 << 20
	mostRows  = 32
)

// rowsAtOnce is how many rows are mapped at once. The rows' size decides, and
// not the budget, since what is written depends on it.
func (r Resources) rowsAtOnce() int {
	return int(min(max(mapMemory/max(r.PerRow, 1), 1), mostRows))
}

// chunkNeed is what mapping a chunk takes.
func (nr *nodeRun) chunkNeed() budget.Need {
	r, threads := nr.takes, nr.mapperThreads()
	need := budget.Need{Least: threads, Most: threads, Memory: plus(times(r.PerThread, int64(threads)), times(r.PerRow, int64(r.rowsAtOnce())))}
	if r.Memory > 0 {
		need.Keep = nr.keep
	}
	return need
}

// tableNeed is what a whole-table stage takes. An error says that there is not
// so much.
func (nr *nodeRun) tableNeed(inputs map[string][]Input) (budget.Need, error) {
	r, err := estimate(nr.node.Stage, inputs)
	if err != nil {
		return budget.Need{}, err
	}
	memory := r.granted(nr.x.Budget())
	if memory < r.Memory {
		nr.bound = memory
	}
	if have := nr.x.Machine; have > 0 && memory > have {
		return budget.Need{}, &TooLarge{Need: memory, Have: have}
	}
	most := r.Threads
	if most == 0 {
		most = nr.x.jobs()
	}
	return budget.Need{
		Least: 1, Most: most, Memory: memory,
		Settled: nr.x.settled, Queued: func() { nr.decided.Store(true) },
	}, nil
}

// settled tells whether it is known of all whole-table nodes with complete
// inputs whether they have to be computed: those that do share the threads.
func (x *execution) settled() bool {
	for _, nr := range x.nodes {
		if !nr.decided.Load() && nr.ready() {
			return false
		}
	}
	return true
}

// ready tells whether the node is a whole-table stage whose inputs are complete.
func (nr *nodeRun) ready() bool {
	if _, ok := nr.node.Stage.(WholeTable); !ok {
		return false
	}
	for _, e := range nr.node.Inputs {
		if !nr.x.nodes[e.From].finished.Load() {
			return false
		}
	}
	return true
}

// decide notes that it is known whether the node has to be computed.
func (nr *nodeRun) decide() {
	if !nr.decided.Swap(true) && nr.x.budget != nil {
		nr.x.budget.Settle()
	}
}

// lock locks a key. Who waits for it lends its grant meanwhile: the lock's
// holder may be waiting for one.
func (nr *nodeRun) lock(ctx context.Context, key string, waiting func()) (unlock func(), err error) {
	grant := grantOf(ctx)
	unlock, err = nr.x.Store.Lock(ctx, key, func() {
		nr.decide()
		if grant != nil {
			grant.Pause()
		}
		if waiting != nil {
			waiting()
		}
	})
	if err != nil {
		return nil, nr.writeError(err)
	}
	if grant != nil {
		if err := grant.Resume(ctx); err != nil {
			unlock()
			return nil, err
		}
	}
	return unlock, nil
}

// grantKey is where the context of work at work holds its grant.
type grantKey struct{}

// grantOf returns the grant of ctx's work; nil if it has none.
func grantOf(ctx context.Context) *budget.Grant {
	grant, _ := ctx.Value(grantKey{}).(*budget.Grant)
	return grant
}

// threadsOf are the threads that ctx's work was granted; all if nothing was.
func (nr *nodeRun) threadsOf(ctx context.Context) int {
	if grant := grantOf(ctx); grant != nil {
		return max(grant.Threads(), 1)
	}
	return nr.x.jobs()
}

// idle closes the mapper if no chunk is being mapped.
func (h *mapperHolder) idle() error {
	if !h.mu.TryLock() {
		return nil
	}
	defer h.mu.Unlock()
	if h.mapper == nil {
		return nil
	}
	mapper := h.mapper
	h.mapper = nil
	return mapper.Close()
}

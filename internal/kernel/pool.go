package kernel

import (
	"runtime"
	"sync/atomic"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/panics"
)

// Pool is a set of threads that share the tasks of one operation at a time. Its workers live from
// NewPool to Close; between operations they spin for some microseconds, so that the layers of a
// network follow each other without going through the scheduler, and then sleep.
//
// A nil *Pool is valid and computes in the calling goroutine.
type Pool struct {
	workers []*worker
	group   conc.WaitGroup
	spins   int // 0 when there are more threads than processors

	// The operation in progress. A worker joins it while it is open; the caller closes it when no
	// piece is left and waits only for those that joined, so that a worker whose thread is off the
	// processor holds up nothing.
	work   task
	tasks  int64
	next   atomic.Int64
	state  atomic.Uint64 // generation, open, number of workers that joined
	closed bool

	// The calling goroutine, when it sleeps until the workers are done.
	sleeping atomic.Bool
	done     chan struct{}
}

// task is an operation cut into pieces that may be computed in any order, at the same time.
type task interface {
	// do computes piece i; worker numbers the thread, for scratch memory.
	do(worker, i int)
}

// worker is one thread besides the calling one.
type worker struct {
	pool     *Pool
	number   int
	sleeping atomic.Bool
	wake     chan struct{}
	caught   panics.Catcher
	drain    func() // bound once, so that no operation allocates
}

// spins bounds the busy wait for work, about 20 µs.
const spins = 20000

// NewPool returns a pool of the given number of threads, the calling one included; less than one
// means one. Close it to end its goroutines.
func NewPool(threads int) *Pool {
	p := &Pool{done: make(chan struct{}, 1)}
	if threads <= runtime.GOMAXPROCS(0) {
		p.spins = spins
	}
	for i := 1; i < threads; i++ {
		w := &worker{pool: p, number: i, wake: make(chan struct{}, 1)}
		w.drain = func() { p.drain(w.number) }
		p.workers = append(p.workers, w)
		p.group.Go(w.run)
	}
	return p
}

// Threads returns the number of threads that compute.
func (p *Pool) Threads() int {
	if p == nil {
		return 1
	}
	return len(p.workers) + 1
}

// Close ends the pool's goroutines and returns when they are gone. The pool must be idle; it
// computes in the calling goroutine afterwards.
func (p *Pool) Close() {
	if p == nil || p.closed {
		return
	}
	p.closed = true
	p.announce()
	p.group.Wait()
	p.workers = nil
}

// The parts of Pool.state.
const (
	joined     = 1<<16 - 1
	open       = 1 << 16
	generation = 1 << 17
)

// run computes pieces 0 … n-1 of t and returns when all are done. A panic in a piece surfaces here.
func (p *Pool) run(n int, t task) {
	if p == nil || len(p.workers) == 0 || n < 2 {
		for i := range n {
			t.do(0, i)
		}
		return
	}
	p.work, p.tasks = t, int64(n)
	p.next.Store(0)
	p.announce()
	defer p.finish()
	p.drain(0)
}

// announce tells the workers of a new operation, or of the end.
func (p *Pool) announce() {
	p.state.Add(generation + open)
	for _, w := range p.workers {
		if w.sleeping.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// drain computes pieces until none is left.
func (p *Pool) drain(number int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.tasks {
			return
		}
		p.work.do(number, int(i))
	}
}

// finish closes the operation and waits until every worker has let go of it.
func (p *Pool) finish() {
	p.next.Store(p.tasks) // after a panic of our own, start no more pieces
	p.state.Add(^uint64(open - 1))
	for i := 0; p.state.Load()&joined != 0; i++ {
		if i < p.spins {
			continue
		}
		p.sleeping.Store(true)
		if p.state.Load()&joined == 0 && p.sleeping.CompareAndSwap(true, false) {
			break
		}
		<-p.done
	}
	p.work = nil
	for _, w := range p.workers {
		if r := w.caught.Recovered(); r != nil {
			w.caught = panics.Catcher{}
			panic(r.Value)
		}
	}
}

// run is a worker's life.
func (w *worker) run() {
	p := w.pool
	var seen uint64
	for {
		seen = w.await(seen)
		if p.closed {
			return
		}
		w.caught.Try(w.drain)
		if p.state.Add(^uint64(0))&(open|joined) == 0 && p.sleeping.CompareAndSwap(true, false) {
			p.done <- struct{}{}
		}
	}
}

// await joins the first operation it finds open after the one of generation seen, and returns its
// generation.
func (w *worker) await(seen uint64) uint64 {
	for {
		for range w.pool.spins {
			if w.join(seen) {
				return w.pool.state.Load() / generation
			}
		}
		w.sleeping.Store(true)
		if w.join(seen) {
			if !w.sleeping.CompareAndSwap(true, false) {
				<-w.wake // the caller has seen us asleep
			}
			return w.pool.state.Load() / generation
		}
		<-w.wake
	}
}

// join takes part in the present operation, if it is open and not that of generation seen. Another worker that joins at the
// same moment is no reason not to: a worker that is to end would sleep for ever.
func (w *worker) join(seen uint64) bool {
	for {
		s := w.pool.state.Load()
		if s&open == 0 || s/generation == seen {
			return false
		}
		if w.pool.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

package budget

import (
	"context"
	"slices"
	"sync"
)

// Budget is what there is to be granted. It may be used by several goroutines.
type Budget struct {
	threads int
	memory  int64

	mu      sync.Mutex
	free    int   // threads
	left    int64 // memory; below 0 while work goes on that paused, or that needs more than there is
	running int   // grants that are not paused
	queue   []*waiter
	keeps   []*Keep // held, those used longest ago first
}

// New makes a budget of threads, at least 1, and of bytes of memory; 0 bytes mean that memory is not
// limited.
func New(threads int, memory int64) *Budget {
	if memory <= 0 {
		memory = 1 << 62
	}
	threads = max(threads, 1)
	return &Budget{threads: threads, memory: memory, free: threads, left: memory}
}

// Threads are those of the whole budget.
func (b *Budget) Threads() int { return b.threads }

// Need is what a piece of work takes.
type Need struct {
	Least, Most int   // threads that it can use; fewer than 1 mean 1, more than there are mean all
	Memory      int64 // bytes
	Keep        *Keep // that it uses besides; may be nil

	// Settled, if not nil, tells whether it is known what else needs threads; work waits until it is. It
	// must be quick and call nothing of the budget. See [Budget.Settle].
	Settled func() bool
	// Queued, if not nil, is called when the work has asked and before anything is granted; with Settled it
	// tells that the work does need threads. The same holds for it.
	Queued func()
}

// Keep is memory that several pieces of work use, one after the other or at once.
type Keep struct {
	Memory int64
	// Drop frees the memory if nobody uses it. It must not wait.
	Drop func()

	held  bool
	users int
}

// Grant is what a piece of work was given.
type Grant struct {
	budget *Budget
	need   Need
	memory int64 // of the work itself

	threads int
	had     int // threads, when it paused
	state   state
}

type state int

const (
	running state = iota
	paused
	released
)

// waiter is work that waits for a grant, or to go on with one.
type waiter struct {
	grant   *Grant
	least   int
	need    int64 // bytes of the work itself
	keep    *Keep
	resumes bool // it has its memory
	passed  int  // how often other work was granted memory before it
	ready   chan struct{}
}

// passes bounds how often work that waits for memory is passed.
const passes = 64

// Acquire waits until the need can be met.
func (b *Budget) Acquire(ctx context.Context, need Need) (*Grant, error) {
	need.Least = min(max(need.Least, 1), b.threads)
	need.Most = min(max(need.Most, need.Least), b.threads)
	g := &Grant{budget: b, need: need, state: paused}
	w := &waiter{grant: g, least: need.Least, need: need.Memory, keep: need.Keep, ready: make(chan struct{})}
	b.mu.Lock()
	b.queue = append(b.queue, w)
	if need.Queued != nil {
		need.Queued()
	}
	b.dispatch()
	if err := b.wait(ctx, w); err != nil {
		return nil, err
	}
	return g, nil
}

// wait returns when the waiter has its grant, or ctx ends: then it has none.
func (b *Budget) wait(ctx context.Context, w *waiter) error {
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	if i := slices.Index(b.queue, w); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
		b.dispatch()
		return ctx.Err()
	}
	b.mu.Unlock()
	<-w.ready // it was just granted
	w.grant.Release()
	return ctx.Err()
}

// Settle grants what had to wait until it was settled. Call it when a Settled may give another answer.
func (b *Budget) Settle() {
	b.mu.Lock()
	b.dispatch()
}

// Forget gives back the memory of a keep that has been freed; work may still use it anew.
func (b *Budget) Forget(k *Keep) {
	b.mu.Lock()
	if k.held && k.users == 0 {
		b.drop(k)
	}
	b.dispatch()
}

// Threads are those that the work may keep busy; 0 while it is paused.
func (g *Grant) Threads() int {
	g.budget.mu.Lock()
	defer g.budget.mu.Unlock()
	return g.threads
}

// Extend adds threads to the grant if some are free and it can use them, and returns how many it has. Restrict
// takes them back.
func (g *Grant) Extend() (threads int) {
	b := g.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if g.state == running {
		more := b.free
		if len(b.queue) > 0 {
			more = min(more, b.share()-g.threads)
		}
		more = max(min(more, g.need.Most-g.threads), 0)
		g.threads += more
		b.free -= more
	}
	return g.threads
}

// Restrict takes back all but so many threads.
func (g *Grant) Restrict(threads int) {
	b := g.budget
	b.mu.Lock()
	if less := g.threads - max(threads, 1); g.state == running && less > 0 {
		g.threads -= less
		b.free += less
	}
	b.dispatch()
}

// Release gives everything back. It may be called again.
func (g *Grant) Release() {
	b := g.budget
	b.mu.Lock()
	if g.state == running {
		b.stop(g)
	}
	if k := g.need.Keep; k != nil && g.state != released {
		k.users--
	}
	g.state = released
	b.dispatch()
}

// Pause gives threads and memory back while the work waits for something else. It tells whether there was
// something to give.
func (g *Grant) Pause() bool {
	b := g.budget
	b.mu.Lock()
	was := g.state == running
	if was {
		g.had = g.threads
		b.stop(g)
		g.state = paused
	}
	b.dispatch()
	return was
}

// Resume takes back what Pause gave: threads when they are free, before all other work, and memory even if
// there is none, since the work has it still.
func (g *Grant) Resume(ctx context.Context) error {
	b := g.budget
	b.mu.Lock()
	if g.state != paused {
		b.mu.Unlock()
		return nil
	}
	w := &waiter{grant: g, least: g.had, resumes: true, ready: make(chan struct{})}
	b.queue = slices.Insert(b.queue, 0, w)
	b.dispatch()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	if i := slices.Index(b.queue, w); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
	b.dispatch()
	return ctx.Err()
}

// stop takes back what a running grant has.
func (b *Budget) stop(g *Grant) {
	b.free += g.threads
	g.threads = 0
	b.left += g.memory
	b.running--
}

// share is an even share of the threads among the work that is going on or waits.
func (b *Budget) share() int {
	n := max(b.running+len(b.queue), 1)
	return (b.threads + n - 1) / n
}

// dispatch grants what can be granted, and unlocks the budget.
func (b *Budget) dispatch() {
	var ready []*waiter
	var dropped []*Keep
	for {
		w, drop := b.next()
		if w == nil {
			break
		}
		dropped = append(dropped, drop...)
		ready = append(ready, w)
		b.grant(w)
	}
	b.mu.Unlock()
	for _, k := range dropped {
		k.Drop()
	}
	for _, w := range ready {
		close(w.ready)
	}
}

// next takes from the queue the work that is to be served now, if any, with what has to be dropped for it.
func (b *Budget) next() (*waiter, []*Keep) {
	var before []*waiter // wait for memory
	for i, w := range b.queue {
		if settled := w.grant.need.Settled; settled != nil && !settled() {
			continue
		}
		if w.least > b.free {
			return nil, nil // nobody passes who waits for threads
		}
		drop, ok := b.room(w)
		if !ok {
			if w.passed >= passes {
				return nil, nil
			}
			before = append(before, w)
			continue
		}
		for _, v := range before {
			v.passed++
		}
		b.queue = slices.Delete(b.queue, i, i+1)
		return w, drop
	}
	return nil, nil
}

// room tells whether there is memory for the work, and drops keeps for it.
func (b *Budget) room(w *waiter) (dropped []*Keep, ok bool) {
	if w.resumes {
		return nil, true
	}
	need := w.need
	if w.keep != nil && !w.keep.held {
		need += w.keep.Memory
	}
	var idle []*Keep
	could := b.left
	for _, k := range b.keeps {
		if could >= need {
			break
		}
		if k.users == 0 && k != w.keep {
			idle = append(idle, k)
			could += k.Memory
		}
	}
	if could < need && b.running > 0 {
		return nil, false
	}
	for _, k := range idle {
		b.drop(k)
	}
	return idle, true
}

func (b *Budget) drop(k *Keep) {
	k.held = false
	b.left += k.Memory
	b.keeps = slices.DeleteFunc(b.keeps, func(other *Keep) bool { return other == k })
}

// grant gives a waiter what it needs.
func (b *Budget) grant(w *waiter) {
	g := w.grant
	b.running++
	g.threads = w.least
	if !w.resumes {
		g.threads = min(max(w.least, min(g.need.Most, b.share())), b.free)
	}
	b.free -= g.threads
	if !w.resumes {
		g.memory = w.need
	}
	b.left -= g.memory
	g.state = running
	if k := w.keep; k != nil {
		k.users++
		if k.held { // used last
			b.keeps = append(slices.DeleteFunc(b.keeps, func(other *Keep) bool { return other == k }), k)
		} else {
			k.held = true
			b.left -= k.Memory
			b.keeps = append(b.keeps, k)
		}
	}
}

package pipeline

import (
	"context"
	"sync"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// Executor does pieces of work. The runner decides what has to be done and in
// which order, holds the lock on its key meanwhile, and keeps the result; an
// Executor decides where and when. The default works in this process.
type Executor interface {
	// Execute returns the entry that the work gives, with its blobs in the
	// store. Equal work gives equal outputs wherever it is done.
	Execute(ctx context.Context, work Work) (cache.Entry, error)
}

// Work is one chunk of a row-wise stage, or one whole-table stage. The recipe
// and the content of the inputs decide its outputs, and nothing else does. The
// parts of a whole-table stage's work are done where the stage is.
type Work struct {
	Node   string // for people
	Kind   string
	Params any // decoded, of the type of the kind's Params
	Seed   uint64
	Recipe cache.Preimage
	Inputs []cache.InputRef
	Key    string // digest of Recipe and Inputs

	// Here does the work in this process.
	Here func(ctx context.Context) (cache.Entry, error)
}

// local does work in this process, so many pieces at once.
type local struct{ slots chan struct{} }

func newLocal(jobs int) local { return local{make(chan struct{}, jobs)} }

// Execute implements Executor.
func (l local) Execute(ctx context.Context, work Work) (cache.Entry, error) {
	select {
	case l.slots <- struct{}{}:
		release := sync.OnceFunc(func() { <-l.slots })
		defer release()
		return work.Here(context.WithValue(ctx, slotKey{}, release))
	case <-ctx.Done():
		return cache.Entry{}, ctx.Err()
	}
}

// slotKey is where the context of work at work holds what frees its slot.
type slotKey struct{}

// releaseSlot frees the slot that ctx's work has, if it has one, for the rest
// of that work. Who waits for a lock must not keep a slot: the lock's holder
// may be waiting for one.
func releaseSlot(ctx context.Context) {
	if release, ok := ctx.Value(slotKey{}).(func()); ok {
		release()
	}
}

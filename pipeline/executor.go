package pipeline

import (
	"context"

	"github.com/tlpipe/tlpipe/pipeline/budget"
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

	// Need is what the work takes here, about.
	Need budget.Need

	// Here does the work in this process.
	Here func(ctx context.Context) (cache.Entry, error)
}

// local does work in this process, as much at once as the budget allows.
type local struct{ budget *budget.Budget }

// Execute implements Executor.
func (l local) Execute(ctx context.Context, work Work) (cache.Entry, error) {
	grant, err := l.budget.Acquire(ctx, work.Need)
	if err != nil {
		return cache.Entry{}, err
	}
	defer grant.Release()
	return work.Here(context.WithValue(ctx, grantKey{}, grant))
}

package pipeline

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tlpipe/tlpipe/pipeline/budget"
	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// ledger notes the parts that a piece of work asked for.
type ledger struct {
	parts  map[string]bool // keys, of their own parts too
	spared float64         // seconds that it would have taken longer without those at hand
	peak   int64           // the largest of theirs
	shares []cache.Share
}

// note adds a part that was got within some time.
func (l *ledger) note(e cache.Entry, computed bool, within time.Duration) {
	if l.parts == nil {
		l.parts = map[string]bool{}
	}
	if !computed && !l.parts[e.Key] {
		l.spared += max(e.Cost-within.Seconds(), 0)
	}
	l.parts[e.Key] = true
	l.peak = max(l.peak, e.Peak)
	for _, key := range e.Parts {
		l.parts[key] = true
	}
}

// close puts what was noted into the work's entry.
func (l *ledger) close(e *cache.Entry) {
	e.Parts, e.Cost, e.Shares = sortedKeys(l.parts), l.spared, l.shares
}

// task makes what a whole-table stage, or a part of its work, is given: out
// collects what it writes, and the ledger notes the parts that it asks for.
// Parts of the stage itself may be given more threads than it has, those of
// parts have theirs.
func (nr *nodeRun) task(key string, threads int, inputs map[string][]Input, out *tableTask, parts *ledger, whole bool) *Task {
	env := nr.env(threads)
	env.Checkpoint = nr.x.Store.Checkpoint(key)
	return &Task{Env: env, Inputs: inputs, Output: out.open, measure: parts.measured,
		Part: func(ctx context.Context, part Part, compute func(context.Context, *Task) error) (map[string]Input, error) {
			if grant := grantOf(ctx); grant != nil && whole {
				compute = extended(grant, threads, compute)
			}
			return nr.part(ctx, part, compute, parts)
		},
	}
}

// extended is compute with the threads that are free when it begins, which the
// grant has for so long.
func extended(grant *budget.Grant, threads int, compute func(context.Context, *Task) error) func(context.Context, *Task) error {
	return func(ctx context.Context, task *Task) error {
		task.Threads = grant.Extend()
		defer grant.Restrict(threads)
		return compute(ctx, task)
	}
}

// part returns the results of a part from the cache, or has it computed.
func (nr *nodeRun) part(ctx context.Context, part Part, compute func(context.Context, *Task) error, parts *ledger) (map[string]Input, error) {
	if _, numeric := nr.node.Stage.(Numeric); numeric && part.Numerics == "" {
		return nil, fmt.Errorf("part %q of stage kind %s does not say its numerics, as the stage does", part.Name, nr.node.Kind.Name)
	}
	work := nr.partWork(part, compute)
	started := time.Now()
	e, computed, err := nr.obtain(ctx, inPlace{}, work)
	if err != nil {
		return nil, err
	}
	parts.note(e, computed, time.Since(started))
	nr.countPart(part.Name, e, computed)
	results := map[string]Input{}
	for name, chunks := range e.Outputs {
		a := &Artifact{store: nr.x.Store, name: name}
		for i, c := range chunks {
			a.chunks = append(a.chunks, chunkRef{c, restored(nr.again(work), name, i)})
		}
		results[name] = a
	}
	return results, nil
}

// partWork describes a part as a piece of work.
func (nr *nodeRun) partWork(part Part, compute func(context.Context, *Task) error) Work {
	recipe, refs := partRecipe(nr.node.Kind, part), partInputs(part)
	inputs := map[string][]Input{}
	for port, in := range part.Inputs {
		inputs[port] = []Input{in}
	}
	work := Work{
		Node: nr.node.Name, Kind: nr.node.Kind.Name, Params: part.Recipe, Seed: nr.node.Seed,
		Recipe: recipe, Inputs: refs, Key: key(recipe.Digest(), refs),
	}
	work.Here = func(ctx context.Context) (e cache.Entry, err error) {
		out := newTableTask(nr.x.Store, nil)
		defer out.abort()
		var parts ledger
		watch := watchHeap()
		defer func() { e.Peak = max(watch.end(), parts.peak) }()
		task := nr.task(work.Key, nr.threadsOf(ctx), inputs, out, &parts, false)
		task.Memory = nr.bound
		if err := compute(ctx, task); err != nil {
			return e, fmt.Errorf("%s: %w", part.Name, err)
		}
		parts.close(&e)
		e.Outputs, err = out.finish(sortedKeys(out.outputs))
		return e, err
	}
	return work
}

// partKey is the key of a part of a stage's work.
func partKey(kind Kind, part Part) string {
	return key(partRecipe(kind, part).Digest(), partInputs(part))
}

// partInputs are a part's inputs, by port.
func partInputs(part Part) []cache.InputRef {
	refs := make([]cache.InputRef, 0, len(part.Inputs))
	for _, port := range sortedKeys(part.Inputs) {
		refs = append(refs, cache.InputRef{Port: port, Digest: part.Inputs[port].Digest()})
	}
	return refs
}

// partRecipe lists all that decides a part's results but its inputs.
func partRecipe(kind Kind, part Part) cache.Preimage {
	p := cache.Preimage{
		{Name: "stage", Value: kind.Name},
		{Name: "version", Value: strconv.Itoa(kind.Version)},
		{Name: "part", Value: part.Name},
	}
	if part.Numerics != "" {
		p = append(p, cache.Field{Name: "numerics", Value: part.Numerics})
	}
	for _, v := range params.Canonical(part.Recipe) {
		p = append(p, cache.Field{Name: "params." + v.Path, Value: v.Text})
	}
	return p
}

// countPart tells that a part is at hand. One that is asked for again is not counted again, nor is it
// told that it was cached: this run computed it, or told so before.
func (nr *nodeRun) countPart(name string, e cache.Entry, computed bool) {
	done := PartDone{Event: "part", Stage: nr.node.Name, Part: name, Cached: !computed, Key: e.Key}
	for _, chunks := range e.Outputs {
		for _, c := range chunks {
			done.Rows += c.Rows
			done.Bytes += c.Bytes
		}
	}
	nr.mu.Lock()
	if nr.counted[e.Key] {
		nr.mu.Unlock()
		return
	}
	nr.counted[e.Key] = true
	nr.kept = append(append(nr.kept, e.Key), e.Parts...)
	nr.ended.Parts++
	if computed {
		nr.ended.PartsComputed++
		done.Seconds = e.Seconds
	}
	nr.mu.Unlock()
	nr.x.emit(done)
}

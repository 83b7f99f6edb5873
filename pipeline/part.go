package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// task makes what a whole-table stage, or a part of its work, is given: out
// collects what it writes, and keys those of the parts that it asks for.
func (nr *nodeRun) task(key string, inputs map[string][]Input, out *tableTask, keys *[]string) *Task {
	env := nr.env(nr.x.jobs())
	env.Checkpoint = nr.x.Store.Checkpoint(key)
	return &Task{Env: env, Inputs: inputs, Output: out.open,
		Part: func(ctx context.Context, part Part, compute func(context.Context, *Task) error) (map[string]Input, error) {
			return nr.part(ctx, part, compute, keys)
		},
	}
}

// part returns the results of a part from the cache, or has it computed.
func (nr *nodeRun) part(ctx context.Context, part Part, compute func(context.Context, *Task) error, keys *[]string) (map[string]Input, error) {
	work, err := nr.partWork(part, compute)
	if err != nil {
		return nil, err
	}
	e, computed, err := nr.obtain(ctx, inPlace{}, work)
	if err != nil {
		return nil, err
	}
	*keys = append(*keys, e.Key)
	*keys = append(*keys, e.Parts...)
	nr.countPart(part.Name, e, computed)
	results := map[string]Input{}
	for name, chunks := range e.Outputs {
		a := &Artifact{store: nr.x.Store, name: name}
		for _, c := range chunks {
			a.chunks = append(a.chunks, chunkRef{c, nr.again(work)})
		}
		results[name] = a
	}
	return results, nil
}

// partWork describes a part as a piece of work.
func (nr *nodeRun) partWork(part Part, compute func(context.Context, *Task) error) (Work, error) {
	recipe := partRecipe(nr.node.Kind, part)
	refs := make([]cache.InputRef, 0, len(part.Inputs))
	inputs := map[string][]Input{}
	for _, port := range sortedKeys(part.Inputs) {
		in := part.Inputs[port]
		refs = append(refs, cache.InputRef{Port: port, Digest: in.Digest()})
		inputs[port] = []Input{in}
	}
	work := Work{
		Node: nr.node.Name, Kind: nr.node.Kind.Name, Params: part.Recipe, Seed: nr.node.Seed,
		Recipe: recipe, Inputs: refs, Key: key(recipe.Digest(), refs),
	}
	work.Here = func(ctx context.Context) (e cache.Entry, err error) {
		out := &tableTask{store: nr.x.Store, outputs: map[string]*tableWriter{}}
		defer out.abort()
		if err := compute(ctx, nr.task(work.Key, inputs, out, &e.Parts)); err != nil {
			return e, fmt.Errorf("%s: %w", part.Name, err)
		}
		e.Parts = distinct(e.Parts)
		e.Outputs, err = out.finish(sortedKeys(out.outputs))
		return e, err
	}
	return work, nil
}

// partRecipe lists all that decides a part's results but its inputs.
func partRecipe(kind Kind, part Part) cache.Preimage {
	p := cache.Preimage{
		{Name: "stage", Value: kind.Name},
		{Name: "version", Value: strconv.Itoa(kind.Version)},
		{Name: "part", Value: part.Name},
	}
	for _, v := range params.Canonical(part.Recipe) {
		p = append(p, cache.Field{Name: "params." + v.Path, Value: v.Text})
	}
	return p
}

// countPart tells that a part is at hand.
func (nr *nodeRun) countPart(name string, e cache.Entry, computed bool) {
	done := PartDone{Event: "part", Stage: nr.node.Name, Part: name, Cached: !computed, Key: e.Key}
	for _, chunks := range e.Outputs {
		for _, c := range chunks {
			done.Rows += c.Rows
			done.Bytes += c.Bytes
		}
	}
	nr.mu.Lock()
	nr.kept = append(append(nr.kept, e.Key), e.Parts...)
	nr.ended.Parts++
	if computed {
		nr.ended.PartsComputed++
		done.Seconds = e.Seconds
	}
	nr.mu.Unlock()
	nr.x.emit(done)
}

func distinct(keys []string) []string {
	sorted := slices.Sorted(slices.Values(keys))
	return slices.Compact(sorted)
}

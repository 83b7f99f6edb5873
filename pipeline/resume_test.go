package pipeline_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// entriesFail is a file system on which no entry can be written while it is
// broken.
type entriesFail struct {
	cache.OS
	broken atomic.Bool
}

func (f *entriesFail) Rename(from, to string) error {
	if f.broken.Load() && strings.Contains(to, "/entries/") {
		return syscall.ENOSPC
	}
	return f.OS.Rename(from, to)
}

// trained is a whole-table stage with a checkpoint.
type trained struct{ fromScratch *atomic.Int64 }

func (trained) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}

func (s trained) Run(_ context.Context, task *pipeline.Task) error {
	_, resumed, err := task.Checkpoint.Load()
	if err != nil {
		return err
	}
	if !resumed {
		s.fromScratch.Add(1)
		if err := task.Checkpoint.Save([]byte("state")); err != nil {
			return err
		}
	}
	out, err := task.Output("model", numbers)
	if err != nil {
		return err
	}
	return out.Close()
}

func TestCheckpointStaysUntilTheResultIsKept(t *testing.T) {
	ctx := context.Background()
	var fromScratch atomic.Int64
	kinds := []pipeline.Kind{pipeline.Define(
		pipeline.Kind{Name: "train", Version: 1, Outputs: []pipeline.Port{{Name: "model", Kind: pipeline.Model}}}, struct{}{},
		func(struct{}) (pipeline.Stage, error) { return trained{&fromScratch}, nil })}
	g, err := pipeline.Load("p.yaml", []byte("stages: {head: {uses: train}}"), kinds)
	if err != nil {
		t.Fatal(err)
	}
	disk := &entriesFail{}
	store, err := cache.Open(ctx, t.TempDir(), disk)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	run := func() *pipeline.Result {
		result, err := (&pipeline.Runner{Store: store, Jobs: 1}).Run(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		result.Journal.Close()
		result.Close()
		return result
	}
	disk.broken.Store(true)
	want(t, run().Status, "failed")
	disk.broken.Store(false)
	want(t, run().Status, "ok")
	want(t, fromScratch.Load(), 1)

	usage, err := store.Inspect()
	if err != nil {
		t.Fatal(err)
	}
	want(t, usage.Checkpoints, 0)
}

func TestCollectKeepsWhatARunFinishedBeforeItFailed(t *testing.T) {
	b := newBench(t, newWorld(1000))
	done := 0
	b.w.beforeMap = func(context.Context) error {
		if done++; done > 5 {
			return syscall.EIO
		}
		return nil
	}
	ctx := context.Background()
	run := func() (r *pipeline.Result, kept int) {
		store, err := cache.Open(ctx, b.dir, cache.OS{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		r, err = (&pipeline.Runner{Store: store, Jobs: 1}).Run(ctx, b.load(simple))
		if err != nil {
			t.Fatal(err)
		}
		r.Journal.Close()
		r.Close()
		usage, err := store.Inspect()
		if err != nil {
			t.Fatal(err)
		}
		return r, usage.Entries
	}
	first, before := run()
	want(t, first.Status, "failed")
	if before == 0 {
		t.Fatal("nothing was finished")
	}
	// A run that does not come as far takes nothing away.
	done = 100
	again, before := run()
	want(t, again.Status, "failed")
	if _, err := cache.Collect(ctx, b.dir, cache.Policy{MaxBytes: -1}, nil); err != nil {
		t.Fatal(err)
	}
	plan, err := b.runner().Plan(ctx, b.load(simple))
	if err != nil {
		t.Fatal(err)
	}
	want(t, plan.Nodes[0].Because, "[it has not run to its end in this pipeline before]")
	b.w.beforeMap = nil
	second, all := run()
	want(t, second.Status, "ok")
	computed := 0
	for _, n := range second.Nodes {
		computed += n.Ended.ChunksComputed
	}
	want(t, computed, all-before)
}

func TestChunkWithoutRowsIsNoChunkMissing(t *testing.T) {
	w := newWorld(300)
	b := newBench(t, w)
	silent := pipeline.Define(pipeline.Kind{Name: "drop", Version: 1,
		Inputs:  []pipeline.Port{{Name: "numbers", Kind: pipeline.Features}},
		Outputs: []pipeline.Port{{Name: "numbers", Kind: pipeline.Features}}}, struct{}{},
		func(struct{}) (pipeline.Stage, error) { return dropFirst{}, nil })
	g, err := pipeline.Load("simple.yaml", []byte(`
stages:
  rows: {uses: source}
  fewer: {uses: drop, from: rows}
  small: {uses: modulo, from: fewer}
`), append(w.kinds(), silent))
	if err != nil {
		t.Fatal(err)
	}
	result, err := b.runner().Run(context.Background(), g)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	defer result.Journal.Close()
	want(t, states(result), "rows=miss fewer=miss small=miss")
}

// dropFirst gives nothing for the batch that holds row 0.
type dropFirst struct{}

func (dropFirst) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}

func (dropFirst) Columns(in *arrow.Schema) (pipeline.Columns, error) {
	return pipeline.ReadsAll(in), nil
}

func (dropFirst) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	return mapFunc(func(_ context.Context, in arrow.Record) (pipeline.Mapped, error) {
		if slices.Contains(values(in), 0) {
			return pipeline.Mapped{Counts: make([]int32, in.NumRows())}, nil
		}
		in.Retain()
		return pipeline.Mapped{Rows: in}, nil
	}), nil
}

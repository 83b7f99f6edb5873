package pipeline_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/pipeline"
)

// gated is a source that lists its rows when its gate opens.
type gated struct {
	source
	gate <-chan struct{}
}

func (g gated) List(ctx context.Context, env *pipeline.Env) (pipeline.Listing, error) {
	select {
	case <-g.gate:
	case <-ctx.Done():
	}
	return g.source.List(ctx, env)
}

// opened is a row-wise stage that passes rows on, after a hook.
type opened struct{ hook func() }

func (opened) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return nil, nil
}

func (opened) Columns(in *arrow.Schema) (pipeline.Columns, error) { return pipeline.ReadsAll(in), nil }

func (o opened) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	o.hook()
	return mapFunc(func(_ context.Context, in arrow.Record) (pipeline.Mapped, error) {
		in.Retain()
		return pipeline.Mapped{Rows: in}, nil
	}), nil
}

// A reader that finds a chunk gone makes it again, though another node is
// about to: that one holds the lock and waits for the only slot, which the
// reader has.
func TestMendingDoesNotWaitForOneWhoWaitsForItsSlot(t *testing.T) {
	b := newBench(t, &world{listed: []int{1}})
	gate, hook := make(chan struct{}), func() {}
	out := []pipeline.Port{{Name: "numbers", Kind: pipeline.Features}}
	kinds := append(b.w.kinds(),
		pipeline.Define(pipeline.Kind{Name: "gated", Version: 1, Outputs: out}, sourceParams{Scale: 3},
			func(p sourceParams) (pipeline.Stage, error) { return gated{source{b.w, p}, gate}, nil }),
		pipeline.Define(pipeline.Kind{Name: "opened", Version: 1, Inputs: out, Outputs: out}, struct{}{},
			func(struct{}) (pipeline.Stage, error) { return opened{func() { hook() }}, nil }))
	const text = `
stages:
  rows: {uses: source, with: {scale: 3}}
  later: {uses: gated}
  small: {uses: modulo, from: rows, with: {by: 2}}
  twin: {uses: modulo, from: later, with: {by: 2}}
  reader: {uses: opened, from: small}
`
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	runner := b.runner()
	runner.Jobs = 1
	run := func() *pipeline.Result {
		g, err := pipeline.Load("p.yaml", []byte(text), kinds)
		if err != nil {
			t.Fatal(err)
		}
		result, err := runner.Run(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		result.Journal.Close()
		t.Cleanup(func() { result.Close() })
		return result
	}
	close(gate)
	first := run()
	want(t, first.Err, nil)
	small, _ := first.Node("small")
	blob := small.Outputs["numbers"].Blobs()[0].Segments[0].Slices[0].Blob.Digest

	gate = make(chan struct{})
	hook = func() { // the reader has its lock and the slot, and has read nothing yet
		if err := os.Remove(filepath.Join(b.dir, "blobs", blob[:2], blob)); err != nil {
			t.Error(err)
		}
		close(gate)
		for ctx.Err() == nil { // until the twin has a lock too, beside that on the cache
			if locks, _ := filepath.Glob(filepath.Join(b.dir, "locks", "*")); len(locks) >= 3 {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	runner.Selection.Force = []string{"reader"}
	second := run()
	want(t, second.Status, "ok")
}

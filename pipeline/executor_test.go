package pipeline_test

import (
	"context"
	"sync"
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// noting is an executor that keeps a list of what it was given.
type noting struct {
	mu   sync.Mutex
	work []pipeline.Work
}

func (n *noting) Execute(ctx context.Context, work pipeline.Work) (cache.Entry, error) {
	n.mu.Lock()
	n.work = append(n.work, work)
	n.mu.Unlock()
	return work.Here(ctx)
}

func TestExecutorIsGivenAllWork(t *testing.T) {
	b, n := newBench(t, newWorld(300)), &noting{}
	b.cfg = func(r *pipeline.Runner) { r.Executor = n }
	result := b.run(simple)
	want(t, result.Err, nil)
	chunks := 0
	for _, node := range result.Nodes {
		chunks += node.Ended.ChunksComputed
	}
	want(t, len(n.work), chunks)
	keys := map[string]bool{}
	for _, w := range n.work {
		if w.Key == "" || keys[w.Key] || len(w.Inputs) == 0 || len(w.Recipe) == 0 || w.Kind == "" {
			t.Errorf("work %+v", w)
		}
		keys[w.Key] = true
	}
	b.run(simple)
	want(t, len(n.work), chunks)
}

package kernel

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type countTask struct {
	hits  []atomic.Int32
	panic int
}

func (c *countTask) do(_, i int) {
	if i == c.panic {
		panic("piece failed")
	}
	c.hits[i].Add(1)
}

func TestPoolDoesEveryPieceOnce(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, threads := range []int{0, 1, 2, 5} {
		p := NewPool(threads)
		if p.Threads() != max(threads, 1) {
			t.Errorf("%d threads, want %d", p.Threads(), threads)
		}
		for _, n := range []int{0, 1, 2, 100} {
			for range 200 {
				task := &countTask{hits: make([]atomic.Int32, n), panic: -1}
				p.run(n, task)
				for i := range task.hits {
					if got := task.hits[i].Load(); got != 1 {
						t.Fatalf("%d threads, piece %d of %d: done %d times", threads, i, n, got)
					}
				}
			}
		}
		time.Sleep(time.Millisecond) // let the workers go to sleep
		task := &countTask{hits: make([]atomic.Int32, 9), panic: -1}
		p.run(9, task)
		p.Close()
		p.Close()
		p.run(9, task)
		if task.hits[8].Load() != 2 {
			t.Error("a closed pool does not compute")
		}
	}
	after := runtime.NumGoroutine()
	for patience := time.Now().Add(10 * time.Second); after > before && time.Now().Before(patience); after = runtime.NumGoroutine() {
		time.Sleep(time.Millisecond) // a worker that has been told to stop may not have been scheduled yet
	}
	if after > before {
		t.Errorf("%d goroutines left behind", after-before)
	}
}

func TestPoolPanics(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	for _, bad := range []int{0, 50, 99} {
		func() {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.Contains(r, "piece failed") {
					t.Errorf("recovered %v", r)
				}
			}()
			p.run(100, &countTask{hits: make([]atomic.Int32, 100), panic: bad})
			t.Error("no panic")
		}()
		task := &countTask{hits: make([]atomic.Int32, 20), panic: -1}
		p.run(20, task)
		if task.hits[19].Load() != 1 {
			t.Error("the pool is of no more use")
		}
	}
}

func TestPoolsSideBySide(t *testing.T) {
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			p := NewPool(1)
			defer p.Close()
			x := make([]float32, 50000)
			for range 20 {
				Add(p, x, x, x, None)
				Activate(nil, x, x, Tanh)
			}
		})
	}
	group.Wait()
}

func TestPoolAllocatesNothing(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	task := &countTask{hits: make([]atomic.Int32, 20), panic: -1}
	nothingAllocated(t, "run", func() { p.run(20, task) })
}

package pipeline

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// Measured does a named share of the task's work, such as training one of several candidates. What it took is kept with the
// results and shown in reports; it decides nothing, and enters no key and no digest.
func (t *Task) Measured(name string, do func() error) error {
	if t.measure == nil {
		return do()
	}
	return t.measure(name, do)
}

// measured does a share of the work whose parts the ledger notes.
func (l *ledger) measured(name string, do func() error) error {
	sparedBefore, peakBefore := l.spared, l.peak
	l.peak = 0
	runtime.GC() // what is no longer used does not count
	started, watch := time.Now(), watchHeap()
	err := do()
	peak := max(watch.end(), l.peak)
	l.shares = append(l.shares, cache.Share{Name: name, Seconds: time.Since(started).Seconds() + l.spared - sparedBefore, Peak: peak})
	l.peak = max(peakBefore, peak)
	return err
}

// heapWatch samples how many bytes this process's heap holds.
type heapWatch struct {
	done    chan struct{}
	ended   sync.WaitGroup
	largest int64
}

func watchHeap() *heapWatch {
	w := &heapWatch{done: make(chan struct{})}
	w.sample()
	w.ended.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.done:
				return
			case <-tick.C:
				w.sample()
			}
		}
	})
	return w
}

func (w *heapWatch) sample() {
	held := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(held)
	if v := held[0].Value; v.Kind() == metrics.KindUint64 {
		w.largest = max(w.largest, int64(v.Uint64()))
	}
}

// end returns the most that the heap held, in bytes.
func (w *heapWatch) end() int64 {
	close(w.done)
	w.ended.Wait()
	w.sample()
	return w.largest
}

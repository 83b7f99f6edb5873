package kernel

import (
	"runtime"
	"sync/atomic"
	"testing"
)

func TestEachCallsEveryPieceOnce(t *testing.T) {
	three := NewPool(3)
	defer three.Close()
	for _, pool := range []*Pool{nil, three} {
		for _, n := range []int{0, 1, 2, 100} {
			calls := make([]atomic.Int32, n)
			pool.Each(n, func(worker, i int) {
				if worker < 0 || worker >= pool.Threads() {
					t.Errorf("worker %d of %d", worker, pool.Threads())
				}
				calls[i].Add(1)
			})
			for i := range calls {
				if got := calls[i].Load(); got != 1 {
					t.Errorf("%d threads: piece %d of %d was called %d times", pool.Threads(), i, n, got)
				}
			}
		}
	}
}

// Pools of more threads than processors end, however their workers meet.
func TestPoolsOfManyThreadsEnd(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	for range 3000 {
		p := NewPool(16)
		p.Each(3, func(int, int) {})
		p.Close()
	}
}

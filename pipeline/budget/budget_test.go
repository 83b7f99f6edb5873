package budget_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/pipeline/budget"
)

// piece is a piece of work of a test.
type piece struct {
	begins, lasts time.Duration
	least, most   int
	memory        int64
	keep          int // number of the keep that it uses; 0: none
	pauses        int // number of the lock that it waits for meanwhile; 0: none
	extends       bool
	gives         time.Duration // when it gives up waiting; 0: never
}

// total is what pieces have, as they count it themselves.
type total struct {
	sync.Mutex
	threads, running, alone int
	memory                  int64
	kept                    map[int]bool // keeps that were not dropped since they were used
	users                   map[int]int  // of keeps
}

// Whatever work asks for, and whatever it waits for meanwhile, all of it is done; and at no time do grants
// exceed the budget, but for work that needs more than all of it, which is alone, and work that went on
// after a pause.
func TestAllWorkIsDoneWithinTheBudget(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		threads := rapid.IntRange(1, 8).Draw(rt, "threads")
		memory := rapid.Int64Range(1, 100).Draw(rt, "memory")
		kept := rapid.SliceOfN(rapid.Int64Range(0, 60), 3, 3).Draw(rt, "keeps")
		pausing := rapid.Bool().Draw(rt, "pausing")
		pieces := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) piece {
			p := piece{
				begins: time.Duration(rapid.IntRange(0, 20).Draw(rt, "begins")), lasts: time.Duration(rapid.IntRange(0, 9).Draw(rt, "lasts")),
				least: rapid.IntRange(0, 9).Draw(rt, "least"), most: rapid.IntRange(0, 9).Draw(rt, "most"),
				memory: rapid.Int64Range(0, 120).Draw(rt, "memory"), keep: rapid.IntRange(0, 3).Draw(rt, "keep"),
				extends: rapid.Bool().Draw(rt, "extends"),
			}
			if pausing {
				p.pauses = rapid.IntRange(0, 2).Draw(rt, "pauses")
			}
			if rapid.IntRange(0, 9).Draw(rt, "impatient") == 0 {
				p.gives = time.Duration(rapid.IntRange(1, 9).Draw(rt, "gives"))
			}
			return p
		}), 1, 40).Draw(rt, "pieces")

		var fault atomic.Value
		synctest.Test(t, func(*testing.T) {
			b := budget.New(threads, memory)
			sum := &total{kept: map[int]bool{}, users: map[int]int{}}
			keeps := map[int]*budget.Keep{}
			for i, size := range kept {
				keeps[i+1] = &budget.Keep{Memory: size, Drop: func() {
					sum.Lock()
					defer sum.Unlock()
					sum.kept[i+1] = false
				}}
			}
			lock := make(chan struct{}, 1) // a mutex would hold up the bubble's time
			var done atomic.Int64
			for _, p := range pieces {
				go func() {
					time.Sleep(p.begins)
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					if p.gives > 0 {
						go func() { time.Sleep(p.gives); cancel() }()
					}
					if p.pauses == 2 { // the lock is taken before the grant, as that of a key is
						lock <- struct{}{}
						defer func() { <-lock }()
					}
					g, err := b.Acquire(ctx, budget.Need{Least: p.least, Most: p.most, Memory: p.memory, Keep: keeps[p.keep]})
					if err != nil {
						if p.gives == 0 || !errors.Is(err, context.Canceled) {
							fault.Store(err.Error())
						}
						done.Add(1)
						return
					}
					counted := g.Threads()
					count := func(sign int) {
						sum.Lock()
						defer sum.Unlock()
						sum.threads += sign * counted
						sum.memory += int64(sign) * p.memory
						sum.running += sign
						if p.keep > 0 {
							sum.users[p.keep] += sign
							sum.kept[p.keep] = sum.kept[p.keep] || sign > 0
						}
						used := sum.memory
						for i, users := range sum.users {
							if users > 0 {
								used += kept[i-1]
							}
						}
						switch {
						case sum.threads > threads:
							fault.Store("more threads than there are")
						case used > memory && sum.running > 1 && !pausing:
							fault.Store("more memory than there is")
						}
					}
					count(1)
					time.Sleep(p.lasts)
					if p.pauses == 1 {
						count(-1)
						g.Pause()
						lock <- struct{}{}
						if g.Resume(ctx) == nil {
							counted = g.Threads()
							count(1)
						} else {
							counted = 0
							p.memory = 0
							count(1)
						}
						time.Sleep(p.lasts)
						<-lock
					}
					if p.extends {
						sum.Lock()
						before := counted
						counted = g.Extend()
						sum.threads += counted - before
						sum.Unlock()
						time.Sleep(p.lasts)
						sum.Lock()
						sum.threads += before - counted
						sum.Unlock()
						counted = before
						g.Restrict(before)
					}
					count(-1)
					g.Release()
					g.Release() // once more does nothing
					done.Add(1)
				}()
			}
			time.Sleep(time.Hour)
			if int(done.Load()) != len(pieces) {
				fault.Store("not all work was done")
				panic("not all work was done") // the bubble would wait for it
			}
			// Everything is given back.
			g, err := b.Acquire(context.Background(), budget.Need{Least: threads, Most: threads, Memory: memory})
			if err != nil {
				fault.Store(err.Error())
				return
			}
			if g.Threads() != threads {
				fault.Store("threads are lost")
			}
			for i, held := range sum.kept {
				if held && kept[i-1] > 0 {
					fault.Store("a keep is held though all memory was asked for")
				}
			}
			g.Release()
		})
		if f := fault.Load(); f != nil {
			rt.Fatal(f)
		}
	})
}

// Large work is passed by small work only so often, and alone when it needs more than there is.
func TestLargeWorkIsNotPassedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(4, 100)
		ctx := context.Background()
		var small, atOnce atomic.Int64
		stop := make(chan struct{})
		for range 3 {
			go func() {
				for {
					g, err := b.Acquire(ctx, budget.Need{Memory: 40})
					if err != nil {
						t.Error(err)
					}
					atOnce.Add(1)
					select {
					case <-stop:
						atOnce.Add(-1)
						g.Release()
						return
					case <-time.After(time.Second):
					}
					small.Add(1)
					atOnce.Add(-1)
					g.Release()
				}
			}()
		}
		time.Sleep(time.Minute)
		before := small.Load()
		g, err := b.Acquire(ctx, budget.Need{Most: 4, Memory: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if passed := small.Load() - before; passed > 80 {
			t.Errorf("passed %d times", passed)
		}
		time.Sleep(time.Minute)
		if atOnce.Load() != 0 {
			t.Error("work that needs more than the budget is not alone")
		}
		g.Release()
		close(stop)
	})
}

// Work that comes at once shares the threads evenly; work that is alone has all.
func TestThreadsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(8, 0)
		ctx := context.Background()
		settled := false
		grants := make(chan *budget.Grant, 4)
		for range 4 {
			go func() {
				g, err := b.Acquire(ctx, budget.Need{Most: 8, Settled: func() bool { return settled }})
				if err != nil {
					t.Error(err)
				}
				grants <- g
			}()
		}
		synctest.Wait()
		settled = true
		b.Settle()
		synctest.Wait()
		if len(grants) != 4 {
			t.Fatalf("%d of 4 are served", len(grants))
		}
		var all []*budget.Grant
		for range 4 {
			g := <-grants
			if g.Threads() != 2 {
				t.Errorf("%d threads of 8 for one of 4", g.Threads())
			}
			all = append(all, g)
		}
		for _, g := range all[1:] {
			g.Release()
		}
		if got := all[0].Extend(); got != 8 {
			t.Errorf("%d threads of 8 for one that is left", got)
		}
		go func() {
			g, err := b.Acquire(ctx, budget.Need{})
			if err != nil {
				t.Error(err)
			}
			grants <- g
		}()
		synctest.Wait()
		if all[0].Restrict(2); all[0].Threads() != 2 {
			t.Errorf("%d threads, not the 2 that it had", all[0].Threads())
		}
		(<-grants).Release()
		all[0].Release()
	})
}

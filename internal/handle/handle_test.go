package handle_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/sourcegraph/conc"

	"github.com/tlpipe/tlpipe/internal/handle"
)

// resource counts how many are open.
type resource struct {
	key    int
	open   *atomic.Int64
	closed atomic.Bool
}

func (r *resource) Close() error {
	if r.closed.Swap(true) {
		return errors.New("closed twice")
	}
	r.open.Add(-1)
	return nil
}

func TestSetIsBounded(t *testing.T) {
	var open, most atomic.Int64
	s := handle.Set[int, *resource]{Most: 5}
	var group conc.WaitGroup
	const users = 4
	for user := range users {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(user)))
			for range 2000 {
				key := random.IntN(20)
				r, done, err := s.Use(key, func() (*resource, error) {
					if now := open.Add(1); now > most.Load() {
						most.Store(now)
					}
					return &resource{key: key, open: &open}, nil
				})
				if err != nil || r.key != key || r.closed.Load() {
					t.Errorf("key %d gives %+v, %v", key, r, err)
					return
				}
				done()
			}
		})
	}
	group.Wait()
	if n := most.Load(); n < 5 || n > 5+users {
		t.Errorf("%d were open at once", n)
	}
	if err := s.Close(); err != nil || open.Load() != 0 {
		t.Errorf("%d are open after the end, %v", open.Load(), err)
	}
}

func TestWhatIsUsedLastStaysOpen(t *testing.T) {
	var open atomic.Int64
	opened := map[int]int{}
	s := handle.Set[int, *resource]{Most: 2}
	use := func(key int) func() {
		_, done, err := s.Use(key, func() (*resource, error) {
			opened[key]++
			open.Add(1)
			return &resource{key: key, open: &open}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	inUse := use(1)
	use(2)()
	use(3)() // closes 2, which is idle, and not 1
	use(3)()
	use(1)()
	if opened[1] != 1 || opened[2] != 1 || opened[3] != 1 || open.Load() != 2 {
		t.Errorf("opened %v, %d are open", opened, open.Load())
	}
	use(2)()
	inUse()
	if opened[2] != 2 || open.Load() != 2 {
		t.Errorf("opened %v, %d are open", opened, open.Load())
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	tries := 0
	for err, want := range map[error]int{fs.ErrNotExist: 1, context.Canceled: 3} {
		s := handle.Set[string, *resource]{Most: 2}
		tries = 0
		for range 3 {
			_, _, got := s.Use("a", func() (*resource, error) { tries++; return nil, err })
			if !errors.Is(got, err) {
				t.Errorf("%v, want %v", got, err)
			}
		}
		if tries != want || s.Close() != nil {
			t.Errorf("%v: %d tries", err, tries)
		}
	}
}

package dataset

import (
	"context"
	"errors"
	"io"
	"sync"
)

// mostOpen is how many files a reader keeps open at once: a data set may be of more files than a process
// may have open. Those that are being read are open in any case.
const mostOpen = 32

// handles keeps files open between reads, a bounded number of them: the one that was not used for longest is
// closed for another. It may be used from several goroutines at once.
type handles[F io.Closer] struct {
	mu    sync.Mutex
	open  map[string]*handle[F]
	clock int64
}

type handle[F io.Closer] struct {
	once  sync.Once
	file  F
	err   error // of opening
	users int
	used  int64
}

// use returns the file at path, opened if it is not open; done ends its use.
func (h *handles[F]) use(ctx context.Context, path string, open func(ctx context.Context, path string) (F, error)) (file F, done func(), err error) {
	h.mu.Lock()
	if h.open == nil {
		h.open = map[string]*handle[F]{}
	}
	one := h.open[path]
	if one == nil {
		one = &handle[F]{}
		h.open[path] = one
	}
	h.clock++
	one.used = h.clock
	one.users++
	idle := h.takeIdle()
	h.mu.Unlock()
	for _, i := range idle {
		_ = i.close() // it was only read
	}
	one.once.Do(func() { one.file, one.err = open(ctx, path) })
	done = func() {
		h.mu.Lock()
		one.users--
		h.mu.Unlock()
	}
	if one.err != nil {
		done()
		if ctx.Err() != nil { // it says nothing of the file
			h.mu.Lock()
			if h.open[path] == one {
				delete(h.open, path)
			}
			h.mu.Unlock()
		}
		return file, nil, one.err
	}
	return one.file, done, nil
}

// takeIdle takes out what is too much, as far as nobody uses it.
func (h *handles[F]) takeIdle() (idle []*handle[F]) {
	for len(h.open) > mostOpen {
		var oldest string
		for path, one := range h.open {
			if one.users == 0 && (oldest == "" || one.used < h.open[oldest].used) {
				oldest = path
			}
		}
		if oldest == "" {
			return idle
		}
		idle = append(idle, h.open[oldest])
		delete(h.open, oldest)
	}
	return idle
}

func (one *handle[F]) close() error {
	if one.err != nil {
		return nil
	}
	return one.file.Close()
}

// Close closes all files. None may be in use.
func (h *handles[F]) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, one := range h.open {
		errs = append(errs, one.close())
	}
	h.open = nil
	return errors.Join(errs...)
}

// Package handle keeps things open between uses, a bounded number of them: files, of which a process may have
// few open, and views of files, of which the system has so many and no more.
package handle

import (
	"container/list"
	"context"
	"errors"
	"io"
	"sync"
)

// Set keeps open what was used last. It may be used from several goroutines at once. Make one with its limit:
//
//	s := handle.Set[string, *os.File]{Most: 32}
type Set[K comparable, H io.Closer] struct {
	Most int // how many are open at once; those in use are open in any case

	mu   sync.Mutex
	open map[K]*one[K, H]
	idle list.List // of *one, those that nobody uses: the one that was used longest ago is first
}

type one[K comparable, H io.Closer] struct {
	key    K
	once   sync.Once
	handle H
	err    error // of opening
	users  int
	place  *list.Element // among the idle; nil while in use
}

// Use returns what a key stands for, opened if it is not open; done ends its use. What cannot be opened is not
// tried again, unless that was for the context's sake.
func (s *Set[K, H]) Use(key K, open func() (H, error)) (h H, done func(), err error) {
	x, surplus := s.take(key)
	for _, other := range surplus {
		_ = other.close() // what is kept here is only read
	}
	x.once.Do(func() { x.handle, x.err = open() })
	if x.err != nil {
		s.give(x, errors.Is(x.err, context.Canceled) || errors.Is(x.err, context.DeadlineExceeded))
		return h, nil, x.err
	}
	return x.handle, func() { s.give(x, false) }, nil
}

// take begins a use, and takes out what is too much.
func (s *Set[K, H]) take(key K) (x *one[K, H], surplus []*one[K, H]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[K]*one[K, H]{}
	}
	if x = s.open[key]; x == nil {
		x = &one[K, H]{key: key}
		s.open[key] = x
	}
	x.users++
	if x.place != nil {
		s.idle.Remove(x.place)
		x.place = nil
	}
	for len(s.open) > s.Most && s.idle.Len() > 0 {
		other := s.idle.Remove(s.idle.Front()).(*one[K, H])
		delete(s.open, other.key)
		surplus = append(surplus, other)
	}
	return x, surplus
}

// give ends a use.
func (s *Set[K, H]) give(x *one[K, H], forget bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if forget && s.open[x.key] == x {
		delete(s.open, x.key)
	}
	if x.users--; x.users == 0 && s.open[x.key] == x {
		x.place = s.idle.PushBack(x)
	}
}

func (x *one[K, H]) close() error {
	if x.err != nil {
		return nil
	}
	return x.handle.Close()
}

// Close closes all. None may be in use.
func (s *Set[K, H]) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, x := range s.open {
		errs = append(errs, x.close())
	}
	s.open = nil
	s.idle.Init()
	return errors.Join(errs...)
}

package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Lock waits until no other goroutine or process works on the key, and
// returns the function that ends the lock. waiting, if not nil, is called
// once when there is something to wait for. A lock dies with its process.
func (s *Store) Lock(ctx context.Context, key string, waiting func()) (unlock func(), err error) {
	path := filepath.Join(s.dir, "locks", key)
	pause := time.Millisecond
	for {
		if err := s.clear(path); err != nil {
			return nil, err
		}
		lock := flock.New(path)
		locked, err := lock.TryLock()
		if isMissing(err) {
			if err = s.makeDir(filepath.Dir(path)); err == nil {
				locked, err = lock.TryLock()
			}
		}
		if err != nil {
			_ = lock.Close()
			return nil, fmt.Errorf("lock %s: %w", short(key), err)
		}
		// The file may have been removed by the one who held the lock, between
		// our opening it and our locking it: then ours guards nothing.
		if locked && sameFile(lock, path) {
			return func() {
				_ = os.Remove(path)
				_ = lock.Close()
			}, nil
		}
		_ = lock.Close()
		if locked {
			continue
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

func sameFile(lock *flock.Flock, path string) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	return err == nil && os.SameFile(held, there)
}

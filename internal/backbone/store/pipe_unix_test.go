//go:build unix

package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/internal/backbone/store"
	"github.com/tlpipe/tlpipe/internal/digest"
)

// A named pipe where the store keeps what it knows of a source is not waited for.
func TestPipeAmongSources(t *testing.T) {
	content := []byte("weights")
	server := serve(t, map[string][]byte{"/a": content})
	dir := t.TempDir()
	s := store.Open(dir)
	source := store.Source{URL: server.URL + "/a", Expected: digest.Expected{SHA256: sum(content)[:8]}}
	get(t, s, source)
	known, err := filepath.Glob(filepath.Join(dir, "sources", "*"))
	if err != nil || len(known) != 1 {
		t.Fatal(known, err)
	}
	if err := errors.Join(os.Remove(known[0]), syscall.Mkfifo(known[0], 0o666)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := s.List(); err != nil {
			t.Error(err)
		}
		s.Find(source)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
	}
	holds(t, get(t, s, source), content)
}

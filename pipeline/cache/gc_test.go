package cache_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

func collect(t *testing.T, dir string, p cache.Policy) cache.Usage {
	t.Helper()
	u, err := cache.Collect(context.Background(), dir, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestVerifyIsNoUse(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, cache.OS{})
	if err := put(s, keyOf(0), contentOf(0)); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "entries", keyOf(0)[:2], keyOf(0)), long, long); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if u := collect(t, dir, cache.Policy{MaxBytes: -1, OlderThan: 24 * time.Hour}); u.RemovedEntries != 1 {
		t.Errorf("removed %d entries, not the one that was not used for two days", u.RemovedEntries)
	}
}

func TestCollectDoesNotCountWhatNoEntryNames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, cache.OS{})
	if err := put(s, keyOf(0), contentOf(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutBlob(make([]byte, 10_000), 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if u := collect(t, dir, cache.Policy{MaxBytes: 5000}); u.RemovedEntries != 0 || u.RemovedBlobs != 1 {
		t.Errorf("removed %d entries and %d blobs: the blob alone was enough", u.RemovedEntries, u.RemovedBlobs)
	}
}

func TestCollectKeepsTablesOfTheNewestRunThatHaveNoEntry(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, cache.OS{})
	rejects, err := s.PutBlob([]byte("rejects of a listing"), 1)
	if err != nil {
		t.Fatal(err)
	}
	latest := cache.Latest{Nodes: []cache.LatestNode{{Name: "n", Outputs: map[string][]cache.Chunk{"rejects": {rejects}}}}}
	if err := s.SaveLatest(cache.PipelineID("p", "f"), latest); err != nil {
		t.Fatal(err)
	}
	s.Close()
	collect(t, dir, cache.Policy{MaxBytes: -1})
	s = open(t, dir, cache.OS{})
	if _, err := s.Blob(rejects.Digest); err != nil {
		t.Error(err)
	}
}

func TestCollectWithoutACache(t *testing.T) {
	if u := collect(t, filepath.Join(t.TempDir(), "none"), cache.Policy{}); u.Entries != 0 {
		t.Errorf("%+v", u)
	}
}

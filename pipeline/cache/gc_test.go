package cache_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
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

// An entry that is kept, for whatever reason, keeps the parts that it was made
// of: they are what an edit of its recipe goes on from.
func TestCollectKeepsThePartsOfWhatItKeeps(t *testing.T) {
	const day = 24 * time.Hour
	fill := func(t *testing.T) (dir string) {
		dir = t.TempDir()
		s := open(t, dir, cache.OS{})
		for i, e := range []struct {
			key   string
			parts []string
			age   time.Duration
		}{
			{"whole", []string{"part", "shared"}, day},
			{"part", nil, 10 * day}, // not looked up since the whole is there
			{"shared", nil, 12 * day},
			{"old whole", []string{"old part", "shared"}, 8 * day},
			{"old part", nil, 9 * day},
		} {
			c, err := s.PutBlob([]byte(contentOf(i)), 1)
			if err != nil {
				t.Fatal(err)
			}
			stored := cache.Entry{Key: keyNamed(e.key), Stage: "test", Outputs: map[string][]cache.Chunk{"out": {c}}}
			for _, part := range e.parts {
				stored.Parts = append(stored.Parts, keyNamed(part))
			}
			if err := s.Commit(stored); err != nil {
				t.Fatal(err)
			}
			when := time.Now().Add(-e.age)
			if err := os.Chtimes(filepath.Join(dir, "entries", stored.Key[:2], stored.Key), when, when); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		return dir
	}
	kept := func(t *testing.T, dir string) (out []string) {
		s := open(t, dir, cache.OS{})
		for _, name := range []string{"old part", "old whole", "part", "shared", "whole"} {
			if _, err := s.Lookup(keyNamed(name)); err == nil {
				out = append(out, name)
			}
		}
		return out
	}
	one := int64(len(contentOf(0)))
	for name, test := range map[string]struct {
		policy cache.Policy
		want   []string
	}{
		"by age":                      {cache.Policy{MaxBytes: -1, OlderThan: 5 * day}, []string{"part", "shared", "whole"}},
		"by size, the whole first":    {cache.Policy{MaxBytes: 5*one - one/2}, []string{"old part", "part", "shared", "whole"}},
		"by size, then what it takes": {cache.Policy{MaxBytes: 4*one - one/2}, []string{"part", "shared", "whole"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fill(t)
			collect(t, dir, test.policy)
			if got := kept(t, dir); !slices.Equal(got, test.want) {
				t.Errorf("kept %q, want %q", got, test.want)
			}
		})
	}
	t.Run("by the newest run", func(t *testing.T) {
		dir := fill(t)
		s := open(t, dir, cache.OS{})
		latest := cache.Latest{Nodes: []cache.LatestNode{{Name: "n", Keys: []string{keyNamed("old whole")}}}}
		if err := s.SaveLatest(cache.PipelineID("p", "f"), latest); err != nil {
			t.Fatal(err)
		}
		s.Close()
		collect(t, dir, cache.Policy{MaxBytes: -1})
		if got, want := kept(t, dir), []string{"old part", "old whole", "shared"}; !slices.Equal(got, want) {
			t.Errorf("kept %q, want %q", got, want)
		}
	})
}

func keyNamed(name string) string { return cache.Preimage{{Name: "key", Value: name}}.Digest() }

func TestCollectWithoutACache(t *testing.T) {
	if u := collect(t, filepath.Join(t.TempDir(), "none"), cache.Policy{}); u.Entries != 0 {
		t.Errorf("%+v", u)
	}
}

package cache_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

func TestFindBlobs(t *testing.T) {
	s, err := cache.Open(context.Background(), t.TempDir(), cache.OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all []string
	for i := range 40 {
		c, err := s.PutBlob([]byte{byte(i)}, 1)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c.Digest)
	}
	slices.Sort(all)
	for _, length := range []int{0, 1, 2, 3, 10, 64} {
		prefix := all[7][:length]
		var want []string
		for _, d := range all {
			if d[:length] == prefix {
				want = append(want, d)
			}
		}
		got, err := s.FindBlobs(prefix)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("prefix %q: found %v, want %v (%v)", prefix, got, want, err)
		}
	}
	for _, prefix := range []string{"no such", "../latest", "zz"} {
		if got, err := s.FindBlobs(prefix); err != nil || len(got) > 0 {
			t.Errorf("prefix %q: found %v, %v", prefix, got, err)
		}
	}
}

func TestPipelines(t *testing.T) {
	s, err := cache.Open(context.Background(), t.TempDir(), cache.OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, name := range []string{"old", "new", "middle"} {
		at := time.Date(2026, 1, []int{1, 3, 2}[i], 0, 0, 0, 0, time.UTC)
		if err := s.SaveLatest(cache.PipelineID(name, "/x.yaml"), cache.Latest{Pipeline: name, Time: at}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Pipelines()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range all {
		names = append(names, l.Pipeline)
	}
	if !slices.Equal(names, []string{"new", "middle", "old"}) {
		t.Errorf("pipelines are %v", names)
	}
}

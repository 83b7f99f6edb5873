package cache

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FindBlobs lists the digests of blobs that begin with prefix, sorted.
func (s *Store) FindBlobs(prefix string) ([]string, error) {
	var found []string
	class := "blobs"
	if len(prefix) >= 2 {
		if strings.ContainsAny(prefix, `/\.`) {
			return nil, nil
		}
		class = filepath.Join(class, prefix[:2])
	}
	err := s.walk(class, func(path string, _ fs.FileInfo) error {
		if digest := filepath.Base(path); strings.HasPrefix(digest, prefix) {
			found = append(found, digest)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find blobs: %w", err)
	}
	slices.Sort(found)
	return found, nil
}

// Gone tells whether the pipeline's file is no longer where it was.
func (l Latest) Gone() bool {
	_, err := os.Stat(l.File)
	return isMissing(err)
}

// Forget removes the records of pipelines' newest runs that which selects, and
// returns them: their results become garbage if no other pipeline uses them.
// With dryRun they stay.
func (s *Store) Forget(which func(Latest) bool, dryRun bool) ([]Latest, error) {
	var forgotten []Latest
	err := s.walk("latest", func(path string, _ fs.FileInfo) error {
		l, err := s.Latest(filepath.Base(path))
		if err != nil || !which(l) {
			return nil
		}
		if !dryRun {
			if err := s.fs.Remove(path); err != nil {
				return fmt.Errorf("forget the pipeline %s: %w", l.Pipeline, err)
			}
		}
		forgotten = append(forgotten, l)
		return nil
	})
	slices.SortFunc(forgotten, func(a, b Latest) int { return b.Time.Compare(a.Time) })
	return forgotten, err
}

// Pipelines returns what the newest run of each pipeline used, the newest
// first.
func (s *Store) Pipelines() ([]Latest, error) {
	var out []Latest
	err := s.walk("latest", func(path string, _ fs.FileInfo) error {
		if l, err := s.Latest(filepath.Base(path)); err == nil {
			out = append(out, l)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b Latest) int { return b.Time.Compare(a.Time) })
	return out, nil
}

//go:build unix

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// closed is a file system on which some files cannot be opened, for a reason
// that says nothing of their content.
type closed struct {
	cache.OS
	path string // that contains this
	why  error
}

func (c *closed) Open(name string) (io.ReadCloser, error) {
	if c.path != "" && strings.Contains(name, c.path) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: c.why}
	}
	return c.OS.Open(name)
}

// damages are what can become of a file.
var damages = map[string]func(path string) error{
	"flipped": func(path string) error {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		raw[len(raw)/2] ^= 1
		return os.WriteFile(path, raw, 0o666)
	},
	"cut short": func(path string) error { return os.Truncate(path, 5) },
	"empty":     func(path string) error { return os.Truncate(path, 0) },
	"deleted":   os.Remove,
	"a folder": func(path string) error {
		return errors.Join(os.Remove(path), os.Mkdir(path, 0o777))
	},
	"a folder with files": func(path string) error {
		return errors.Join(os.Remove(path), os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, "file"), []byte("content"), 0o666))
	},
	"a named pipe": func(path string) error {
		return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o666))
	},
	"a link to itself": func(path string) error {
		return errors.Join(os.Remove(path), os.Symlink(filepath.Base(path), path))
	},
	"a link to nothing": func(path string) error {
		return errors.Join(os.Remove(path), os.Symlink("nothing", path))
	},
	"in a link to itself instead of a folder": func(path string) error {
		folder := filepath.Dir(path)
		return errors.Join(os.RemoveAll(folder), os.Symlink(filepath.Base(folder), folder))
	},
	"in a file instead of a folder": func(path string) error {
		folder := filepath.Dir(path)
		return errors.Join(os.RemoveAll(folder), os.WriteFile(folder, []byte("no folder"), 0o666))
	},
	"in a named pipe instead of a folder": func(path string) error {
		folder := filepath.Dir(path)
		return errors.Join(os.RemoveAll(folder), syscall.Mkfifo(folder, 0o666))
	},
}

// fill writes one file of each kind.
func fill(s *cache.Store, source, run string) error {
	recipe, err := s.SaveRecipe(cache.Preimage{{Name: "a", Value: "1"}})
	if err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	blob, err := s.PutBlob([]byte(contentOf(1)), 1)
	if err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	e := cache.Entry{Key: keyOf(1), Stage: "test", Recipe: recipe, Outputs: map[string][]cache.Chunk{"out": {blob}}}
	if err := s.Commit(e); err != nil {
		return fmt.Errorf("entry: %w", err)
	}
	if err := s.Checkpoint(keyOf(1)).Save([]byte("state")); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := s.SaveLatest(pipelineID, cache.Latest{Pipeline: "p", Nodes: []cache.LatestNode{{Name: "n", Keys: []string{e.Key}}}}); err != nil {
		return fmt.Errorf("latest: %w", err)
	}
	index := s.StatIndex()
	if _, err := index.Digest(context.Background(), source); err != nil {
		return fmt.Errorf("stat index: %w", err)
	}
	if err := index.Save(); err != nil {
		return fmt.Errorf("stat index: %w", err)
	}
	unlock, err := s.Lock(context.Background(), keyOf(1), nil)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	unlock()
	dir, err := s.RunDir(run)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "journal.jsonl"), []byte(`{"event":"chunk","key":"`+keyOf(1)+`"}`+"\n"), 0o666)
}

var pipelineID = cache.PipelineID("p", "f")

// look reads everything; what is damaged may be missing, but is never wrong.
func look(s *cache.Store, source string) error {
	if got, err := get(s, keyOf(1)); err != nil || got != "" && got != contentOf(1) {
		return fmt.Errorf("result %q: %w", got, err)
	}
	data, unmap, err := s.ViewBlob(cache.Chunk{}.Digest)
	if err == nil {
		return errors.Join(fmt.Errorf("a blob without a name has %d bytes", len(data)), unmap())
	}
	state, ok, err := s.Checkpoint(keyOf(1)).Load()
	if err != nil || ok && string(state) != "state" {
		return fmt.Errorf("checkpoint %q: %w", state, err)
	}
	latest, err := s.Latest(pipelineID)
	if err == nil && latest.Pipeline != "p" || err != nil && !errors.Is(err, cache.ErrMissing) {
		return fmt.Errorf("latest %+v: %w", latest, err)
	}
	if digest, err := s.StatIndex().Digest(context.Background(), source); err != nil || digest != sourceDigest {
		return fmt.Errorf("digest %s: %w", digest, err)
	}
	if _, err := s.Inspect(); err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	if _, err := s.Pipelines(); err != nil {
		return fmt.Errorf("pipelines: %w", err)
	}
	if _, err := s.FindBlobs("ab"); err != nil {
		return fmt.Errorf("find blobs: %w", err)
	}
	return nil
}

const sourceDigest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed" // of "one"

// cacheFiles lists the files of a cache, one of each kind, and its locks.
func cacheFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			below, _ := filepath.Rel(dir, path)
			files = append(files, below)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(files, filepath.Join("locks", keyOf(1)))
}

func withSource(t *testing.T) (source string) {
	t.Helper()
	source = filepath.Join(t.TempDir(), "source.txt")
	if err := os.WriteFile(source, []byte("one"), 0o666); err != nil {
		t.Fatal(err)
	}
	return source
}

// within fails a test that hangs, instead of all tests.
func within(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
		return nil
	}
}

// Whatever becomes of whichever file of a cache, nothing wrong is read,
// nothing hangs, and everything can be written again.
func TestEveryDamageHeals(t *testing.T) {
	source := withSource(t)
	first := t.TempDir()
	s := open(t, first, noSync{})
	if err := fill(s, source, "first"); err != nil {
		t.Fatal(err)
	}
	files := cacheFiles(t, first)
	for _, class := range []string{"blobs", "entries", "recipes", "checkpoints", "latest", "runs", "locks"} {
		if !slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, class+string(filepath.Separator)) }) {
			t.Errorf("there is no file of %s", class)
		}
	}
	for _, file := range files {
		for damage, inflict := range damages {
			for _, first := range []string{"look", "fill", "verify", "collect"} {
				t.Run(file[:min(len(file), 12)]+" "+damage+", then "+first, func(t *testing.T) {
					dir := t.TempDir()
					s := open(t, dir, noSync{})
					if err := fill(s, source, "first"); err != nil {
						t.Fatal(err)
					}
					s.Close()
					path := filepath.Join(dir, file)
					if _, err := os.Stat(path); err != nil { // a lock that nobody holds
						if err := os.WriteFile(path, make([]byte, 10), 0o666); err != nil {
							t.Fatal(err)
						}
					}
					if fi, _ := os.Stat(path); fi.Size() == 0 && damage == "flipped" {
						t.Skip("an empty file")
					}
					if err := inflict(path); err != nil {
						t.Fatal(err)
					}
					err := within(t, func() error {
						if first == "collect" {
							_, err := cache.Collect(context.Background(), dir, cache.Policy{MaxBytes: -1}, nil)
							if strings.HasPrefix(file, "latest") && err != nil {
								// What to keep is not known: everything stays.
								if !strings.Contains(err.Error(), "what to keep is not known") {
									return err
								}
								if _, err := os.Stat(filepath.Join(dir, "entries")); err != nil {
									return err
								}
							} else if err != nil {
								return err
							}
						}
						s, err := cache.Open(context.Background(), dir, noSync{})
						if err != nil {
							return err
						}
						defer s.Close()
						switch first {
						case "look":
							err = look(s, source)
						case "verify":
							var u cache.Usage
							if u, err = s.Verify(context.Background(), nil); err == nil && len(u.Unchecked) > 0 {
								err = fmt.Errorf("not checked: %q", u.Unchecked)
							}
						}
						if err != nil {
							return fmt.Errorf("%s: %w", first, err)
						}
						if err := fill(s, source, "second"); err != nil {
							return fmt.Errorf("fill again: %w", err)
						}
						if got, err := get(s, keyOf(1)); err != nil || got != contentOf(1) {
							return fmt.Errorf("afterwards the result is %q: %w", got, err)
						}
						if state, ok, err := s.Checkpoint(keyOf(1)).Load(); err != nil || !ok || string(state) != "state" {
							return fmt.Errorf("afterwards the checkpoint is %q: %w", state, err)
						}
						return look(s, source)
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// A file that cannot be opened is not taken for a damaged one: it stays, and
// whoever needs it is told which it is.
func TestWhatCannotBeOpenedStays(t *testing.T) {
	source := withSource(t)
	for _, why := range []error{syscall.EMFILE, syscall.EACCES, syscall.EIO} {
		for _, class := range []string{"blobs", "entries", "recipes", "checkpoints", "latest", "stat"} {
			t.Run(class+" "+why.Error(), func(t *testing.T) {
				dir := t.TempDir()
				if err := fill(open(t, dir, noSync{}), source, "first"); err != nil {
					t.Fatal(err)
				}
				before := cacheFiles(t, dir)
				s := open(t, dir, &closed{path: string(filepath.Separator) + class + string(filepath.Separator), why: why})
				err := look(s, source)
				if class == "blobs" || class == "entries" || class == "checkpoints" {
					if !errors.Is(err, why) || !strings.Contains(err.Error(), class) {
						t.Errorf("error is %v", err)
					}
				} else if err != nil {
					t.Error(err) // the others are only ever a help
				}
				u, err := s.Verify(context.Background(), nil)
				if len(u.Damaged) > 0 {
					t.Errorf("taken for damaged: %q", u.Damaged)
				}
				if class == "blobs" || class == "recipes" {
					if len(u.Unchecked) != 1 || !strings.Contains(u.Unchecked[0], why.Error()) {
						t.Errorf("not checked: %q", u.Unchecked)
					}
				}
				if class == "entries" && !errors.Is(err, why) {
					t.Errorf("error is %v", err)
				}
				if after := cacheFiles(t, dir); !slices.Equal(before, after) {
					t.Errorf("there were\n%q, there are\n%q", before, after)
				}
			})
		}
	}
}

// syncs records which folders were synced.
type syncs struct {
	noSync
	folders []string
}

func (s *syncs) SyncDir(name string) error {
	s.folders = append(s.folders, name)
	return nil
}

// A file survives a loss of power only if all the folders above it do.
func TestFoldersAreSyncedIntoTheirParents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "some", "cache")
	record := &syncs{}
	s := open(t, dir, record)
	if err := put(s, keyOf(1), contentOf(1)); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{
		filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir), dir,
		filepath.Join(dir, "entries"), filepath.Join(dir, "entries", keyOf(1)[:2]),
	} {
		if !slices.Contains(record.folders, folder) {
			t.Errorf("%s was not synced, only %q", folder, record.folders)
		}
	}
}

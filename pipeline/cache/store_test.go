package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

func open(t testing.TB, dir string, fs cache.FS) *cache.Store {
	t.Helper()
	s, err := cache.Open(context.Background(), dir, fs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// put stores a result of one blob under a key.
func put(s *cache.Store, key, content string) error {
	c, err := s.PutBlob([]byte(content), 1)
	if err != nil {
		return err
	}
	return s.Commit(cache.Entry{Key: key, Stage: "test", Outputs: map[string][]cache.Chunk{"out": {c}}})
}

// get returns the content under a key, "" if there is none.
func get(s *cache.Store, key string) (string, error) {
	e, err := s.Lookup(key)
	if errors.Is(err, cache.ErrMissing) || errors.Is(err, cache.ErrCorrupt) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	raw, err := s.Blob(e.Outputs["out"][0].Digest)
	if errors.Is(err, cache.ErrMissing) || errors.Is(err, cache.ErrCorrupt) {
		return "", nil
	}
	return string(raw), err
}

func keyOf(i int) string {
	return cache.Preimage{{Name: "n", Value: fmt.Sprint(i)}}.Digest()
}

func contentOf(i int) string { return strings.Repeat(fmt.Sprintf("content %d ", i), 20+i) }

func TestPreimagesDoNotCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.Custom(func(t *rapid.T) cache.Field {
			part := rapid.StringOfN(rapid.SampledFrom([]rune("ab\x00\x01")), 0, 3, -1)
			return cache.Field{Name: part.Draw(t, "name"), Value: part.Draw(t, "value")}
		})
		p := cache.Preimage(rapid.SliceOfN(field, 0, 4).Draw(t, "p"))
		q := cache.Preimage(rapid.SliceOfN(field, 0, 4).Draw(t, "q"))
		if (p.Digest() == q.Digest()) != slices.Equal(p, q) {
			t.Fatalf("%q and %q", p, q)
		}
	})
}

func TestPreimageDigestIsPinned(t *testing.T) {
	got := cache.Preimage{{Name: "stage", Value: "extract"}, {Name: "version", Value: "1"}}.Digest()
	if want := "b3c56af995f2697c4c79a47b0cbd93d7ad1368e6c6e71c158709105eced36091"; got != want {
		t.Errorf("got %s, want %s: every cached result becomes unreachable", got, want)
	}
}

func TestDifference(t *testing.T) {
	old := cache.Preimage{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}, {Name: "c", Value: "3"}}
	now := cache.Preimage{{Name: "a", Value: "1"}, {Name: "b", Value: "5"}, {Name: "d", Value: "4"}}
	want := []string{"b: 2 → 5", "d: 4 (new)", "c: 3 → (gone)"}
	if got := now.Difference(old); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// The store is a map that forgets what is damaged, and never lies.
func TestStoreAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "tlpipe-cache-*")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s, err := cache.Open(context.Background(), dir, noSync{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		there := map[int]bool{}
		index := rapid.IntRange(0, 5)
		file := func(t *rapid.T) string {
			var files []string
			for _, class := range []string{"blobs", "entries"} {
				found, _ := filepath.Glob(filepath.Join(dir, class, "*", "*"))
				files = append(files, found...)
			}
			if len(files) == 0 {
				t.Skip("nothing stored")
			}
			return rapid.SampledFrom(files).Draw(t, "file")
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				i := index.Draw(t, "i")
				if err := put(s, keyOf(i), contentOf(i)); err != nil {
					t.Fatal(err)
				}
				there[i] = true
			},
			"get": func(t *rapid.T) {
				i := index.Draw(t, "i")
				got, err := get(s, keyOf(i))
				if err != nil {
					t.Fatal(err)
				}
				if got != "" && (got != contentOf(i) || !there[i]) {
					t.Fatalf("key %d gives %q", i, got)
				}
			},
			"flip": func(t *rapid.T) {
				path := file(t)
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if len(raw) > 0 {
					raw[rapid.IntRange(0, len(raw)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				}
				if err := os.WriteFile(path, raw, 0o666); err != nil {
					t.Fatal(err)
				}
			},
			"truncate": func(t *rapid.T) {
				if err := os.Truncate(file(t), 3); err != nil {
					t.Fatal(err)
				}
			},
			"delete": func(t *rapid.T) {
				if err := os.Remove(file(t)); err != nil {
					t.Fatal(err)
				}
			},
			"verify": func(t *rapid.T) {
				if _, err := s.Verify(context.Background(), nil); err != nil {
					t.Fatal(err)
				}
				u, err := s.Verify(context.Background(), nil)
				if err != nil || len(u.Damaged) > 0 {
					t.Fatalf("after verify: %v %v", u.Damaged, err)
				}
			},
		})
	})
}

// noSync is a disk that is never unplugged: properties need many files.
type noSync struct{ cache.OS }

func (n noSync) SyncDir(string) error { return nil }
func (n noSync) Create(name string) (cache.File, error) {
	f, err := n.OS.Create(name)
	return unsynced{f}, err
}

type unsynced struct{ cache.File }

func (unsynced) Sync() error { return nil }

// faulty fails the nth operation that writes.
type faulty struct {
	cache.OS
	left atomic.Int64
	err  error
}

func (f *faulty) fault() error {
	if f.left.Add(-1) == 0 {
		return f.err
	}
	return nil
}

func (f *faulty) Create(name string) (cache.File, error) {
	if err := f.fault(); err != nil {
		return nil, err
	}
	file, err := f.OS.Create(name)
	return &faultyFile{unsynced{file}, f}, err
}

func (f *faulty) Rename(from, to string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.OS.Rename(from, to)
}

func (f *faulty) SyncDir(string) error { return f.fault() }

type faultyFile struct {
	cache.File
	fs *faulty
}

func (f *faultyFile) Write(b []byte) (int, error) {
	if err := f.fs.fault(); err != nil {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, err
	}
	return f.File.Write(b)
}

func (f *faultyFile) Sync() error { return f.fs.fault() }

func (f *faultyFile) Close() error { return errors.Join(f.File.Close(), f.fs.fault()) }

// Whichever write fails, the failure is told and nothing wrong is stored.
func TestEveryFaultIsCleanFailure(t *testing.T) {
	faults := 0
	for n := int64(1); ; n++ {
		f := &faulty{err: syscall.ENOSPC}
		dir := t.TempDir()
		s := open(t, dir, f)
		f.left.Store(n)
		err := put(s, keyOf(1), contentOf(1))
		struck := f.left.Load() <= 0
		if !struck {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		faults++
		if !errors.Is(err, syscall.ENOSPC) || !cache.IsFull(err) {
			t.Errorf("fault %d: error is %v", n, err)
		}
		if got, err := get(s, keyOf(1)); err != nil || got != "" && got != contentOf(1) {
			t.Errorf("fault %d: stored %q, %v", n, got, err)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
			t.Errorf("fault %d: %d temporary files are left", n, len(left))
		}
		if err := put(s, keyOf(1), contentOf(1)); err != nil {
			t.Errorf("fault %d: it does not work afterwards: %v", n, err)
		}
		if got, _ := get(s, keyOf(1)); got != contentOf(1) {
			t.Errorf("fault %d: stored %q afterwards", n, got)
		}
	}
	if faults < 10 {
		t.Errorf("only %d faults struck", faults)
	}
}

func TestBlobWriter(t *testing.T) {
	s := open(t, t.TempDir(), cache.OS{})
	w, err := s.NewBlob()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"one ", "two"} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	c, err := w.Commit(5)
	if err != nil || c.Rows != 5 || c.Bytes != 7 {
		t.Fatalf("%+v %v", c, err)
	}
	same, err := s.PutBlob([]byte("one two"), 5)
	if err != nil || !reflect.DeepEqual(same, c) {
		t.Errorf("%+v %v, want %+v", same, err, c)
	}
}

func TestLockIsExclusive(t *testing.T) {
	dir := t.TempDir()
	var inside, entered atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		s := open(t, dir, cache.OS{})
		group.Go(func() {
			for range 20 {
				unlock, err := s.Lock(context.Background(), "key", nil)
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				entered.Add(1)
				inside.Add(-1)
				unlock()
			}
		})
	}
	group.Wait()
	if entered.Load() != 160 {
		t.Errorf("entered %d times", entered.Load())
	}
}

// What a killed process left is removed by the next one that has the cache for
// itself, and by no other.
func TestLeftoversOfKilledProcesses(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, cache.OS{})
	if err := put(s, keyOf(1), contentOf(1)); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "tmp", "left")
	if err := os.WriteFile(left, make([]byte, 1000), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir, cache.OS{}).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("removed while another process had the cache open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, cache.OS{})
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftover: %v", err)
	}
	if got, err := get(s, keyOf(1)); err != nil || got != contentOf(1) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLockGivesUpWithItsContext(t *testing.T) {
	s := open(t, t.TempDir(), cache.OS{})
	unlock, err := s.Lock(context.Background(), "key", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(context.Background())
	_, err = s.Lock(ctx, "key", cancel)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestViewBlob(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, cache.OS{})
	for _, content := range []string{"", "some bytes"} {
		c, err := s.PutBlob([]byte(content), 1)
		if err != nil {
			t.Fatal(err)
		}
		data, unmap, err := s.ViewBlob(c.Digest)
		if err != nil || string(data) != content {
			t.Fatalf("%q: %q, %v", content, data, err)
		}
		if err := unmap(); err != nil {
			t.Error(err)
		}
	}
	c, err := s.PutBlob([]byte("to be damaged"), 1)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "blobs", c.Digest[:2], c.Digest)
	if err := os.WriteFile(path, []byte("to be Damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.ViewBlob(c.Digest); !errors.Is(err, cache.ErrCorrupt) {
		t.Error(err)
	}
	if _, _, err := s.ViewBlob(c.Digest); !errors.Is(err, cache.ErrMissing) {
		t.Error(err)
	}
}

func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, cache.OS{}).Checkpoint(keyOf(1))
	if _, ok, err := c.Load(); ok || err != nil {
		t.Errorf("a checkpoint before any: %v %v", ok, err)
	}
	for _, state := range []string{"one", "two"} {
		if err := c.Save([]byte(state)); err != nil {
			t.Fatal(err)
		}
	}
	if state, ok, err := c.Load(); string(state) != "two" || !ok || err != nil {
		t.Errorf("%q %v %v", state, ok, err)
	}
	if err := os.Truncate(filepath.Join(dir, "checkpoints", keyOf(1)), 66); err != nil {
		t.Fatal(err)
	}
	if state, ok, err := c.Load(); ok || err != nil {
		t.Errorf("a damaged checkpoint: %q %v %v", state, ok, err)
	}
	c.Remove()
}

func TestCollect(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, cache.OS{})
	for i := range 6 {
		if err := put(s, keyOf(i), contentOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	// The newest run used 0 and 1; 2 shares its blob with 0.
	if err := put(s, keyOf(2), contentOf(0)); err != nil {
		t.Fatal(err)
	}
	latest := cache.Latest{Pipeline: "p", Nodes: []cache.LatestNode{{Name: "n", Keys: []string{keyOf(0), keyOf(1)}}}}
	if err := s.SaveLatest(cache.PipelineID("p", "f"), latest); err != nil {
		t.Fatal(err)
	}
	s.Close()
	collect := func(p cache.Policy) cache.Usage {
		t.Helper()
		u, err := cache.Collect(context.Background(), dir, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if u := collect(cache.Policy{MaxBytes: -1, OlderThan: time.Hour}); u.RemovedEntries != 0 {
		t.Errorf("removed %d entries that are not old", u.RemovedEntries)
	}
	if u := collect(cache.Policy{MaxBytes: -1, DryRun: true}); u.RemovedEntries != 4 || u.RemovedBlobs != 3 {
		t.Errorf("dry run: %+v", u)
	}
	if u := collect(cache.Policy{MaxBytes: 1 << 30}); u.RemovedEntries != 0 {
		t.Errorf("removed %d entries though there was room", u.RemovedEntries)
	}
	if u := collect(cache.Policy{MaxBytes: -1}); u.RemovedEntries != 4 || u.Reachable != 2 {
		t.Errorf("%+v", u)
	}
	s = open(t, dir, cache.OS{})
	for i := range 6 {
		want := ""
		if i < 2 {
			want = contentOf(i)
		}
		if got, err := get(s, keyOf(i)); err != nil || got != want {
			t.Errorf("key %d gives %q, %v", i, got, err)
		}
	}
	if u, err := s.Inspect(); err != nil || u.Blobs != 2 || u.Entries != 2 || u.ReachableBytes != u.Bytes {
		t.Errorf("%+v %v", u, err)
	}
}

func TestCollectWaitsForRuns(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, cache.OS{})
	waited := false
	_, err := cache.Collect(context.Background(), dir, cache.Policy{MaxBytes: -1}, func() {
		waited = true
		s.Close()
	})
	if err != nil || !waited {
		t.Errorf("%v, waited: %v", err, waited)
	}
}

func TestReadOnlyCacheCanBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := put(open(t, dir, cache.OS{}), keyOf(1), contentOf(1)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, readOnly{})
	if got, err := get(s, keyOf(1)); err != nil || got != contentOf(1) {
		t.Errorf("%q %v", got, err)
	}
	if err := put(s, keyOf(2), contentOf(2)); !cache.IsReadOnly(err) {
		t.Errorf("error is %v", err)
	}
}

type readOnly struct{ cache.OS }

func (readOnly) Create(name string) (cache.File, error) {
	return nil, &fs.PathError{Op: "create", Path: name, Err: syscall.EROFS}
}
func (readOnly) MkdirAll(string) error       { return syscall.EROFS }
func (readOnly) Rename(string, string) error { return syscall.EROFS }
func (readOnly) Remove(string) error         { return syscall.EROFS }

// One bit of an entry, a recipe or a latest record is noticed wherever it
// flips: wrong names of ports, counts of rows or inputs would be wrong results.
func TestEveryFlippedBitOfARecordIsNoticed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, noSync{})
	c, err := s.PutBlob([]byte("content"), 7)
	if err != nil {
		t.Fatal(err)
	}
	entry := cache.Entry{Key: keyOf(1), Stage: "test", Outputs: map[string][]cache.Chunk{"out": {c}}}
	recipe := cache.Preimage{{Name: "params.epochs", Value: "10"}}
	latest := cache.Latest{Pipeline: "p", Nodes: []cache.LatestNode{{Name: "n", Keys: []string{keyOf(1)}}}}
	if _, err := s.SaveRecipe(recipe); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Commit(entry), s.SaveLatest(keyOf(2), latest)); err != nil {
		t.Fatal(err)
	}
	records := []struct {
		path string
		same func() bool // what is read is what was written
		gone func() bool // or is said to be damaged
	}{
		{
			filepath.Join(dir, "entries", keyOf(1)[:2], keyOf(1)),
			func() bool { e, err := s.Lookup(keyOf(1)); return err == nil && reflect.DeepEqual(e, entry) },
			func() bool { _, err := s.Lookup(keyOf(1)); return errors.Is(err, cache.ErrMissing) },
		},
		{
			filepath.Join(dir, "recipes", recipe.Digest()[:2], recipe.Digest()),
			func() bool { p, err := s.Recipe(recipe.Digest()); return err == nil && slices.Equal(p, recipe) },
			func() bool { _, err := s.Recipe(recipe.Digest()); return err != nil },
		},
		{
			filepath.Join(dir, "latest", keyOf(2)),
			func() bool { l, err := s.Latest(keyOf(2)); return err == nil && reflect.DeepEqual(l, latest) },
			func() bool { _, err := s.Latest(keyOf(2)); return errors.Is(err, cache.ErrMissing) },
		},
	}
	for _, r := range records {
		sound, err := os.ReadFile(r.path)
		if err != nil {
			t.Fatal(err)
		}
		if !r.same() {
			t.Fatalf("%s does not come back as it was", r.path)
		}
		for bit := range 8 * len(sound) {
			raw := slices.Clone(sound)
			raw[bit/8] ^= 1 << (bit % 8)
			if err := os.WriteFile(r.path, raw, 0o666); err != nil {
				t.Fatal(err)
			}
			if !r.same() && !r.gone() {
				t.Fatalf("bit %d of %s flipped, and it is taken for sound: %s", bit, r.path, raw)
			}
		}
	}
}

// Looking at a cache, and verifying one that cannot be written, removes
// nothing and fails on nothing.
func TestReadOnlyCacheWithDamageCanBeLookedAt(t *testing.T) {
	dir := t.TempDir()
	if err := put(open(t, dir, cache.OS{}), keyOf(1), contentOf(1)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "entries", keyOf(1)[:2], keyOf(1))
	if err := os.WriteFile(path, []byte("no JSON"), 0o666); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, readOnly{})
	if u, err := s.Inspect(); err != nil || u.Entries != 0 || u.Blobs != 1 {
		t.Errorf("%+v %v", u, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a look removed the entry: %v", err)
	}
	u, err := s.Verify(context.Background(), nil)
	if err != nil || len(u.Damaged) != 1 {
		t.Errorf("%q %v", u.Damaged, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the entry: %v", err)
	}
}

// A cache that is not there, on a disk that is read-only: the lock tells so.
func TestLockWithoutAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	s := open(t, dir, readOnly{})
	if _, err := s.Lock(context.Background(), keyOf(1), nil); !cache.IsReadOnly(err) {
		t.Errorf("error is %v", err)
	}
	s = open(t, dir, cache.OS{})
	if err := os.RemoveAll(filepath.Join(dir, "locks")); err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock(context.Background(), keyOf(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// What a killed run had finished waits for the run to be resumed.
func TestCollectKeepsWhatAKilledRunFinished(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, cache.OS{})
	for run, journal := range map[string]string{
		"killed": `{"event":"chunk","key":"` + keyOf(0) + `"}` + "\n" + `{"event":"chunk","ke`,
		"ended":  `{"event":"chunk","key":"` + keyOf(1) + `"}` + "\n" + `{"event":"run","status":"ok"}` + "\n",
	} {
		folder, err := s.RunDir(run)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "journal.jsonl"), []byte(journal), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		if err := put(s, keyOf(i), contentOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	if _, err := cache.Collect(context.Background(), dir, cache.Policy{MaxBytes: -1}, nil); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, cache.OS{})
	if got, err := get(s, keyOf(0)); err != nil || got != contentOf(0) {
		t.Errorf("the killed run's chunk: %q, %v", got, err)
	}
	if got, err := get(s, keyOf(1)); err != nil || got != "" {
		t.Errorf("the ended run's chunk: %q, %v", got, err)
	}
}

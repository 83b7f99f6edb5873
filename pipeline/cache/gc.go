package cache

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Usage is what a cache holds.
type Usage struct {
	Entries, Blobs    int
	Bytes             int64 // of blobs
	Reachable         int   // entries that the newest run of some pipeline used
	ReachableBytes    int64
	Checkpoints, Runs int
	Stages            map[string]StageUsage // by stage kind
	Damaged           []string              // what Verify found, for people
	Unchecked         []string              // what Verify could not read, and left as it is
	RemovedEntries    int                   // by Collect
	RemovedBlobs      int
	RemovedBytes      int64
}

// StageUsage is what the results of one stage kind hold.
type StageUsage struct {
	Entries int
	Bytes   int64 // blobs that several kinds share count for each
}

// Policy says what garbage collection may remove. Entries that the newest run
// of a pipeline used are always kept.
type Policy struct {
	OlderThan time.Duration // remove only entries not used for this long; 0: any age
	MaxBytes  int64         // remove the least recently used until this is met; < 0: remove all
	DryRun    bool
}

// Collect removes results that no pipeline's newest run used, as the policy
// says, then everything that no entry names. It waits until no other process
// has the cache open; waiting, if not nil, is called once when it has to.
func Collect(ctx context.Context, dir string, policy Policy, waiting func()) (Usage, error) {
	s := &Store{dir: dir, fs: OS{}}
	path := filepath.Join(dir, "locks", "open")
	if err := s.clear(path); err != nil {
		return Usage{}, fmt.Errorf("collect garbage in %s: %w", dir, err)
	}
	lock := flock.New(path)
	locked, err := lock.TryLock()
	if err == nil && !locked {
		if waiting != nil {
			waiting()
		}
		_, err = lock.TryLockContext(ctx, 200*time.Millisecond)
	}
	if isMissing(err) {
		return Usage{}, nil // there is no cache yet
	}
	if err != nil {
		return Usage{}, fmt.Errorf("collect garbage in %s: %w", dir, err)
	}
	defer lock.Close()

	inv, err := s.inventory()
	if err != nil {
		return Usage{}, err
	}
	if !policy.DryRun {
		if err := s.discardDamaged(inv); err != nil {
			return Usage{}, fmt.Errorf("collect garbage: %w", err)
		}
	}
	if len(inv.unread) > 0 {
		return Usage{}, fmt.Errorf("collect garbage: what to keep is not known: %w: run the pipeline again, which writes it anew, or remove that file", errors.Join(inv.unread...))
	}
	u := inv.usage()
	total := u.Bytes
	for digest, info := range inv.blobs {
		if inv.references[digest] == 0 {
			total -= info.Size() // it goes in any case
		}
	}
	slices.SortFunc(inv.entries, func(a, b *stored) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(len(b.Parts), len(a.Parts))) // a whole goes before its parts
	})
	for _, e := range inv.entries {
		if e.reachable || time.Since(e.used) < policy.OlderThan {
			continue
		}
		if policy.MaxBytes >= 0 && total <= policy.MaxBytes {
			break
		}
		for b := range e.Blobs() {
			if inv.references[b.Digest]--; inv.references[b.Digest] == 0 {
				total -= b.Bytes
			}
		}
		e.removed = true
		if !e.composes() {
			u.RemovedEntries++
		}
		if !policy.DryRun {
			if err := os.Remove(e.path); err != nil {
				return u, fmt.Errorf("collect garbage: %w", err)
			}
		}
	}
	for digest, info := range inv.blobs {
		if inv.references[digest] > 0 {
			continue
		}
		u.RemovedBlobs++
		u.RemovedBytes += info.Size()
		if !policy.DryRun {
			if err := os.RemoveAll(s.path("blobs", digest)); err != nil {
				return u, fmt.Errorf("collect garbage: %w", err)
			}
		}
	}
	if policy.DryRun {
		return u, nil
	}
	return u, s.sweep(inv)
}

// Inspect returns what the cache holds.
func (s *Store) Inspect() (Usage, error) {
	inv, err := s.inventory()
	if err != nil {
		return Usage{}, err
	}
	return inv.usage(), nil
}

// Verify reads every blob, entry and recipe, removes the damaged ones, and
// lists them; in a read-only cache they stay. What cannot be read is listed
// apart and stays too. progress may be nil.
func (s *Store) Verify(ctx context.Context, progress func(done, total int)) (Usage, error) {
	inv, err := s.inventory()
	if err != nil {
		return Usage{}, err
	}
	if err := s.discardDamaged(inv); err != nil && !IsReadOnly(err) {
		return Usage{}, fmt.Errorf("remove what is damaged: %w", err)
	}
	u := inv.usage()
	for _, path := range inv.damaged {
		u.Damaged = append(u.Damaged, fmt.Sprintf("entry %s: %v", short(filepath.Base(path)), ErrCorrupt))
	}
	for _, err := range inv.unread {
		u.count(err, "")
	}
	digests := make([]string, 0, len(inv.blobs))
	for d := range inv.blobs {
		digests = append(digests, d)
	}
	slices.Sort(digests)
	for i, d := range digests {
		if ctx.Err() != nil {
			return u, ctx.Err()
		}
		if _, err := s.Blob(d); err != nil {
			u.count(err, "")
		}
		if progress != nil {
			progress(i+1, len(digests))
		}
	}
	for _, e := range inv.entries {
		if _, err := s.lookup(e.Key); err != nil {
			if u.count(err, e.Stage+" "+short(e.Key)+": ") {
				_ = s.discard(e.path)
			}
		}
	}
	return u, s.walk("recipes", func(path string, _ fs.FileInfo) error {
		if _, err := s.Recipe(filepath.Base(path)); err != nil {
			u.count(err, "")
		}
		return nil
	})
}

// count lists an error of Verify, and tells whether it means damage.
func (u *Usage) count(err error, what string) (damage bool) {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrMissing) {
		u.Damaged = append(u.Damaged, what+err.Error())
		return true
	}
	u.Unchecked = append(u.Unchecked, what+err.Error())
	return false
}

// stored is an entry as found on disk.
type stored struct {
	Entry
	path      string
	used      time.Time
	reachable bool
	removed   bool
}

type inventory struct {
	entries           []*stored
	blobs             map[string]fs.FileInfo
	references        map[string]int // by blob: how many entries name it
	checkpoints, runs int
	damaged           []string // paths of entries
	unread            []error  // records of newest runs
}

// keepParts makes parts as much in use as the entries that were made of them.
func (inv *inventory) keepParts() {
	byKey := make(map[string]*stored, len(inv.entries))
	for _, e := range inv.entries {
		byKey[e.Key] = e
	}
	for _, e := range inv.entries { // an entry names the parts of its parts too
		for _, key := range e.Parts {
			if part := byKey[key]; part != nil {
				part.reachable = part.reachable || e.reachable
				if e.used.After(part.used) {
					part.used = e.used
				}
			}
		}
	}
}

func (s *Store) discardDamaged(inv *inventory) error {
	for _, path := range inv.damaged {
		if err := s.discard(path); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) inventory() (*inventory, error) {
	inv := &inventory{blobs: map[string]fs.FileInfo{}, references: map[string]int{}}
	reachable := map[string]bool{}
	err := s.walk("latest", func(path string, _ fs.FileInfo) error {
		l, err := s.latest(filepath.Base(path))
		if err != nil && !errors.Is(err, ErrMissing) {
			inv.unread = append(inv.unread, err)
		}
		if err == nil {
			for _, n := range l.Nodes {
				for _, k := range n.Keys {
					reachable[k] = true
				}
				for _, chunks := range n.Outputs {
					for _, c := range chunks {
						if !c.Composed() { // those have entries
							inv.references[c.Digest]++ // what a listing rejected has no entry
						}
					}
				}
			}
			for _, n := range l.Unfinished {
				for _, k := range n.Keys {
					reachable[k] = true
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.killedRuns(reachable); err != nil {
		return nil, err
	}
	err = s.walk("entries", func(path string, info fs.FileInfo) error {
		raw, err := s.readFile(path)
		if isMissing(err) {
			return nil // another process removed it
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return err
		}
		e := &stored{path: path, used: info.ModTime()}
		if err != nil || unseal(raw, &e.Entry) != nil || e.Key != filepath.Base(path) {
			inv.damaged = append(inv.damaged, path)
			return nil
		}
		e.reachable = reachable[e.Key]
		for b := range e.Blobs() {
			inv.references[b.Digest]++
		}
		inv.entries = append(inv.entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	inv.keepParts()
	err = s.walk("blobs", func(path string, info fs.FileInfo) error {
		inv.blobs[filepath.Base(path)] = info
		return nil
	})
	if err != nil {
		return nil, err
	}
	count := func(n *int) func(string, fs.FileInfo) error {
		return func(string, fs.FileInfo) error { *n++; return nil }
	}
	if err := s.walk("checkpoints", count(&inv.checkpoints)); err != nil {
		return nil, err
	}
	runs, err := s.Runs()
	inv.runs = len(runs)
	return inv, err
}

// killedAge is how long the chunks of a run that was killed wait for it to be
// resumed.
const killedAge = 7 * 24 * time.Hour

// killedRuns adds the keys of chunks that runs finished before they were
// killed. Such a run left no latest record, but its journal, which does not
// end with the event of a run.
func (s *Store) killedRuns(keys map[string]bool) error {
	runs, err := s.Runs()
	if err != nil {
		return err
	}
	for _, run := range runs {
		path := filepath.Join(s.dir, "runs", run, "journal.jsonl")
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) > killedAge {
			continue
		}
		raw, err := s.readFile(path)
		if errors.Is(err, ErrCorrupt) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the journal of run %s: %w", run, err)
		}
		var finished []string
		ended := false
		for line := range bytes.Lines(raw) {
			var e struct{ Event, Key string }
			if json.Unmarshal(line, &e) != nil {
				continue // the last line may be cut short
			}
			ended = ended || e.Event == "run"
			if e.Key != "" {
				finished = append(finished, e.Key)
			}
		}
		for _, key := range finished {
			keys[key] = keys[key] || !ended
		}
	}
	return nil
}

func (inv *inventory) usage() Usage {
	u := Usage{
		Blobs:       len(inv.blobs),
		Checkpoints: inv.checkpoints, Runs: inv.runs, Stages: map[string]StageUsage{},
	}
	for _, info := range inv.blobs {
		u.Bytes += info.Size()
	}
	counted := map[string]bool{}
	for _, e := range inv.entries {
		st := u.Stages[e.Stage]
		// What an entry puts together of others' blobs counts with those.
		own := !e.composes()
		if own {
			u.Entries++
			st.Entries++
		}
		if own && e.reachable {
			u.Reachable++
		}
		for b := range e.Blobs() {
			if own {
				st.Bytes += b.Bytes
			}
			if e.reachable && !counted[b.Digest] {
				counted[b.Digest] = true
				u.ReachableBytes += b.Bytes
			}
		}
		u.Stages[e.Stage] = st
	}
	return u
}

// keptRuns is how many runs' journals and reports outlive a collection.
const keptRuns = 100

// sweep removes what no entry names: recipes, notes of rows, stale temporary files and
// locks, checkpoints of old work, all but the newest runs.
func (s *Store) sweep(inv *inventory) error {
	recipes, kept := map[string]bool{}, map[string]bool{}
	for _, e := range inv.entries {
		if !e.removed {
			recipes[e.Recipe], kept[e.Key] = true, true
		}
	}
	err := s.walk("latest", func(path string, _ fs.FileInfo) error {
		if l, err := s.Latest(filepath.Base(path)); err == nil {
			for _, n := range l.Nodes {
				recipes[n.Recipe] = true
			}
		}
		return nil
	})
	old := func(age time.Duration) func(string, fs.FileInfo) error {
		return func(path string, info fs.FileInfo) error {
			if time.Since(info.ModTime()) < age || filepath.Base(path) == "open" {
				return nil
			}
			return os.RemoveAll(path)
		}
	}
	err = cmp.Or(err,
		s.walk("recipes", func(path string, _ fs.FileInfo) error {
			if recipes[filepath.Base(path)] {
				return nil
			}
			return os.RemoveAll(path)
		}),
		// With the exclusive lock held, nobody writes these.
		s.walk("rows", func(path string, _ fs.FileInfo) error {
			if kept[filepath.Base(path)] {
				return nil
			}
			return os.Remove(path)
		}),
		s.walk("tmp", old(0)),
		s.walk("locks", old(0)),
		s.walk("checkpoints", old(30*24*time.Hour)),
	)
	if err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	runs, err := s.Runs()
	if err != nil {
		return err
	}
	for _, run := range runs[:max(0, len(runs)-keptRuns)] {
		if err := os.RemoveAll(filepath.Join(s.dir, "runs", run)); err != nil {
			return fmt.Errorf("collect garbage: %w", err)
		}
	}
	return nil
}

// walk visits what lies where files of one class belong: files, if nothing is
// damaged.
func (s *Store) walk(class string, visit func(path string, info fs.FileInfo) error) error {
	err := filepath.WalkDir(filepath.Join(s.dir, class), func(path string, d fs.DirEntry, err error) error {
		if isMissing(err) {
			return nil
		}
		if err != nil || !s.isPlaceOfFile(path) {
			return err
		}
		info, err := d.Info()
		if isMissing(err) {
			return nil
		}
		if err == nil {
			err = visit(path, info)
		}
		if err == nil && d.IsDir() {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look through the cache: %w", err)
	}
	return nil
}

// isPlaceOfFile tells whether a file belongs at path, and not a folder.
func (s *Store) isPlaceOfFile(path string) bool {
	below, err := filepath.Rel(s.dir, path)
	class, name, found := strings.Cut(filepath.ToSlash(below), "/")
	if err != nil || !found {
		return false
	}
	switch class {
	case "blobs", "entries", "recipes", "stat", "rows": // spread over folders
		return strings.Contains(name, "/")
	}
	return true
}

package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/fetch"
	"github.com/tlpipe/tlpipe/internal/secret"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// Store is a folder of weights. Several processes may use one.
type Store struct{ dir string }

// Open returns the store in dir, which need not be there.
func Open(dir string) *Store { return &Store{dir} }

// Default returns the user's store: $TLPIPE_WEIGHTS, or the folder weights in $TLPIPE_CACHE, or
// tlpipe/weights in the user's cache folder.
func Default() (*Store, error) {
	dir, err := os.Getenv("TLPIPE_WEIGHTS"), error(nil)
	if cache := os.Getenv("TLPIPE_CACHE"); dir == "" && cache != "" {
		dir = filepath.Join(cache, "weights")
	}
	if dir == "" {
		dir, err = os.UserCacheDir()
		dir = filepath.Join(dir, "tlpipe", "weights")
	}
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("there is no place for weights: %w; choose a folder with TLPIPE_WEIGHTS", err)
	}
	return Open(dir), nil
}

// Source is where a file is from, and what is known of it beforehand.
type Source struct {
	URL      string
	Expected digest.Expected
	Limits   fetch.Limits
}

// File is a file in the store.
type File struct {
	SHA256  string    `json:"sha256"`
	Bytes   int64     `json:"bytes"`
	Sources []string  `json:"sources"` // addresses it came from, without passwords
	Added   time.Time `json:"added"`

	Path string `json:"-"`
}

// Watch is told how work goes on. All of it may be nil.
type Watch struct {
	Waiting  func() // another process is fetching the same file
	Progress func(done, total int64)
	Retry    func(why error, wait time.Duration)
}

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// Find returns the file of a source, if it is there.
func (s *Store) Find(source Source) (File, bool) {
	if digest.IsSHA256(source.Expected.SHA256) {
		return s.WithDigest(source.Expected.SHA256)
	}
	from, err := s.readOrigin(source.URL)
	if err != nil || !from.keeps(source.Expected) {
		return File{}, false
	}
	return s.WithDigest(from.SHA256)
}

// WithDigest returns the file of that SHA-256, if it is there.
func (s *Store) WithDigest(sum string) (File, bool) {
	if !digest.IsSHA256(sum) {
		return File{}, false
	}
	path := filepath.Join(s.dir, "files", sum)
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return File{}, false
	}
	return File{SHA256: sum, Bytes: info.Size(), Added: info.ModTime(), Path: path}, true
}

// Fetch returns the file of a source, fetching it if it is not there. A file that is there but damaged
// is fetched again.
func (s *Store) Fetch(ctx context.Context, client *fetch.Client, source Source, watch Watch) (_ File, err error) {
	if f, ok := s.Find(source); ok && s.intact(f) {
		return f, nil
	}
	key := keyOf(source.URL)
	unlock, err := s.lock(ctx, key, watch.Waiting)
	if err != nil {
		return File{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if f, ok := s.Find(source); ok && s.intact(f) {
		return f, nil // another process fetched it meanwhile
	}
	part := filepath.Join(s.dir, "parts", key)
	sum, err := client.Fetch(ctx, fetch.Request{
		URL: source.URL, Path: part, Expected: source.Expected, Limits: source.Limits, Progress: watch.Progress, Retry: watch.Retry,
	})
	if err != nil {
		return File{}, s.explain(err)
	}
	return s.install(part, sum, source)
}

// Import takes a copy of a file that was fetched by other means. One that is not what the source
// expects is a *[digest.MismatchError].
func (s *Store) Import(ctx context.Context, path string, source Source) (_ File, err error) {
	from, err := budget.Open(path, 0)
	if err != nil {
		return File{}, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	key := keyOf(source.URL)
	unlock, err := s.lock(ctx, key, nil)
	if err != nil {
		return File{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	copied := filepath.Join(s.dir, "parts", key+".import")
	to, err := os.Create(copied)
	if err != nil {
		return File{}, s.unwritable(err)
	}
	sum, err := source.Expected.Check(io.TeeReader(from, to))
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return File{}, errors.Join(s.explain(fmt.Errorf("take %s: %w", path, err)), os.Remove(copied))
	}
	return s.install(copied, sum, source)
}

// List returns all files, the newest first.
func (s *Store) List() ([]File, error) {
	sources := map[string][]string{}
	entries, err := os.ReadDir(filepath.Join(s.dir, "sources"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if from, err := readOrigin(filepath.Join(s.dir, "sources", e.Name())); err == nil {
			sources[from.SHA256] = append(sources[from.SHA256], from.URL)
		}
	}
	entries, err = os.ReadDir(filepath.Join(s.dir, "files"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []File
	for _, e := range entries {
		if f, ok := s.WithDigest(e.Name()); ok {
			f.Sources = sources[f.SHA256]
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b File) int { return cmp.Or(b.Added.Compare(a.Added), cmp.Compare(a.SHA256, b.SHA256)) })
	return out, nil
}

// Remove removes a file, and what is known of where it is from.
func (s *Store) Remove(f File) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "sources"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.unwritable(err)
	}
	for _, e := range entries {
		path := filepath.Join(s.dir, "sources", e.Name())
		if from, err := readOrigin(path); err == nil && from.SHA256 == f.SHA256 {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return s.unwritable(err)
			}
		}
	}
	if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.unwritable(err)
	}
	return nil
}

// intact tells whether a file has the content it is named by.
func (s *Store) intact(f File) bool {
	sum, err := digest.File(f.Path)
	return err == nil && sum == f.SHA256
}

// install moves a verified and durable file to its place.
func (s *Store) install(temporary, sum string, source Source) (File, error) {
	path := filepath.Join(s.dir, "files", sum)
	err := move(temporary, path)
	if err == nil {
		err = s.writeOrigin(source.URL, sum)
	}
	if err != nil {
		return File{}, s.unwritable(err)
	}
	f, ok := s.WithDigest(sum)
	if !ok {
		return File{}, fmt.Errorf("%s was removed at once by somebody else", path)
	}
	return f, nil
}

// origin is what rests in sources.
type origin struct {
	URL    string `json:"url"` // without what may be secret
	SHA256 string `json:"sha256"`
}

// keeps tells whether the source gave what is expected now. An MD5 was checked when it did.
func (o origin) keeps(p digest.Expected) bool {
	return len(p.SHA256) <= len(o.SHA256) && o.SHA256[:len(p.SHA256)] == p.SHA256
}

func (s *Store) readOrigin(url string) (origin, error) {
	return readOrigin(filepath.Join(s.dir, "sources", keyOf(url)))
}

func readOrigin(path string) (o origin, err error) {
	f, err := cache.OS{}.Open(path) // never a pipe, which would be waited for
	if err != nil {
		return o, err
	}
	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return o, err
	}
	return o, json.Unmarshal(text, &o)
}

func (s *Store) writeOrigin(url, sum string) error {
	text, err := json.Marshal(origin{secret.Address(url), sum})
	if err != nil {
		return err
	}
	key := keyOf(url)
	temporary := filepath.Join(s.dir, "parts", key+".source")
	if err := os.WriteFile(temporary, append(text, '\n'), 0o666); err != nil {
		return err
	}
	return move(temporary, filepath.Join(s.dir, "sources", key))
}

// move renames a file for good.
func move(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return cache.OS{}.SyncDir(filepath.Dir(to))
}

// lock makes the store's folders and waits until no other process works on key.
func (s *Store) lock(ctx context.Context, key string, waiting func()) (unlock func() error, err error) {
	for _, folder := range []string{"files", "sources", "parts", "locks"} {
		if err := os.MkdirAll(filepath.Join(s.dir, folder), 0o777); err != nil {
			return nil, s.unwritable(err)
		}
	}
	lock := flock.New(filepath.Join(s.dir, "locks", key))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		if waiting != nil {
			waiting()
		}
		_, err = lock.TryLockContext(ctx, 100*time.Millisecond)
	}
	if err != nil {
		return nil, errors.Join(s.unwritable(err), lock.Close())
	}
	return lock.Close, nil
}

// explain is unwritable for errors that are about the store's folder, and leaves others as they are.
func (s *Store) explain(err error) error {
	if fault := new(fs.PathError); errors.As(err, &fault) {
		if below, wrong := filepath.Rel(s.dir, fault.Path); wrong == nil && filepath.IsLocal(below) {
			return s.unwritable(err)
		}
	}
	return err
}

// unwritable says what to do about a fault of the store's folder.
func (s *Store) unwritable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("the store of weights %s: %w (another folder can be chosen with TLPIPE_WEIGHTS)", s.dir, err)
}

// keyOf names what belongs to an address.
func keyOf(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:])
}

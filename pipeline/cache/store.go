package cache

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
)

// Errors that callers tell apart.
var (
	// ErrMissing means that a blob or entry is not in the cache.
	ErrMissing = errors.New("not in the cache")
	// ErrCorrupt means that what is stored is not what was written. The
	// damaged file has been removed.
	ErrCorrupt = errors.New("damaged in the cache")
)

// Store is a cache in a folder. Its methods may be called from several
// goroutines, and several processes may open the same folder.
type Store struct {
	dir  string
	fs   FS
	lock *flock.Flock // shared while open; exclusive for garbage collection

	verified sync.Map // by digest: the fingerprint of a blob's file when it was verified
	held     sync.Map // by digest: the bytes of a blob that could not be written, see PutOrHold
}

// Open opens the cache in dir, making the folder if need be. It holds a shared
// lock against garbage collection until Close. A cache on a read-only file
// system opens too: what is in it can be read.
func Open(ctx context.Context, dir string, fs FS) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the cache %s: %w", dir, err)
	}
	s := &Store{dir: abs, fs: fs}
	lock := filepath.Join(abs, "locks", "open")
	if err := cmp.Or(s.makeDir(filepath.Dir(lock)), s.clear(lock)); err != nil && !IsReadOnly(err) {
		return nil, fmt.Errorf("open the cache %s: %w", dir, err)
	}
	s.removeLeftovers(lock)
	s.lock = flock.New(lock)
	if _, err := s.lock.TryRLockContext(ctx, 100*time.Millisecond); err != nil {
		if !IsReadOnly(err) && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("open the cache %s: %w", dir, err)
		}
		s.lock = nil
	}
	return s, nil
}

// removeLeftovers removes what processes that were killed left in tmp/, unless
// another process has the cache open: it may be writing there.
func (s *Store) removeLeftovers(lock string) {
	tmp := filepath.Join(s.dir, "tmp")
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) == 0 {
		return
	}
	alone := flock.New(lock)
	if locked, err := alone.TryLock(); err == nil && locked {
		for _, e := range left {
			_ = os.RemoveAll(filepath.Join(tmp, e.Name())) // garbage collection tells what stays
		}
	}
	_ = alone.Close()
}

// Concerns tells whether a fault of the file system is about the cache's own
// files, and not about a file that a stage reads.
func (s *Store) Concerns(err error) bool {
	if onPath := new(fs.PathError); errors.As(err, &onPath) {
		below, err := filepath.Rel(s.dir, onPath.Path)
		return err == nil && filepath.IsLocal(below)
	}
	return true
}

// Dir is the cache's folder, absolute.
func (s *Store) Dir() string { return s.dir }

// Close ends the use of the store.
func (s *Store) Close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// InputRef names the content that stood at a port.
type InputRef struct {
	Port   string `json:"port"`
	Name   string `json:"name,omitempty"`
	Digest string `json:"digest"`
}

// Entry is the result that a key stands for.
type Entry struct {
	Key     string             `json:"key"`
	Stage   string             `json:"stage"`  // the kind, for people
	Recipe  string             `json:"recipe"` // digest of the recipe's pre-image
	Inputs  []InputRef         `json:"inputs"`
	Outputs map[string][]Chunk `json:"outputs"`         // by port
	Parts   []string           `json:"parts,omitempty"` // keys of the parts that it was made of: kept as long as it is
	Made    *Made              `json:"made,omitempty"`  // of a piece of row-wise work

	// Composed tells that nothing was computed for the entry: it puts together
	// what others hold.
	Composed bool `json:"composed,omitempty"`

	Seconds float64   `json:"seconds"`        // what computing it took
	Cost    float64   `json:"cost"`           // what it takes without the parts that were at hand
	Peak    int64     `json:"peak,omitempty"` // of a part: the most bytes that the heap held while it was computed
	Shares  []Share   `json:"shares,omitempty"`
	Created time.Time `json:"created"`
}

// Share is what a named share of the work took.
type Share struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"` // with what the parts took that were at hand
	Peak    int64   `json:"peak"`    // the most bytes that the heap of the whole process held meanwhile
}

// composes tells whether the entry puts together what others hold.
func (e Entry) composes() bool {
	for _, chunks := range e.Outputs {
		for _, c := range chunks {
			if c.Composed() {
				return true
			}
		}
	}
	return false
}

// Lookup returns the entry of a key if it and all of its blobs are at hand.
// Otherwise the error is ErrMissing or ErrCorrupt and says what is wrong.
// Blobs are checked for presence and length; their content is verified when
// they are read.
func (s *Store) Lookup(key string) (Entry, error) {
	e, err := s.lookup(key)
	if err == nil {
		s.touch(s.path("entries", key))
	}
	return e, err
}

// Peek is Lookup that does not count as a use.
func (s *Store) Peek(key string) (Entry, error) { return s.lookup(key) }

// lookup is Peek.
func (s *Store) lookup(key string) (Entry, error) {
	var e Entry
	path := s.path("entries", key)
	raw, err := s.readFile(path)
	if isMissing(err) {
		return e, ErrMissing
	}
	if err == nil && (unseal(raw, &e) != nil || e.Key != key) {
		err = ErrCorrupt
	}
	switch {
	case errors.Is(err, ErrCorrupt):
		_ = s.discard(path) // if it stays, it is found damaged again
		return Entry{}, fmt.Errorf("entry %s: %w", short(key), err)
	case err != nil:
		return Entry{}, fmt.Errorf("read the entry %s: %w", short(key), err)
	}
	seen := map[string]bool{}
	for _, chunks := range e.Outputs {
		for _, c := range chunks {
			for b := range c.Blobs() {
				if err := s.atHand(b, seen); err != nil {
					return Entry{}, err
				}
			}
		}
	}
	if e.Made != nil {
		if err := s.atHand(e.Made.Schema, seen); err != nil {
			return Entry{}, err
		}
	}
	return e, nil
}

// AtHand checks that every blob of a chunk is there in its length. The error is
// ErrMissing or ErrCorrupt where one is not.
func (s *Store) AtHand(c Chunk) error {
	seen := map[string]bool{}
	for b := range c.Blobs() {
		if err := s.atHand(b, seen); err != nil {
			return err
		}
	}
	return nil
}

// atHand checks that a blob is there in its length, once for each in seen.
func (s *Store) atHand(b Blob, seen map[string]bool) error {
	if _, held := s.held.Load(b.Digest); held || seen[b.Digest] {
		return nil
	}
	path := s.path("blobs", b.Digest)
	info, err := s.fs.Stat(path)
	switch {
	case isMissing(err):
		return fmt.Errorf("blob %s: %w", short(b.Digest), ErrMissing)
	case err != nil:
		return fmt.Errorf("blob %s: %w", short(b.Digest), err)
	case !info.Mode().IsRegular():
		_ = s.discard(path)
		return fmt.Errorf("blob %s: %w: %w", short(b.Digest), ErrCorrupt, errNotAFile)
	case info.Size() != b.Bytes:
		_ = s.discard(path)
		return fmt.Errorf("blob %s has %d bytes, not %d: %w", short(b.Digest), info.Size(), b.Bytes, ErrCorrupt)
	}
	seen[b.Digest] = true
	return nil
}

// Commit makes an entry visible. Its blobs must have been committed. It
// survives a loss of power, unless it only puts together what other entries
// hold.
func (s *Store) Commit(e Entry) error {
	raw, err := seal(e)
	if err != nil {
		return fmt.Errorf("write the entry %s: %w", short(e.Key), err)
	}
	err = s.writeFile(s.path("entries", e.Key), !e.composes(), raw)
	if (e.Composed || e.composes()) && IsReadOnly(err) {
		return nil // it is put together again the next time
	}
	if err != nil {
		return fmt.Errorf("write the entry %s: %w", short(e.Key), err)
	}
	return nil
}

// SaveRecipe keeps a recipe's pre-image and returns its digest.
func (s *Store) SaveRecipe(p Preimage) (string, error) {
	digest := p.Digest()
	path := s.path("recipes", digest)
	if info, err := s.fs.Stat(path); err == nil && info.Mode().IsRegular() {
		return digest, nil
	}
	raw, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return "", fmt.Errorf("write the recipe %s: %w", short(digest), err)
	}
	if err := s.writeFile(path, true, append(raw, '\n')); err != nil {
		return "", fmt.Errorf("write the recipe %s: %w", short(digest), err)
	}
	return digest, nil
}

// Recipe reads a recipe's pre-image back.
func (s *Store) Recipe(digest string) (Preimage, error) {
	var p Preimage
	path := s.path("recipes", digest)
	raw, err := s.readFile(path)
	if err == nil && (json.Unmarshal(raw, &p) != nil || p.Digest() != digest) {
		err = ErrCorrupt
	}
	if isMissing(err) { // or a link that leads nowhere
		err = ErrMissing
	}
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrMissing) {
		_ = s.discard(path) // it is written anew with the next result
	}
	if err != nil {
		return nil, fmt.Errorf("read the recipe %s: %w", short(digest), err)
	}
	return p, nil
}

// sealed is the form at rest of facts that decide what a result is: JSON with
// a digest, so that a byte that flips is noticed.
type sealed struct {
	SHA256  string          `json:"sha256"` // of the content, as it stands
	Content json.RawMessage `json:"content"`
}

func seal(v any) ([]byte, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(sealed{sum(content), content})
	return append(raw, '\n'), err
}

func unseal(raw []byte, v any) error {
	var s sealed
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if sum(s.Content) != s.SHA256 {
		return ErrCorrupt
	}
	return json.Unmarshal(s.Content, v)
}

// Blob reads a blob whole and verifies it.
func (s *Store) Blob(digest string) ([]byte, error) {
	if held, ok := s.held.Load(digest); ok {
		return held.([]byte), nil
	}
	path := s.path("blobs", digest)
	raw, err := s.readFile(path)
	if isMissing(err) {
		return nil, fmt.Errorf("blob %s: %w", short(digest), ErrMissing)
	}
	if err == nil && sum(raw) != digest {
		err = ErrCorrupt
	}
	switch {
	case errors.Is(err, ErrCorrupt):
		_ = s.discard(path)
		return nil, fmt.Errorf("blob %s: %w", short(digest), err)
	case err != nil:
		return nil, fmt.Errorf("read the blob %s: %w", short(digest), err)
	}
	return raw, nil
}

// PutBlob stores bytes and returns their reference.
func (s *Store) PutBlob(raw []byte, rows int64) (Chunk, error) { return s.putBlob(raw, rows, true) }

// PutCheapBlob is PutBlob for what costs next to nothing to make again: it
// does not wait for the disk, and after a loss of power the blob may be found
// damaged, which is noticed.
func (s *Store) PutCheapBlob(raw []byte, rows int64) (Chunk, error) {
	return s.putBlob(raw, rows, false)
}

// PutOrHold is PutBlob, or PutCheapBlob, for what puts results together that
// are in the cache. If the cache is read-only, the bytes are held in memory
// while the store is open, so that they can be read as if they were stored.
func (s *Store) PutOrHold(raw []byte, rows int64, durable bool) (Chunk, error) {
	c, err := s.putBlob(raw, rows, durable)
	if IsReadOnly(err) {
		s.held.Store(c.Digest, raw)
		err = nil
	}
	return c, err
}

func (s *Store) putBlob(raw []byte, rows int64, durable bool) (Chunk, error) {
	sum := sha256.Sum256(raw)
	c := Chunk{Digest: hex.EncodeToString(sum[:]), Rows: rows, Bytes: int64(len(raw))}
	if _, err := s.Blob(c.Digest); err == nil {
		return c, nil
	}
	if err := s.writeFile(s.path("blobs", c.Digest), durable, raw); err != nil {
		return c, fmt.Errorf("store a blob: %w", err)
	}
	return c, nil
}

// BlobWriter stores a blob that is written piece by piece.
type BlobWriter struct {
	*bufio.Writer // of what is hashed and written to the file
	store         *Store
	file          File
	temp          string
	hash          hash.Hash
	size          int64
}

// NewBlob starts a blob. End it with Commit or Abort.
func (s *Store) NewBlob() (*BlobWriter, error) {
	temp, file, err := s.createTemp()
	if err != nil {
		return nil, fmt.Errorf("store a blob: %w", err)
	}
	w := &BlobWriter{store: s, file: file, temp: temp, hash: sha256.New()}
	w.Writer = bufio.NewWriterSize(blobFile{w}, 256<<10)
	return w, nil
}

// blobFile is what a blob's buffer is emptied into.
type blobFile struct{ w *BlobWriter }

func (f blobFile) Write(b []byte) (int, error) {
	n, err := f.w.file.Write(b)
	f.w.hash.Write(b[:n])
	f.w.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("store a blob: %w", err)
	}
	return n, nil
}

// Size is how many bytes were written so far.
func (w *BlobWriter) Size() int64 { return w.size + int64(w.Buffered()) }

// Commit makes the blob durable and returns its reference.
func (w *BlobWriter) Commit(rows int64) (Chunk, error) {
	err := errors.Join(w.Flush(), w.file.Sync(), w.file.Close())
	c := Chunk{Digest: hex.EncodeToString(w.hash.Sum(nil)), Rows: rows, Bytes: w.size}
	if err == nil {
		err = w.store.install(w.temp, w.store.path("blobs", c.Digest), true)
	}
	if err != nil {
		_ = w.store.fs.Remove(w.temp)
		return c, fmt.Errorf("store a blob: %w", err)
	}
	return c, nil
}

// Abort drops the blob.
func (w *BlobWriter) Abort() {
	_ = w.file.Close()
	_ = w.store.fs.Remove(w.temp)
}

// path spreads files over 256 folders by the first two digits of their name.
func (s *Store) path(class, digest string) string {
	if len(digest) < 2 || strings.ContainsAny(digest, `/\.`) {
		return filepath.Join(s.dir, class, "xx", "malformed")
	}
	return filepath.Join(s.dir, class, digest[:2], digest)
}

// readFile reads a file of the cache. The error is ErrCorrupt if something
// else lies there.
func (s *Store) readFile(path string) ([]byte, error) {
	f, err := s.fs.Open(path)
	if errors.Is(err, errNotAFile) {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, errNotAFile)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if sized, ok := f.(interface{ Stat() (fs.FileInfo, error) }); ok {
		if info, err := sized.Stat(); err == nil {
			raw := make([]byte, info.Size())
			n, err := io.ReadFull(f, raw)
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				err = nil // it shrank; the digest will tell
			}
			return raw[:n], err
		}
	}
	return io.ReadAll(f)
}

// writeFile puts a file in place whole: it is there with all of its content
// or not at all, and with durable it survives a loss of power.
func (s *Store) writeFile(path string, durable bool, parts ...[]byte) error {
	temp, f, err := s.createTemp()
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err == nil {
			_, err = f.Write(part)
		}
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = s.install(temp, path, durable)
	}
	if err != nil {
		_ = s.fs.Remove(temp)
	}
	return err
}

func (s *Store) createTemp() (string, File, error) {
	dir := filepath.Join(s.dir, "tmp")
	temp := filepath.Join(dir, uuid.NewString())
	f, err := s.fs.Create(temp)
	if isMissing(err) {
		if err := s.makeDir(dir); err != nil {
			return "", nil, err
		}
		f, err = s.fs.Create(temp)
	}
	return temp, f, err
}

func (s *Store) install(temp, path string, durable bool) error {
	dir := filepath.Dir(path)
	err := s.fs.Rename(temp, path)
	if isMissing(err) {
		if err := s.makeDir(dir); err != nil {
			return err
		}
		err = s.fs.Rename(temp, path)
	}
	if err != nil {
		if info, statErr := s.fs.Stat(path); statErr == nil && info.IsDir() {
			if err := s.discard(path); err != nil {
				return err
			}
			err = s.fs.Rename(temp, path)
		}
	}
	if err == nil && durable {
		err = s.fs.SyncDir(dir)
	}
	return err
}

// touch marks an entry as used, at most once an hour: garbage collection by
// age goes by it.
func (s *Store) touch(path string) {
	if info, err := s.fs.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // a read-only cache is still readable
	}
}

func short(digest string) string { return digest[:min(12, len(digest))] }

package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/record"
)

// ErrFileChanged means that a source file was written to while it was read.
var ErrFileChanged = errors.New("changed while it was read; run again when nothing writes to it")

// StatIndex knows the digests of files that did not change since they were
// last read, by size, modification and change time, inode and device. One
// index file covers one folder of sources. It may be used from several
// goroutines; Save keeps what was learnt.
type StatIndex struct {
	*statState
	used func(key string) // may be nil
}

type statState struct {
	store *Store
	mu    sync.Mutex
	dirs  map[string]*statFolder
	now   func() time.Time
}

type statFolder struct {
	files map[string]fingerprint // by base name
	dirty bool
}

type fingerprint struct {
	size, modified, changed int64 // bytes; Unix nanoseconds
	inode, device           uint64
	digest                  [sha256.Size]byte
}

func (f fingerprint) sameFile(g fingerprint) bool {
	f.digest, g.digest = [sha256.Size]byte{}, [sha256.Size]byte{}
	return f == g
}

// settled is the age below which a file's time stamps are not trusted: within
// the granularity of file systems' clocks it could be written again without
// their changing.
const settled = 2 * time.Second

// StatIndex opens the index; folders are read when first asked for.
func (s *Store) StatIndex() *StatIndex {
	return &StatIndex{statState: &statState{store: s, dirs: map[string]*statFolder{}, now: time.Now}}
}

// Noting returns the same index; used is told the key of each entry that
// Derived takes from the store or puts there.
func (x *StatIndex) Noting(used func(key string)) *StatIndex {
	return &StatIndex{statState: x.statState, used: used}
}

// Digest returns the hexadecimal SHA-256 of the file's content, from the
// index if the file did not change since. A file that is mostly a hole is
// refused before it is read.
func (x *StatIndex) Digest(ctx context.Context, path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "read", Path: path, Err: errNotAFile}
	}
	if err := budget.CheckFile(info); err != nil {
		return "", &fs.PathError{Op: "read", Path: path, Err: err}
	}
	now := describe(info)
	dir, base := filepath.Split(abs)

	x.mu.Lock()
	known, ok := x.folder(dir).files[base]
	x.mu.Unlock()
	if ok && known.sameFile(now) {
		return hex.EncodeToString(known.digest[:]), nil
	}

	read := x.now()
	digest, err := hashFile(ctx, abs)
	if err != nil {
		return "", err
	}
	after, err := os.Stat(abs)
	if err != nil {
		return "", err
	}
	if !describe(after).sameFile(now) {
		return "", fmt.Errorf("%s: %w", path, ErrFileChanged)
	}
	now.digest = digest
	if read.UnixNano()-max(now.modified, now.changed) > int64(settled) {
		x.mu.Lock()
		f := x.folder(dir)
		f.files[base] = now
		f.dirty = true
		x.mu.Unlock()
	}
	return hex.EncodeToString(digest[:]), nil
}

// Derived returns what compute makes of a file, kept in the store by the
// file's content and by name.
func (x *StatIndex) Derived(ctx context.Context, path, name string, compute func() ([]byte, error)) ([]byte, error) {
	digest, err := x.Digest(ctx, path)
	if err != nil {
		return nil, err
	}
	key := Preimage{{"derived", name}, {"file", digest}}.Digest()
	if e, err := x.store.Lookup(key); err == nil && len(e.Outputs["derived"]) == 1 {
		if raw, err := x.store.Blob(e.Outputs["derived"][0].Digest); err == nil {
			x.note(key)
			return raw, nil
		}
	}
	raw, err := compute()
	if err != nil {
		return nil, err
	}
	if after, err := x.Digest(ctx, path); err != nil || after != digest {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, ErrFileChanged), err)
	}
	c, err := x.store.PutBlob(raw, 0)
	if err == nil {
		err = x.store.Commit(Entry{
			Key: key, Stage: "derived", Inputs: []InputRef{{Port: "file", Digest: digest}},
			Outputs: map[string][]Chunk{"derived": {c}}, Created: x.now().UTC(),
		})
	}
	if err != nil && !IsReadOnly(err) && !IsFull(err) {
		return nil, fmt.Errorf("keep the %s of %s: %w", name, path, err)
	}
	if err == nil {
		x.note(key)
	}
	return raw, nil
}

func (x *StatIndex) note(key string) {
	if x.used != nil {
		x.used(key)
	}
}

// Save writes what was learnt. The index is only a help, so in a cache that is
// read-only or on a full disk it is not an error that it cannot be kept.
func (x *StatIndex) Save() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for dir, f := range x.dirs {
		if !f.dirty {
			continue
		}
		raw, err := f.encode()
		if err == nil {
			err = x.store.writeFile(x.path(dir), false, raw)
		}
		if err != nil && !IsReadOnly(err) && !IsFull(err) {
			return fmt.Errorf("save the stat index: %w", err)
		}
		f.dirty = false
	}
	return nil
}

func (x *StatIndex) path(dir string) string {
	return x.store.path("stat", Preimage{{"folder", dir}}.Digest())
}

func (x *StatIndex) folder(dir string) *statFolder {
	if f := x.dirs[dir]; f != nil {
		return f
	}
	f := &statFolder{files: map[string]fingerprint{}}
	if raw, err := x.store.readFile(x.path(dir)); err == nil {
		if err := f.decode(raw); err != nil {
			f.files = map[string]fingerprint{} // damaged: learnt anew
		}
	}
	x.dirs[dir] = f
	return f
}

var statSchema = arrow.NewSchema([]arrow.Field{
	{Name: "name", Type: arrow.BinaryTypes.Binary},
	{Name: "size", Type: arrow.PrimitiveTypes.Int64},
	{Name: "modified", Type: arrow.PrimitiveTypes.Int64},
	{Name: "changed", Type: arrow.PrimitiveTypes.Int64},
	{Name: "inode", Type: arrow.PrimitiveTypes.Uint64},
	{Name: "device", Type: arrow.PrimitiveTypes.Uint64},
	{Name: "digest", Type: &arrow.FixedSizeBinaryType{ByteWidth: sha256.Size}},
}, nil)

func (f *statFolder) encode() ([]byte, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, statSchema)
	defer b.Release()
	for name, p := range f.files {
		b.Field(0).(*array.BinaryBuilder).Append([]byte(name))
		b.Field(1).(*array.Int64Builder).Append(p.size)
		b.Field(2).(*array.Int64Builder).Append(p.modified)
		b.Field(3).(*array.Int64Builder).Append(p.changed)
		b.Field(4).(*array.Uint64Builder).Append(p.inode)
		b.Field(5).(*array.Uint64Builder).Append(p.device)
		b.Field(6).(*array.FixedSizeBinaryBuilder).Append(p.digest[:])
	}
	rec := b.NewRecord()
	defer rec.Release()
	raw, err := record.Encode(rec)
	if err != nil {
		return nil, err
	}
	return append([]byte(sum(raw)), raw...), nil
}

func (f *statFolder) decode(raw []byte) error {
	const digest = 64
	if len(raw) < digest || sum(raw[digest:]) != string(raw[:digest]) {
		return ErrCorrupt
	}
	for rec, err := range record.Decode(raw[digest:]) {
		if err != nil {
			return err
		}
		if !rec.Schema().Equal(statSchema) {
			return ErrCorrupt
		}
		names, sizes := rec.Column(0).(*array.Binary), rec.Column(1).(*array.Int64)
		modified, changed := rec.Column(2).(*array.Int64), rec.Column(3).(*array.Int64)
		inodes, devices := rec.Column(4).(*array.Uint64), rec.Column(5).(*array.Uint64)
		digests := rec.Column(6).(*array.FixedSizeBinary)
		for i := range int(rec.NumRows()) {
			f.files[string(names.Value(i))] = fingerprint{
				sizes.Value(i), modified.Value(i), changed.Value(i), inodes.Value(i), devices.Value(i),
				[sha256.Size]byte(digests.Value(i)),
			}
		}
	}
	return nil
}

func describe(info fs.FileInfo) fingerprint {
	f := fingerprint{size: info.Size(), modified: info.ModTime().UnixNano(), changed: changeTime(info)}
	f.inode, f.device = identity(info)
	return f
}

func hashFile(ctx context.Context, path string) (digest [sha256.Size]byte, err error) {
	f, err := budget.Open(path, 0)
	if err != nil {
		return digest, err
	}
	defer f.Close()
	hash := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return digest, err
		}
		n, err := f.Read(buf)
		hash.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			hash.Sum(digest[:0])
			return digest, nil
		}
		if err != nil {
			return digest, err
		}
	}
}

func sum(raw []byte) string {
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:])
}

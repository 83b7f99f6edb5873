package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// ViewBlob verifies a blob and returns its bytes, mapped into memory where the
// system can do that: they take memory only while they are looked at. unmap
// ends the view; the bytes must not be used after it, nor written at all. A
// damaged blob is removed. A blob that this process verified before is not
// verified again, unless its file was touched since.
func (s *Store) ViewBlob(digest string) (data []byte, unmap func() error, err error) {
	if held, ok := s.held.Load(digest); ok {
		return held.([]byte), func() error { return nil }, nil
	}
	path := s.path("blobs", digest)
	f, err := s.fs.Open(path)
	if isMissing(err) {
		return nil, nil, fmt.Errorf("blob %s: %w", short(digest), ErrMissing)
	}
	if errors.Is(err, errNotAFile) {
		_ = s.discard(path)
		return nil, nil, fmt.Errorf("blob %s: %w: %w", short(digest), ErrCorrupt, errNotAFile)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the blob %s: %w", short(digest), err)
	}
	data, unmap, err = view(f)
	now, told := fileOf(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, nil, fmt.Errorf("read the blob %s: %w", short(digest), err)
	}
	if known, ok := s.verified.Load(digest); ok && told && known == now {
		return data, unmap, nil
	}
	if sum(data) != digest {
		err := errors.Join(unmap(), fmt.Errorf("blob %s: %w", short(digest), ErrCorrupt))
		_ = s.discard(path)
		return nil, nil, err
	}
	if told && time.Now().UnixNano()-max(now.modified, now.changed) > int64(settled) {
		s.verified.Store(digest, now)
	}
	return data, unmap, nil
}

// fileOf describes an open file; told is false if that cannot be known.
func fileOf(f io.Reader) (now fingerprint, told bool) {
	file, ok := f.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return now, false
	}
	info, err := file.Stat()
	if err != nil {
		return now, false
	}
	return describe(info), true
}

// readWhole is the view of a file that cannot be mapped.
func readWhole(f io.Reader) (data []byte, unmap func() error, err error) {
	data, err = io.ReadAll(f)
	return data, func() error { return nil }, err
}

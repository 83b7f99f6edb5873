package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// ErrChanged means that a picture is no longer what was listed: its file was
// written to while the pipeline was running. Nothing made of it may be kept.
var ErrChanged = errors.New("changed while the pipeline was running; run it again")

// ErrTooLarge means that a picture's file is larger than any picture.
var ErrTooLarge = fmt.Errorf("the file is larger than the %d MB allowed", maxPicture>>20)

// Set reads the pictures of a table.
type Set struct {
	readers []Reader
}

// Open prepares reading from the parts of a table.
func Open(parts []Part) (*Set, error) {
	s := &Set{}
	for _, part := range parts {
		r, err := part.Source.Open()
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.readers = append(s.readers, r)
	}
	return s, nil
}

// Read returns the bytes of a picture. If they do not have the digest, or are
// not there any more, the error wraps ErrChanged. It may be called from
// several goroutines at once.
func (s *Set) Read(ctx context.Context, part int, at Location, digest string) ([]byte, error) {
	if part < 0 || part >= len(s.readers) {
		return nil, fmt.Errorf("read %s: there is no source %d", at.Path, part)
	}
	data, err := s.readers[part].Read(ctx, at)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotAFile), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%s %w", at.Path, ErrChanged)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", at.Path, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("%s %w", at.Path, ErrChanged)
	}
	return data, nil
}

// Begin returns the first bytes of a picture, at most so many. ok is false where they cannot be had without unpacking or
// reading much else, as in packed archives and tables, or not at all.
func (s *Set) Begin(ctx context.Context, part int, at Location, most int64) (data []byte, ok bool) {
	var err error
	switch reader := s.readers[part].(type) {
	case wholeFiles:
		data, err = beginning(at.Path, most)
	case *tarReader:
		if strings.HasSuffix(at.Path, "gz") {
			return nil, false
		}
		at.Size = min(at.Size, most)
		data, err = reader.Read(ctx, at)
	case emojiReader:
		data, err = reader.Read(ctx, at)
	default:
		return nil, false
	}
	return data, err == nil
}

func beginning(path string, most int64) (_ []byte, err error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, most))
}

// Close closes all files.
func (s *Set) Close() error {
	var errs []error
	for _, r := range s.readers {
		errs = append(errs, r.Close())
	}
	s.readers = nil
	return errors.Join(errs...)
}

// wholeFiles reads pictures that are files.
type wholeFiles struct{}

func (wholeFiles) Read(_ context.Context, at Location) (data []byte, err error) {
	f, err := openFile(at.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPicture {
		return nil, ErrTooLarge
	}
	data = make([]byte, info.Size())
	_, err = io.ReadFull(f, data)
	return data, err
}

func (wholeFiles) Close() error { return nil }

// openFile opens a file, and nothing else: a pipe would be waited for, what a
// device gives cannot be read twice, and a hole of terabytes is read for hours.
func openFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotAFile}
	}
	if err := checkFile(path, info); err != nil {
		return nil, err
	}
	return os.Open(path)
}

var errNotAFile = errors.New("it is not a file")

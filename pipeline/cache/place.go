package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/google/uuid"
)

// Files of the cache may have been damaged in any way: a folder, a named pipe
// or a link to itself may lie where a file belongs, a file where a folder belongs. Such a
// thing is discarded like a file with wrong bytes.

var errNotAFile = errors.New("it is not a file")

// discard takes away what lies at path. A folder that is not empty goes to
// tmp/, which garbage collection empties.
func (s *Store) discard(path string) error {
	err := s.fs.Remove(path)
	if err == nil || isMissing(err) {
		return nil
	}
	if info, statErr := s.fs.Stat(path); statErr != nil || !info.IsDir() {
		return err
	}
	tmp := filepath.Join(s.dir, "tmp")
	if err := s.makeDir(tmp); err != nil {
		return err
	}
	return s.fs.Rename(path, filepath.Join(tmp, uuid.NewString()))
}

// makeDir makes a folder of the cache and those above it, so that they
// survive a loss of power. What lies in the place of one is discarded.
func (s *Store) makeDir(dir string) error {
	info, err := s.fs.Stat(dir)
	below, relErr := filepath.Rel(s.dir, dir)
	within := relErr == nil && filepath.IsLocal(below) && below != "."
	switch {
	case err == nil && info.IsDir():
		return nil
	case (err == nil || isLoop(err)) && within:
		if err := s.discard(dir); err != nil {
			return err
		}
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: dir, Err: errNotAFolder}
	case !isMissing(err):
		return err
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return err
	}
	if err := s.makeDir(parent); err != nil {
		return err
	}
	if err := s.fs.MkdirAll(dir); err != nil {
		return err
	}
	err = s.fs.SyncDir(parent)
	if !within && errors.Is(err, fs.ErrPermission) {
		return nil // a folder above the cache may be closed to us
	}
	return err
}

var errNotAFolder = errors.New("something is there that is not a folder")

// clear discards what lies where a lock's file belongs, unless it is a file:
// opening it would wait or fail.
func (s *Store) clear(path string) error {
	if info, err := s.fs.Stat(path); !isLoop(err) && (err != nil || info.Mode().IsRegular()) {
		return nil
	}
	if err := s.discard(path); err != nil {
		return fmt.Errorf("make way for the lock %s: %w", path, err)
	}
	return nil
}

// isMissing tells whether an error means that there is no such file, which it
// does too when something else lies where its folder belongs, or a link leads to
// itself.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) || isNotDir(err) || isLoop(err) }

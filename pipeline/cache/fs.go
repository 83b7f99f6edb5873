package cache

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// FS is what the store needs of a file system; tests put one in its place
// that fails on purpose.
type FS interface {
	Open(name string) (io.ReadCloser, error)
	Create(name string) (File, error) // fails if the file exists
	Rename(from, to string) error
	Remove(name string) error
	MkdirAll(name string) error
	Stat(name string) (fs.FileInfo, error)
	SyncDir(name string) error
}

// File is a file being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// OS is the operating system's file system.
type OS struct{}

// Open implements FS, for regular files: opening a named pipe would wait for
// someone to write to it.
func (OS) Open(name string) (io.ReadCloser, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errNotAFile}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Create implements FS.
func (OS) Create(name string) (File, error) {
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// MkdirAll implements FS.
func (OS) MkdirAll(name string) error { return os.MkdirAll(name, 0o777) }

// Stat implements FS.
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// SyncDir makes renames in a folder durable. Not every system can sync a
// folder, and none that cannot needs it, so only real faults are errors.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !unsupportedSync(err) {
		return err
	}
	return nil
}

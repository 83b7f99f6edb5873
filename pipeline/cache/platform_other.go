//go:build !unix

package cache

import (
	"errors"
	"io"
	"io/fs"
)

func view(f io.Reader) (data []byte, unmap func() error, err error) { return readWhole(f) }

const nonBlocking = 0

func isNotDir(error) bool { return false }

func isLoop(error) bool { return false }

func unsupportedSync(error) bool { return true }

// IsReadOnly tells whether an error means that the cache cannot be written.
func IsReadOnly(err error) bool { return errors.Is(err, fs.ErrPermission) }

func identity(fs.FileInfo) (inode, device uint64) { return 0, 0 }

// IsFull tells whether an error means that no space is left.
func IsFull(error) bool { return false }

//go:build !unix

package cache

import (
	"errors"
	"io/fs"
)

func unsupportedSync(error) bool { return true }

func isReadOnly(err error) bool { return errors.Is(err, fs.ErrPermission) }

func inode(fs.FileInfo) uint64 { return 0 }

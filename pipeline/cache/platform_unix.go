//go:build unix

package cache

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// view maps a file into memory; one that is not the system's is read.
func view(f io.Reader) (data []byte, unmap func() error, err error) {
	file, ok := f.(*os.File)
	if !ok {
		return readWhole(f)
	}
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return nil, func() error { return nil }, err
	}
	data, err = syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return readWhole(f) // not every file system can map
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}

const nonBlocking = syscall.O_NONBLOCK

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// isLoop tells whether an error means that a link leads to itself.
func isLoop(err error) bool { return errors.Is(err, syscall.ELOOP) }

func unsupportedSync(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP)
}

// IsReadOnly tells whether an error means that the cache cannot be written.
func IsReadOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

// identity tells two files of one name apart.
func identity(info fs.FileInfo) (inode, device uint64) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Ino), uint64(s.Dev)
	}
	return 0, 0
}

// IsFull tells whether an error means that no space is left.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

//go:build unix

package dataset

import (
	"io/fs"
	"syscall"
)

// keyOf tells folders apart, however they were reached: by device and inode.
func keyOf(info fs.FileInfo) (folderKey, bool) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return folderKey{uint64(s.Dev), uint64(s.Ino)}, true //nolint:unconvert // other systems have other types
	}
	return folderKey{}, false
}

//go:build unix

package budget

import (
	"io/fs"
	"syscall"
)

// allocated is what a file takes on disk, in bytes.
func allocated(info fs.FileInfo) (int64, bool) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(s.Blocks) * 512, true //nolint:unconvert // other systems have other types
	}
	return 0, false
}

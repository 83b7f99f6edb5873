package cache

import (
	"io/fs"
	"syscall"
)

// changeTime catches edits that put the modification time back.
func changeTime(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ctim.Nano()
	}
	return 0
}

package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePages asks for pages of two mebibytes for large memory: there are fewer to be faulted in, and the
// processor finds them faster. It is advice: what is computed does not depend on it.
func hugePages(s []float32) {
	const page, huge = 4 << 10, 2 << 20
	if 4*len(s) < huge {
		return
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), 4*len(s))
	whole := bytes[-uintptr(unsafe.Pointer(unsafe.SliceData(s)))%page:]
	_ = unix.Madvise(whole[:len(whole)/page*page], unix.MADV_HUGEPAGE)
}

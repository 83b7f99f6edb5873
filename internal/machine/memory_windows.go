package machine

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// Memory is how many bytes of memory the machine has; 0 if it is not known.
func Memory() int64 {
	status := struct {
		length, load                                                              uint32
		total, free, totalPage, freePage, totalVirtual, freeVirtual, freeExtended uint64
	}{}
	status.length = uint32(unsafe.Sizeof(status))
	call := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if ok, _, _ := call.Call(uintptr(unsafe.Pointer(&status))); ok == 0 {
		return 0
	}
	return int64(status.total)
}

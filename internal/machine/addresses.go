package machine

import "fmt"

// AddressSpaceError tells that the limit on a process's address space (ulimit -v) is too small to work in.
type AddressSpaceError struct {
	Limit, Least int64 // bytes
}

func (e *AddressSpaceError) Error() string {
	return fmt.Sprintf("the address space of this process is limited to %d MB, and at least %d MB are needed: most of it is reserved, not used. "+
		"Raise the limit (ulimit -v unlimited); --memory limits the memory that is used", e.Limit>>20, e.Least>>20)
}

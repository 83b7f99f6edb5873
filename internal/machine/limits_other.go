//go:build !linux

package machine

// CheckAddressSpace returns an error if the limit on this process's address space is too small to work in: not known here.
func CheckAddressSpace() error { return nil }

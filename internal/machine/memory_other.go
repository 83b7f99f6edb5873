//go:build !linux && !darwin && !windows

package machine

// Memory is how many bytes of memory the machine has: not known.
func Memory() int64 { return 0 }

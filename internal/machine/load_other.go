//go:build !linux

package machine

// Load is not known here.
func Load() (threads float64, ok bool) { return 0, false }

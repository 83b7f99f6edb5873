package machine

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAddressSpaceErrorNamesBothNumbers(t *testing.T) {
	err := (&AddressSpaceError{Limit: 800 << 20, Least: leastAddresses}).Error()
	for _, want := range []string{"800 MB", "3072 MB", "ulimit -v"} {
		if !strings.Contains(err, want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
}

// A process with a limit on its data has what is left of it.
func TestLeft(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_DATA, &old); err != nil {
		t.Fatal(err)
	}
	limit := min(old.Max, 64<<30) // far more than this test takes
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: limit, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_DATA, &old)
	self := t.TempDir()
	if err := os.WriteFile(filepath.Join(self, "statm"), []byte("9 8 7 6 0 1000 0\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, want := left(self), int64(limit)-int64(1000*os.Getpagesize()); got != want {
		t.Errorf("%d bytes are left, want %d", got, want)
	}
	if got := left(t.TempDir()); got != 0 {
		t.Errorf("%d bytes are left where nothing is known of the process", got)
	}
}

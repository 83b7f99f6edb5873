package machine

import (
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// leastAddresses is the least address space to work in: the Go runtime reserves more than 1 GB of addresses before it uses any memory, and
// each thread has a stack.
const leastAddresses = 3 << 30

// CheckAddressSpace returns an error if the limit on this process's address space (ulimit -v) is too small to work in: the Go
// runtime would end the process in the middle of its work.
func CheckAddressSpace() error {
	if limit := resource(syscall.RLIMIT_AS); limit > 0 && limit < leastAddresses {
		return &AddressSpaceError{Limit: limit, Least: leastAddresses}
	}
	return nil
}

// left is how many bytes the limits of this process (ulimit -v, -d) leave it; 0 if there are none. self is
// /proc/self.
func left(self string) int64 {
	raw, err := os.ReadFile(self + "/statm")
	if err != nil {
		return 0
	}
	pages := strings.Fields(string(raw)) // all, resident, shared, text, 0, data
	if len(pages) < 6 {
		return 0
	}
	least := int64(0)
	for _, limit := range []struct{ bytes, pages int }{{syscall.RLIMIT_AS, 0}, {syscall.RLIMIT_DATA, 5}} {
		taken, err := strconv.ParseInt(pages[limit.pages], 10, 64)
		most := resource(limit.bytes)
		if err != nil || most == 0 {
			continue
		}
		if rest := max(most-taken*int64(os.Getpagesize()), 1); least == 0 || rest < least {
			least = rest
		}
	}
	return least
}

// resource is a limit of this process, 0 if there is none.
func resource(which int) int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(which, &limit) != nil || limit.Cur > math.MaxInt64 {
		return 0
	}
	return int64(limit.Cur)
}

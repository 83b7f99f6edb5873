package machine

import (
	"os"
	"strconv"
	"strings"
)

// Load is how many threads of the whole machine computed or waited for a processor in the last minute, on average; not ok if that is not known.
func Load() (threads float64, ok bool) { return load("/proc/loadavg") }

func load(file string) (float64, bool) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(raw), " ")
	threads, err := strconv.ParseFloat(first, 64)
	return threads, err == nil && threads >= 0
}

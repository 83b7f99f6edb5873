package machine

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is how many bytes of memory this process may have: the machine's, or what the control groups that
// it is in and its own limits allow it, if that is less; 0 if it is not known.
func Memory() int64 {
	all, rest := memory("/"), left("/proc/self")
	if rest > 0 && (all == 0 || rest < all) {
		return rest
	}
	return all
}

// memory is Memory of a system whose files are below root.
func memory(root string) int64 {
	least := total(filepath.Join(root, "proc/meminfo"))
	for _, file := range limits(root) {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64) // or "max"
		if err == nil && limit > 0 && (least == 0 || limit < least) {
			least = limit
		}
	}
	return least
}

// total reads the line MemTotal, in kB.
func total(meminfo string) int64 {
	raw, err := os.ReadFile(meminfo)
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) >= 2 && fields[0] == "MemTotal:" {
			kB, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return kB << 10
		}
	}
	return 0
}

// limits lists the files that may limit the memory of this process: of each control group that it is in, and
// of those above, in version 2 and version 1 of their file system. In a container the groups' folders may be
// those of the root.
func limits(root string) []string {
	raw, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	var files []string
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		parts := strings.SplitN(line, ":", 3) // number, controllers, group
		if len(parts) != 3 {
			continue
		}
		folder, file := "", ""
		switch {
		case parts[1] == "":
			folder, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+parts[1]+",", ",memory,"):
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			files = append(files, filepath.Join(root, folder, group, file))
			if group == "/" {
				break
			}
		}
	}
	return files
}

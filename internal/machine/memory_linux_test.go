package machine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryIsTheLeastLimit(t *testing.T) {
	if Memory() < 1<<20 {
		t.Errorf("this machine has %d bytes", Memory())
	}
	const meminfo = "MemTotal:       16000000 kB\nMemFree:        1 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no limit": {map[string]string{"proc/self/cgroup": "0::/user\n", "sys/fs/cgroup/user/memory.max": "max\n"}, 16000000 << 10},
		"version 2": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "2000000000\n",
		}, 2000000000},
		"version 1": {map[string]string{
			"proc/self/cgroup":                                     "5:cpu:/x\n4:memory:/docker/id\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":           "9223372036854771712\n",
			"sys/fs/cgroup/memory/docker/id/memory.limit_in_bytes": "1000000000\n",
		}, 1000000000},
		"in a container":     {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "3000000000\n"}, 3000000000},
		"more than there is": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "30000000000000\n"}, 16000000 << 10},
		"nonsense":           {map[string]string{"proc/self/cgroup": "what", "sys/fs/cgroup/memory.max": "x"}, 16000000 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			c.files["proc/meminfo"] = meminfo
			for file, text := range c.files {
				at := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(at, []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if got := memory(root); got != c.want {
				t.Errorf("%d bytes, want %d", got, c.want)
			}
		})
	}
	if got := memory(t.TempDir()); got != 0 {
		t.Errorf("%d bytes of a machine that says nothing", got)
	}
}

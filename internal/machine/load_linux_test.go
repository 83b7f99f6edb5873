package machine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "loadavg")
	for text, want := range map[string]float64{"2.34 2.22 1.58 3/120 4711\n": 2.34, "0.00 0.00 0.00 1/1 1\n": 0, "": -1, "x y\n": -1, "-1 2\n": -1} {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		got, ok := load(file)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if _, ok := load(file + "x"); ok {
		t.Error("a file that is not there has a load")
	}
}

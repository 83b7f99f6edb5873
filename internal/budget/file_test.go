package budget

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesThatAreNotRead(t *testing.T) {
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	if err := os.WriteFile(small, []byte("abcd"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, most := range []int64{0, 4, 5} {
		if text, err := ReadFile(small, most); err != nil || string(text) != "abcd" {
			t.Errorf("at most %d: %q, %v", most, text, err)
		}
	}
	for path, want := range map[string]string{small: "it has 4 bytes, the limit is 3 bytes", dir: "it is a folder", filepath.Join(dir, "none"): "no such file", os.DevNull: "it is not a file"} {
		_, err := ReadFile(path, 3)
		var about *fs.PathError
		if !errors.As(err, &about) || about.Path != path || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}

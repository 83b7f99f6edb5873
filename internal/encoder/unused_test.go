package encoder

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The blocks of a file that its configuration leaves out are counted in the names of all families.
func TestUnusedBlocksAreCounted(t *testing.T) {
	layers := regexp.MustCompile(`"(num_hidden_layers|n_layers|layers)": [0-9]+`)
	for _, family := range []string{"bert", "roberta", "distilbert", "clip", "clip_text", "siglip", "open_clip"} {
		folder := t.TempDir()
		if err := os.CopyFS(folder, os.DirFS(filepath.Join("testdata", family))); err != nil {
			t.Fatal(err)
		}
		unused := func() (blocks, n int) {
			e, err := Open(folder, "mean")
			if err != nil {
				t.Fatal(err)
			}
			n, err = e.UnusedBlocks()
			if err != nil {
				t.Fatal(err)
			}
			if told := len(e.Notes()) > 0; told != (n > 0) {
				t.Errorf("%s: %d blocks are not used; told: %v", family, n, told)
			}
			return e.Sizes.Blocks, n
		}
		blocks, n := unused()
		if n != 0 {
			t.Errorf("%s: %d blocks are not used, want none", family, n)
		}
		config := filepath.Join(folder, "config.json")
		if family == "open_clip" {
			config = filepath.Join(folder, "open_clip_config.json")
		}
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config, layers.ReplaceAll(text, []byte(`"$1": 1`)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, n = unused(); n != blocks-1 {
			t.Errorf("%s: %d blocks are not used, want %d", family, n, blocks-1)
		}
	}
}

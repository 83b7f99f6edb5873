package preprocess_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
)

// Sizes are those of upright pictures, of files whose header tells.
func TestSizesOfPictures(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{"a/broken.png": []byte("x")}
	for _, name := range []string{"jpeg_tiny.jpg", "jpeg_orientation_6.jpg", "jpeg_444.jpg"} { // 23×17, 96×64 upright, 240×160
		data, err := os.ReadFile(filepath.Join("../../internal/picture/testdata/pictures", name))
		if err != nil {
			t.Fatal(err)
		}
		files["a/"+name] = data
	}
	write(t, dir, files)
	_, listing := listed(t, dir, "{source: {folder: .}}")
	want := pipeline.Sizes{Pictures: 3, Smallest: [2]int{23, 17}, Median: [2]int{96, 64}, Largest: [2]int{240, 160}}
	if got := listing.Overview.Sizes; got == nil || *got != want {
		t.Errorf("sizes %+v, want %+v", got, want)
	}
	_, listing = listed(t, dir, "{source: {builtin: emoji}}")
	if got := listing.Overview.Sizes; got == nil || got.Pictures != 64 {
		t.Errorf("of the built-in set: %+v", got)
	}
}

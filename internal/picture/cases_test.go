package picture_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/picture"
)

// TestPicturesAsPeopleHaveThem holds files of other programs, in corners of their formats, against the pixels that
// Pillow shows: within 2 levels, of JPEG within 4. Pillow's pixels are turned upright, over white.
func TestPicturesAsPeopleHaveThem(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "cases", "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := readPNG(t, filepath.Join("testdata", "cases", "expected", name+".png"))
			got, err := picture.NewDecoder().Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if size := want.Bounds().Size(); got.Width != size.X || got.Height != size.Y {
				t.Fatalf("%d×%d pixels, want %v", got.Width, got.Height, size)
			}
			tolerance := 2
			if strings.Contains(name, "jpeg") {
				tolerance = 4
			}
			worst, wrong := 0, 0
			for y := range got.Height {
				for x := range got.Width {
					r, g, b, _ := want.At(x, y).RGBA()
					for c, w := range []uint32{r >> 8, g >> 8, b >> 8} {
						d := int(got.Pixels[3*(y*got.Width+x)+c]) - int(w)
						if d = max(d, -d); d > tolerance {
							wrong++
						}
						worst = max(worst, d)
					}
				}
			}
			if wrong > 0 {
				t.Errorf("%d of %d samples are wrong, by up to %d", wrong, len(got.Pixels), worst)
			}
		})
	}
}

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

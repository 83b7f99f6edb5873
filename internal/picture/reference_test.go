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
	"github.com/tlpipe/tlpipe/internal/record"
)

// The references are what Pillow and torchvision make of the pictures;
// testdata/README.md tells more.
func TestPixelsAreThoseOfPillowAndTorchvision(t *testing.T) {
	files, err := filepath.Glob("testdata/pictures/*")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d pictures, %v", len(files), err)
	}
	fits := map[string]picture.Fit{
		"crop":      {Rule: record.ResizeShortest, Short: 73},
		"squash":    {Rule: record.ResizeSquash},
		"letterbox": {Rule: record.ResizeLetterbox},
	}
	decoder := picture.NewDecoder()
	for _, file := range files {
		data := read(t, file)
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		for rule, fit := range fits {
			fit.Width, fit.Height, fit.Filter, fit.Background = 64, 64, record.FilterBilinear, picture.White
			got := make([]uint8, 3*64*64)
			if err := decoder.Fit(got, data, fit); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			worst, mean := apart(got, pixels(t, filepath.Join("testdata/reference", rule, name+".png")))
			allowed := 2
			if strings.HasPrefix(name, "jpeg") {
				allowed = 0 // the same decoder and resampler to the bit
			}
			if worst > allowed || mean > 0.5 {
				t.Errorf("%s, %s: %d levels apart at most, %.3f on average", name, rule, worst, mean)
			}
		}
	}
}

func apart(a, b []uint8) (worst int, mean float64) {
	for i := range a {
		d := max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
		worst, mean = max(worst, d), mean+float64(d)
	}
	return worst, mean / float64(len(a))
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// pixels reads a reference, without the code under test.
func pixels(t testing.TB, file string) []uint8 {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(read(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	return rgb(img)
}

func rgb(img image.Image) []uint8 {
	var out []uint8
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			out = append(out, uint8(r>>8), uint8(g>>8), uint8(b>>8))
		}
	}
	return out
}

package jpeg_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"image"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/picture/jpeg"
)

// pixelsOf reads the index that testdata/make.py wrote: width, height and the
// digest of Pillow's pixels for each file.
func pixelsOf(t testing.TB) map[string]expected {
	t.Helper()
	text, err := os.ReadFile("testdata/pixels.json")
	if err != nil {
		t.Fatal(err)
	}
	var index map[string][]any
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	all := map[string]expected{}
	for name, values := range index {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = expected{data, int(values[0].(float64)), int(values[1].(float64)), values[2].(string)}
	}
	return all
}

type expected struct {
	data          []byte
	width, height int
	digest        string
}

func TestPixelsAreThoseOfLibjpegTurbo(t *testing.T) {
	var d jpeg.Decoder
	for name, want := range pixelsOf(t) {
		head, err := jpeg.ReadHeader(want.data)
		if err != nil || head.Width != want.width || head.Height != want.height {
			t.Errorf("%s: header %+v, %v, want %d×%d", name, head, err, want.width, want.height)
			continue
		}
		got, err := d.Decode(nil, want.data, image.Rect(0, 0, want.width, want.height))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != want.digest {
			t.Errorf("%s: other pixels than libjpeg-turbo's", name)
		}
	}
}

func TestRegionIsThatOfTheWhole(t *testing.T) {
	var d jpeg.Decoder
	for name, file := range pixelsOf(t) {
		whole, err := d.Decode(nil, file.data, image.Rect(0, 0, file.width, file.height))
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			left, top := rapid.IntRange(0, file.width-1).Draw(t, "left"), rapid.IntRange(0, file.height-1).Draw(t, "top")
			right, bottom := rapid.IntRange(left+1, file.width).Draw(t, "right"), rapid.IntRange(top+1, file.height).Draw(t, "bottom")
			part, err := d.Decode(nil, file.data, image.Rect(left, top, right, bottom))
			if err != nil {
				t.Fatal(err)
			}
			for y := top; y < bottom; y++ {
				row := whole[3*(y*file.width+left) : 3*(y*file.width+right)]
				if !bytes.Equal(part[:len(row)], row) {
					t.Fatalf("%s: row %d differs", name, y)
				}
				part = part[len(row):]
			}
		})
	}
}

// A progressive file that ends before all scans shows what libjpeg-turbo guesses for the rest.
func TestUnfinishedPictureIsThatOfLibjpegTurbo(t *testing.T) {
	text, err := os.ReadFile("testdata/unfinished.json")
	if err != nil {
		t.Fatal(err)
	}
	var index map[string][]string
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	files := pixelsOf(t)
	var d jpeg.Decoder
	for name, digests := range index {
		file := files[name]
		for scans, want := range digests {
			got, err := d.Decode(nil, endAfter(file.data, scans+1), image.Rect(0, 0, file.width, file.height))
			if err != nil {
				t.Errorf("%s, %d scans: %v", name, scans+1, err)
				continue
			}
			if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != want {
				t.Errorf("%s, %d scans: other pixels than libjpeg-turbo's", name, scans+1)
			}
		}
	}
}

// endAfter ends a file before the marker of the scan behind the first ones.
func endAfter(data []byte, scans int) []byte {
	at := 2
	for {
		at += bytes.IndexByte(data[at:], 0xFF)
		switch marker := data[at+1]; {
		case marker == 0xFF:
			at++
			continue
		case marker == 0 || marker >= 0xD0 && marker <= 0xD7:
			at += 2
			continue
		case marker == 0xDA:
			if scans--; scans < 0 {
				return append(bytes.Clone(data[:at]), 0xFF, 0xD9)
			}
		}
		at += 2 + int(binary.BigEndian.Uint16(data[at+2:]))
	}
}

func TestBeyondThePicture(t *testing.T) {
	file := pixelsOf(t)["grey.jpg"]
	var d jpeg.Decoder
	for _, region := range []image.Rectangle{{}, image.Rect(0, 0, 76, 43), image.Rect(-1, 0, 5, 5)} {
		if _, err := d.Decode(nil, file.data, region); err == nil {
			t.Errorf("region %v of 75×43 pixels was decoded", region)
		}
	}
}

// A file cut anywhere before its end-of-image marker is an error: nothing is
// made up.
func TestTruncated(t *testing.T) {
	var d jpeg.Decoder
	for _, name := range []string{"quality_97.jpg", "noise_progressive.jpg", "restart.jpg", "cmyk.jpg"} {
		file := pixelsOf(t)[name]
		for n := 0; n < len(file.data)-4; n += 7 {
			if _, err := d.Decode(nil, file.data[:n], image.Rect(0, 0, file.width, file.height)); err == nil {
				t.Fatalf("%s: %d of %d bytes were enough", name, n, len(file.data))
			}
		}
	}
}

func TestWhatIsNotSupportedIsSaid(t *testing.T) {
	file := bytes.Clone(pixelsOf(t)["grey.jpg"].data)
	at := bytes.Index(file, []byte{0xFF, 0xC0})
	for marker, want := range map[byte]string{
		0xC3: "JPEG: coding process 3 (lossless or hierarchical) is not supported",
		0xCB: "JPEG: coding process 11 (lossless or hierarchical) is not supported",
	} {
		file[at+1] = marker
		if _, err := jpeg.ReadHeader(file); err == nil || err.Error() != want {
			t.Errorf("marker %X: %v, want %s", marker, err, want)
		}
	}
	file[at+1], file[at+4] = 0xC1, 12
	if _, err := jpeg.ReadHeader(file); err == nil || err.Error() != "JPEG: 12 bits a sample are not supported" {
		t.Errorf("12 bits: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	files, seeds := pixelsOf(f), [][]byte(nil)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		seeds = append(seeds, files[name].data)
	}
	budgettest.Seeds(f, 100, seeds...)
	var d jpeg.Decoder
	f.Fuzz(func(t *testing.T, data []byte) {
		head, err := jpeg.ReadHeader(data)
		if err != nil || head.Width*head.Height > 1<<20 {
			return
		}
		region := image.Rect(head.Width/3, head.Height/3, head.Width/3+1, head.Height)
		budgettest.Within(t, len(data), func() {
			got, err := d.Decode(nil, data, region)
			if err == nil && len(got) != 3*region.Dx()*region.Dy() {
				t.Errorf("%d bytes for %v", len(got), region)
			}
		})
	})
}

func BenchmarkDecode(b *testing.B) {
	data, err := os.ReadFile("../testdata/pictures/jpeg_420.jpg")
	if err != nil {
		b.Fatal(err)
	}
	var d jpeg.Decoder
	var out []uint8
	for range b.N {
		if out, err = d.Decode(out, data, image.Rect(0, 0, 241, 161)); err != nil {
			b.Fatal(err)
		}
	}
}

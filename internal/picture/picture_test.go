package picture_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// testdata/make_fits.py made the digests.
func TestFiltersAndCropsAreThoseOfPillowAndTorchvision(t *testing.T) {
	var cases []struct {
		File, Rule, Filter, SHA256 string
		Short, Width, Height       int
	}
	if err := json.Unmarshal(read(t, "testdata/fits.json"), &cases); err != nil || len(cases) < 100 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	d := picture.NewDecoder()
	for _, c := range cases {
		got := make([]uint8, 3*c.Width*c.Height)
		fit := picture.Fit{Width: c.Width, Height: c.Height, Rule: c.Rule, Short: c.Short, Filter: c.Filter}
		if err := d.Fit(got, read(t, filepath.Join("testdata/pictures", c.File)), fit); err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != c.SHA256 {
			t.Errorf("%+v: other pixels", c)
		}
	}
}

func TestShortestPadsWhatIsSmaller(t *testing.T) {
	red := picture.Colour{200, 10, 10}
	got := make([]uint8, 3*8*6)
	fit := picture.Fit{Width: 8, Height: 6, Rule: record.ResizeShortest, Short: 4, Filter: record.FilterBilinear, Background: red}
	if err := picture.NewDecoder().Fit(got, ppm(2, 2, 77), fit); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(got); i += 3 {
		x, y := i/3%8, i/3/8
		want := red
		if x >= 2 && x < 6 && y >= 1 && y < 5 {
			want = picture.Colour{77, 77, 77}
		}
		if picture.Colour(got[i:i+3]) != want {
			t.Errorf("pixel %d,%d is %v, want %v", x, y, got[i:i+3], want)
		}
	}
}

// ppm is a plain grey picture.
func ppm(width, height int, level uint8) []byte {
	out := []byte("P6\n# a comment\n" + itoa(width) + " " + itoa(height) + "\n255\n")
	return append(out, bytes.Repeat([]byte{level}, 3*width*height)...)
}

func itoa(n int) string { text, _ := json.Marshal(n); return string(text) }

// Whatever the size and the rule, a picture of one colour stays one colour
// where it lies.
func TestOneColourStaysOneColour(t *testing.T) {
	d := picture.NewDecoder()
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 90)
		level := rapid.Byte().Draw(t, "level")
		data := ppm(side.Draw(t, "w"), side.Draw(t, "h"), level)
		fit := picture.Fit{
			Width: side.Draw(t, "width"), Height: side.Draw(t, "height"), Short: side.Draw(t, "short"),
			Rule:       rapid.SampledFrom([]string{record.ResizeShortest, record.ResizeSquash, record.ResizeLetterbox}).Draw(t, "rule"),
			Filter:     rapid.SampledFrom([]string{record.FilterBilinear, record.FilterBicubic, record.FilterLanczos}).Draw(t, "filter"),
			Background: picture.Colour{level, level, level},
		}
		got := make([]uint8, 3*fit.Width*fit.Height)
		if err := d.Fit(got, data, fit); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != level {
				t.Fatalf("sample %d is %d, want %d", i, v, level)
			}
		}
	})
}

func TestFitRefuses(t *testing.T) {
	good := picture.Fit{Width: 4, Height: 4, Rule: record.ResizeShortest, Short: 4, Filter: record.FilterBilinear}
	for want, change := range map[string]func(*picture.Fit){
		"0×4 pixels is not a size: sides have 1 to 16384": func(f *picture.Fit) { f.Width = 0 },
		"a shorter side of 0 pixels is not a size":        func(f *picture.Fit) { f.Short = 0 },
		`filter "box" is not one of`:                      func(f *picture.Fit) { f.Filter = "box" },
		`resize rule "cover" is not one of`:               func(f *picture.Fit) { f.Rule = "cover" },
		"fit a picture of 5×4 pixels into 48 bytes":       func(f *picture.Fit) { f.Width = 5 },
	} {
		fit := good
		change(&fit)
		size := 3 * fit.Width * fit.Height
		if strings.HasPrefix(want, "fit ") {
			size = 48
		}
		err := picture.NewDecoder().Fit(make([]uint8, size), ppm(2, 2, 0), fit)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestBadFilesAreRefusedWithAReason(t *testing.T) {
	jpeg, png := read(t, "testdata/pictures/jpeg_420.jpg"), read(t, "testdata/pictures/png_rgb.png")
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "the file is empty"},
		{"text", []byte("Sorry, this picture is no longer available.\n"), "text, not a picture"},
		{"page", []byte("<!DOCTYPE html><html lang=\"eo\">ĉĝĥ</html>"), "text, not a picture"},
		{"noise", []byte{1, 2, 3, 0x80, 0xFF, 0xFE, 0}, "not a picture of a known format"},
		{"heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), "a HEIC picture, a format that is not supported"},
		{"short jpeg", jpeg[:len(jpeg)/2], "JPEG: the data ends early"},
		{"head of a jpeg", jpeg[:4], "JPEG: the data ends early"},
		{"short png", png[:len(png)/2], "png: invalid format: not enough pixel data"},
		{"head of a png", png[:20], "PNG: the data ends early"},
		{"png bomb", pngHead(30000, 30000), "30000×30000 pixels are more than the 100 million allowed"},
		{"png line", pngHead(70000, 1), "70000×1 pixels: a side is longer than the 65535 allowed"},
		{"gif bomb", []byte("GIF89a\xFF\xFF\xFF\xFF\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x08\x00"), "65535×65535 pixels are more than the 100 million allowed"},
		{"bmp bomb", bmpHead(20000, 20000), "20000×20000 pixels are more than the 100 million allowed"},
		{"pnm", []byte("P5 30000 30000 255\n"), "30000×30000 pixels are more than the 100 million allowed"},
		{"short pnm", []byte("P6 3 3 255\nabc"), "PNM: the data ends early"},
		{"no pixels", []byte("P6 0 3 255\n"), "0×3 pixels: nothing to see"},
		{"deep pnm", []byte("P6 1 1 70000\nabcdef"), "PNM: malformed header"},
	} {
		_, err := picture.NewDecoder().Decode(c.data)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestLimitsAreTheCallers(t *testing.T) {
	d := picture.NewDecoder()
	d.Limits = picture.Limits{Pixels: 1_000_000, Side: 1000}
	if _, err := d.Inspect(pngHead(1000, 1000)); err != nil {
		t.Error(err)
	}
	for _, size := range [][2]uint32{{1001, 2}, {2, 1001}} {
		if _, err := d.Inspect(pngHead(size[0], size[1])); err == nil {
			t.Errorf("%v pixels passed", size)
		}
	}
}

func pngHead(width, height uint32) []byte {
	body := []byte("IHDR")
	body = binary.BigEndian.AppendUint32(body, width)
	body = binary.BigEndian.AppendUint32(body, height)
	body = append(body, 1, 0, 0, 0, 0)
	out := []byte("\x89PNG\r\n\x1A\n\x00\x00\x00\x0D")
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
}

func bmpHead(width, height uint32) []byte {
	out := append([]byte("BM"), make([]byte, 52)...)
	binary.LittleEndian.PutUint32(out[10:], 54)
	binary.LittleEndian.PutUint32(out[14:], 40)
	binary.LittleEndian.PutUint32(out[18:], width)
	binary.LittleEndian.PutUint32(out[22:], height)
	out[26], out[28] = 1, 24
	return out
}

// Any file may be cut or have bytes changed: an error or a picture, no panic.
func TestDamagedFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/pictures/*")
	if err != nil {
		t.Fatal(err)
	}
	d := picture.NewDecoder()
	d.Limits.Pixels = 1 << 18
	for _, file := range files {
		data := read(t, file)
		rapid.Check(t, func(t *rapid.T) {
			damaged := bytes.Clone(data)
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				damaged[rapid.IntRange(0, len(damaged)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
			damaged = damaged[:rapid.IntRange(0, len(damaged)).Draw(t, "length")]
			if p, err := d.Decode(damaged); err == nil && len(p.Pixels) != 3*p.Width*p.Height {
				t.Fatalf("%s: %d bytes for %d×%d", file, len(p.Pixels), p.Width, p.Height)
			}
		})
	}
}

// All eight orientations show the same cat: decoded whole, they are alike but
// for what the JPEG coder made of them.
func TestOrientationsAreAlike(t *testing.T) {
	d := picture.NewDecoder()
	first := decode(t, d, read(t, "testdata/pictures/jpeg_orientation_1.jpg"))
	for o := 2; o <= 8; o++ {
		p := decode(t, d, read(t, "testdata/pictures/jpeg_orientation_"+itoa(o)+".jpg"))
		if p.Width != 96 || p.Height != 64 {
			t.Fatalf("orientation %d: %d×%d", o, p.Width, p.Height)
		}
		if _, mean := apart(p.Pixels, first.Pixels); mean > 3 {
			t.Errorf("orientation %d: %.2f levels apart on average", o, mean)
		}
	}
}

// decode returns a picture that outlives the next call.
func decode(t testing.TB, d *picture.Decoder, data []byte) picture.Picture {
	t.Helper()
	p, err := d.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	p.Pixels = bytes.Clone(p.Pixels)
	return p
}

// The same Exif structure is read from PNG and WebP, where few look for it.
func TestOrientationInPNGAndWebP(t *testing.T) {
	exif := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00")
	png := read(t, "testdata/pictures/png_rgb.png")
	chunk := append([]byte("eXIf"), exif...)
	withExif := append([]byte{}, png[:33]...) // signature and IHDR
	withExif = binary.BigEndian.AppendUint32(withExif, uint32(len(exif)))
	withExif = append(withExif, chunk...)
	withExif = binary.BigEndian.AppendUint32(withExif, crc32.ChecksumIEEE(chunk))
	withExif = append(withExif, png[33:]...)

	webp := bytes.Clone(read(t, "testdata/pictures/webp_lossless.webp"))
	webp = append(webp, "EXIF"...)
	webp = binary.LittleEndian.AppendUint32(webp, uint32(len(exif)))
	webp = append(webp, exif...)
	binary.LittleEndian.PutUint32(webp[4:], uint32(len(webp)-8))

	d := picture.NewDecoder()
	for name, files := range map[string][2][]byte{
		"png":  {png, withExif},
		"webp": {read(t, "testdata/pictures/webp_lossless.webp"), webp},
	} {
		plain, turned := decode(t, d, files[0]), decode(t, d, files[1])
		if turned.Width != plain.Height || turned.Height != plain.Width {
			t.Fatalf("%s: %d×%d", name, turned.Width, turned.Height)
		}
		// Orientation 6: the stored left column, from bottom to top, is the top row.
		for x := range turned.Width {
			got, want := turned.Pixels[3*x:3*x+3], plain.Pixels[3*plain.Width*(plain.Height-1-x):][:3]
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: pixel %d is %v, want %v", name, x, got, want)
			}
		}
	}
}

// The first frame of an animation may cover a part of the picture.
func TestFirstFrameOnCanvas(t *testing.T) {
	var buf bytes.Buffer
	frame := image.NewPaletted(image.Rect(1, 2, 3, 4), color.Palette{color.RGBA{10, 20, 30, 255}})
	if err := gif.EncodeAll(&buf, &gif.GIF{
		Image: []*image.Paletted{frame}, Delay: []int{0},
		Config: image.Config{Width: 5, Height: 6, ColorModel: frame.Palette},
	}); err != nil {
		t.Fatal(err)
	}
	lossless := read(t, "testdata/pictures/webp_lossless.webp") // 96×64
	le24 := func(n int) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16)} }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	chunk := func(kind string, body []byte) []byte {
		out := binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body)))
		out = append(out, body...)
		return append(out, make([]byte, len(body)%2)...)
	}
	anmf := join(le24(2), le24(3), le24(95), le24(63), le24(100), []byte{0}, lossless[12:])
	body := join([]byte("WEBP"), chunk("VP8X", join([]byte{2, 0, 0, 0}, le24(119), le24(79))), chunk("ANIM", make([]byte, 6)), chunk("ANMF", anmf))

	d := picture.NewDecoder()
	d.Background = picture.Colour{1, 2, 3}
	still := decode(t, d, lossless)
	for name, c := range map[string]struct {
		data   []byte
		size   image.Point
		frame  image.Rectangle
		inside func(x, y int) []uint8
		around []uint8
	}{
		"gif":  {buf.Bytes(), image.Pt(5, 6), frame.Rect, func(int, int) []uint8 { return []uint8{10, 20, 30} }, []uint8{10, 20, 30}}, // the palette's first colour
		"webp": {chunk("RIFF", body), image.Pt(120, 80), image.Rect(4, 6, 100, 70), func(x, y int) []uint8 { return still.Pixels[3*(96*y+x):][:3] }, d.Background[:]},
	} {
		p := decode(t, d, c.data)
		if p.Width != c.size.X || p.Height != c.size.Y {
			t.Fatalf("%s: %d×%d", name, p.Width, p.Height)
		}
		for y := range p.Height {
			for x := range p.Width {
				want := c.around
				if at := image.Pt(x, y); at.In(c.frame) {
					want = c.inside(x-c.frame.Min.X, y-c.frame.Min.Y)
				}
				if got := p.Pixels[3*(p.Width*y+x):][:3]; !bytes.Equal(got, want) {
					t.Fatalf("%s: pixel %d,%d is %v, want %v", name, x, y, got, want)
				}
			}
		}
	}
}

func TestParseColour(t *testing.T) {
	for text, want := range map[string]picture.Colour{"#ffffff": {255, 255, 255}, "#102A3b": {16, 42, 59}, "#f0a": {255, 0, 170}} {
		if got, err := picture.ParseColour(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "white", "#12345", "#gggggg", "ffffff", "#ffffffff", "#+f+f+f", "# f f f"} {
		if got, err := picture.ParseColour(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestNormalise(t *testing.T) {
	mean, std, channels, _ := record.Normalisation("caffe")
	pre := record.Preprocessing{Mean: mean, Std: std, Channels: channels}
	got := make([]float32, 6)
	normaliser := picture.NewNormaliser(pre.Normalisation())
	normaliser.Apply(got, []uint8{10, 20, 30, 0, 128, 255})
	want := []float32{30 - 103.939, 20 - 116.779, 10 - 123.68, 255 - 103.939, 128 - 116.779, 0 - 123.68}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-4 {
			t.Errorf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
	mean, std, channels, _ = record.Normalisation("imagenet")
	pre = record.Preprocessing{Mean: mean, Std: std, Channels: channels}
	normaliser = picture.NewNormaliser(pre.Normalisation())
	normaliser.Apply(got, []uint8{0, 128, 255, 1, 2, 3})
	want = []float32{-2.117904, 0.205182, 2.64, -2.100779, -2.000700, -1.752157} // torchvision's ToTensor and Normalize
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 2e-6 {
			t.Errorf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/pictures/*")
	if err != nil {
		f.Fatal(err)
	}
	cases, err := filepath.Glob("testdata/cases/*.*")
	if err != nil {
		f.Fatal(err)
	}
	files = append(files, cases...)
	var seeds [][]byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, data)
	}
	budgettest.Seeds(f, 60, seeds...)
	d := picture.NewDecoder()
	d.Limits.Pixels = 1 << 18
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Within(t, len(data), func() {
			if p, err := d.Decode(data); err == nil && len(p.Pixels) != 3*p.Width*p.Height {
				t.Fatalf("%d bytes for %d×%d", len(p.Pixels), p.Width, p.Height)
			}
		})
	})
}

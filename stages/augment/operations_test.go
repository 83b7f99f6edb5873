package augment

import (
	"encoding/json"
	"image"
	"math"
	"os"
	"testing"
)

// reference is what Pillow and torchvision make of a picture; testdata/make.py
// made it.
type reference struct {
	Width, Height int
	Picture       []byte
	Operations    []struct {
		Name            string
		Argument        float64
		Pixels, Covered []byte
	}
}

func TestOperationsAreThoseOfPillowAndTorchvision(t *testing.T) {
	text, err := os.ReadFile("testdata/operations.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(text, &ref); err != nil {
		t.Fatal(err)
	}
	outside := fill{rule: "nearest"}
	seen := map[string]int{}
	for _, o := range ref.Operations {
		src, x := picture(ref), o.Argument
		allowed := 0 // levels
		var got *image.NRGBA
		switch o.Name {
		case "brighten":
			got, allowed = brighten(src, x), 1 // Pillow cuts fractions off
		case "contrast":
			got, allowed = contrast(src, x), 1
		case "saturate":
			got, allowed = saturate(src, x), 1
		case "sharpen":
			got, allowed = sharpen(src, x), 2 // and rounds the smooth picture by itself
		case "hue":
			got, allowed = turnHue(src, x), 1
		case "posterise":
			got = posterise(src, int(x))
		case "solarise":
			got = solarise(src, x)
		case "autocontrast":
			got, allowed = autoContrast(src), 1
		case "equalise":
			got = equalise(src)
		case "turn":
			got, allowed = warp(src, turn(x), outside), 1
		case "zoom":
			got, allowed = warp(src, affine{a: 1 / x, e: 1 / x}, outside), 1
		case "move":
			got = warp(src, affine{a: 1, c: -x, e: 1}, outside)
		default:
			t.Fatalf("no operation %q", o.Name)
		}
		compared := 0
		for i := range ref.Width * ref.Height {
			if o.Covered != nil && o.Covered[i] == 0 {
				continue
			}
			for c := range 3 {
				compared++
				if d := int(got.Pix[4*i+c]) - int(o.Pixels[3*i+c]); d > allowed || d < -allowed {
					t.Fatalf("%s %v: value %d of pixel %d,%d is %d, want %d", o.Name, x, c, i%ref.Width, i/ref.Width, got.Pix[4*i+c], o.Pixels[3*i+c])
				}
			}
		}
		if compared < 300 {
			t.Errorf("%s %v: %d values compared", o.Name, x, compared)
		}
		seen[o.Name]++
	}
	if len(seen) != 12 {
		t.Errorf("operations %v", seen)
	}
}

func picture(ref reference) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, ref.Width, ref.Height))
	for i := range ref.Width * ref.Height {
		copy(img.Pix[4*i:], ref.Picture[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img
}

// What stands beyond each edge.
func TestFill(t *testing.T) {
	row := image.NewNRGBA(image.Rect(0, 0, 4, 1))
	for x, level := range []uint8{10, 20, 30, 40} {
		copy(row.Pix[4*x:], []uint8{level, level, level, 255})
	}
	levels := func(img *image.NRGBA) (out [4]uint8) {
		for x := range out {
			out[x] = img.Pix[4*x]
		}
		return out
	}
	background := fill{rule: "background"}
	background.background.R = 99
	for _, c := range []struct {
		outside fill
		by      float64
		want    [4]uint8
	}{
		{fill{rule: "nearest"}, 2, [4]uint8{10, 10, 10, 20}},
		{fill{rule: "nearest"}, -3, [4]uint8{40, 40, 40, 40}},
		{fill{rule: "reflect"}, 2, [4]uint8{20, 10, 10, 20}},
		{fill{rule: "reflect"}, -3, [4]uint8{40, 40, 30, 20}},
		{fill{rule: "reflect"}, 9, [4]uint8{10, 10, 20, 30}},
		{background, 1, [4]uint8{99, 10, 20, 30}},
		{background, 0.5, [4]uint8{55, 15, 25, 35}},
	} {
		if got := levels(warp(row, affine{a: 1, c: -c.by, e: 1}, c.outside)); got != c.want {
			t.Errorf("%s, moved by %v: %v, want %v", c.outside.rule, c.by, got, c.want)
		}
	}
}

// The draws of a range are even, and cover all of it and nothing else.
func TestDraws(t *testing.T) {
	const n = 4000
	var low, high, sum float64 = 1, -1, 0
	heads := 0
	for i := range n {
		d := newDraw(7, "id", i)
		x := d.about(0, 1)
		low, high, sum = min(low, x), max(high, x), sum+x
		if d.chance(0.3) {
			heads++
		}
	}
	if low < -1 || high > 1 || low > -0.995 || high < 0.995 || math.Abs(sum/n) > 5/math.Sqrt(3*n) {
		t.Errorf("from %v to %v, mean %v", low, high, sum/n)
	}
	if p := float64(heads) / n; math.Abs(p-0.3) > 5*math.Sqrt(0.3*0.7/n) {
		t.Errorf("a chance of 0.3 came up in %v of draws", p)
	}
}

// Crops have the share and the proportions that were asked for.
func TestPart(t *testing.T) {
	const w, h = 200, 100
	area := 0.0
	for i := range 2000 {
		part := newDraw(1, "x", i).part(w, h, Range{0.1, 0.3}, Range{0.5, 2})
		share := float64(part.Dx()*part.Dy()) / (w * h)
		ratio := float64(part.Dx()) / float64(part.Dy())
		if !part.In(image.Rect(0, 0, w, h)) || share < 0.095 || share > 0.305 || ratio < 0.48 || ratio > 2.08 {
			t.Fatalf("part %v: share %.3f, ratio %.3f", part, share, ratio)
		}
		area += share
	}
	if mean := area / 2000; math.Abs(mean-0.2) > 0.01 {
		t.Errorf("mean share %v", mean)
	}
	// Nothing fits: the largest in the middle.
	if got := newDraw(1, "x", 1).part(10, 100, Range{1, 1}, Range{1, 1}); got != image.Rect(0, 45, 10, 55) {
		t.Errorf("part %v", got)
	}
}

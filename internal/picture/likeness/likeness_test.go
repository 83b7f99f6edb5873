package likeness_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"testing"

	"github.com/disintegration/imaging"
	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/dataset/emoji"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/picture/likeness"
)

// drawings are the pictures of one style of the built-in set, on white.
func drawings(t *testing.T, style string) (ids []string, pictures []*image.NRGBA) {
	t.Helper()
	set, err := emoji.Open()
	if err != nil {
		t.Fatal(err)
	}
	decoder := picture.NewDecoder()
	for _, row := range set.Rows() {
		if row.Domain != style {
			continue
		}
		data, err := set.Read(row.ID)
		if err != nil {
			t.Fatal(err)
		}
		rgb, err := decoder.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		img := image.NewNRGBA(image.Rect(0, 0, rgb.Width, rgb.Height))
		for i := range rgb.Width * rgb.Height {
			copy(img.Pix[4*i:], rgb.Pixels[3*i:3*i+3])
			img.Pix[4*i+3] = 255
		}
		ids, pictures = append(ids, row.ID), append(pictures, img)
	}
	return ids, pictures
}

func hash(t *testing.T, img image.Image) likeness.Hash {
	t.Helper()
	p := imaging.Clone(img)
	size := p.Bounds().Size()
	rgb := make([]byte, 0, 3*size.X*size.Y)
	for i := 0; i < len(p.Pix); i += 4 {
		rgb = append(rgb, p.Pix[i:i+3]...)
	}
	h, ok := likeness.Of(rgb, size.Y, size.X)
	if !ok {
		t.Fatal("a picture shows nothing")
	}
	return h
}

// A picture that was scaled, stored as JPEG or made brighter is near itself; other pictures are far, but for few.
func TestDistances(t *testing.T) {
	ids, all := drawings(t, "noto")
	hashes := make([]likeness.Hash, len(all))
	far := 0
	for i, p := range all {
		hashes[i] = hash(t, p)
		var stored bytes.Buffer
		if err := jpeg.Encode(&stored, p, &jpeg.Options{Quality: 60}); err != nil {
			t.Fatal(err)
		}
		lossy, err := jpeg.Decode(&stored)
		if err != nil {
			t.Fatal(err)
		}
		for what, changed := range map[string]image.Image{
			"scaled": imaging.Resize(p, 224, 224, imaging.Linear), "stored small": imaging.Resize(imaging.Resize(p, 56, 56, imaging.Linear), p.Bounds().Dx(), p.Bounds().Dy(), imaging.Linear),
			"JPEG": lossy, "darker": imaging.AdjustBrightness(p, -8), "contrast": imaging.AdjustContrast(p, -10),
		} {
			if d := hashes[i].Distance(hash(t, changed)); d > likeness.Near {
				t.Logf("%s, %s: %d bits differ", ids[i], what, d)
				far++
			}
		}
		if d := hashes[i].Distance(hash(t, imaging.FlipV(p))); d <= likeness.Near {
			t.Errorf("%s turned upside down: %d bits differ", ids[i], d)
		}
	}
	if far > len(all)*5/100 { // of mirror-symmetric drawings half of the bits are chance
		t.Errorf("%d of %d changed pictures are far from the pictures themselves", far, 5*len(all))
	}
	near, pairs := 0, 0
	for i := range hashes {
		for j := range i {
			pairs++
			if hashes[i].Distance(hashes[j]) <= likeness.Near {
				near++
				t.Logf("%s and %s: %d", ids[i], ids[j], hashes[i].Distance(hashes[j]))
			}
		}
	}
	if near > pairs/200 {
		t.Errorf("%d of %d pairs of different pictures are near", near, pairs)
	}
}

func TestFlatPicturesHaveNone(t *testing.T) {
	if _, ok := likeness.Of(bytes.Repeat([]byte{200, 201, 199}, 50*50), 50, 50); ok {
		t.Error("a flat picture has a hash")
	}
	if _, ok := likeness.Of(nil, 0, 0); ok {
		t.Error("no picture has a hash")
	}
}

func TestTextOfHashes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var h likeness.Hash
		for i := range h {
			h[i] = rapid.Uint64().Draw(rt, "word")
		}
		if got, ok := likeness.Parse(h.String()); !ok || got != h {
			rt.Fatalf("%v is read as %v, %v", h, got, ok)
		}
	})
	if _, ok := likeness.Parse("ab"); ok {
		t.Error("two digits are a hash")
	}
}

// The index finds all that are up to 15 bits away, as a search through all does.
func TestIndex(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	hashes := make([]likeness.Hash, 3000)
	for i := range hashes {
		for w := range hashes[i] {
			hashes[i][w] = random.Uint64()
		}
	}
	index := likeness.NewIndex(hashes)
	for range 500 {
		of := random.IntN(len(hashes))
		h, flips := hashes[of], random.IntN(16)
		for range flips {
			bit := random.IntN(likeness.Bits)
			h[bit/64] ^= 1 << (bit % 64)
		}
		if at, d := index.Nearest(h); at != of || d != h.Distance(hashes[of]) {
			t.Fatalf("found %d at %d, want %d", at, d, of)
		}
	}
	if at, _ := index.Nearest(likeness.Hash{}); at >= 0 {
		t.Errorf("found %d for a hash that is like none", at)
	}
}

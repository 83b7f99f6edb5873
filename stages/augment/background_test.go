package augment

import (
	"bytes"
	"image"
	"image/color"
	"testing"
)

// A disc before white gets another background and stays; a picture of noise, which has none, is left alone.
func TestBackground(t *testing.T) {
	disc, noise := image.NewNRGBA(image.Rect(0, 0, 32, 24)), image.NewNRGBA(image.Rect(0, 0, 32, 24))
	d := newDraw(1, "noise", 1)
	inside := func(x, y int) bool { return (x-16)*(x-16)+(y-12)*(y-12) <= 64 }
	for y := range 24 {
		for x := range 32 {
			c := color.NRGBA{R: 250, G: 255, B: 252, A: 255}
			if inside(x, y) {
				c = color.NRGBA{R: 255, G: 255, B: 255, A: 255} // a white hole in a ring is no background
				if (x-16)*(x-16)+(y-12)*(y-12) > 25 {
					c = color.NRGBA{R: 200, A: 255}
				}
			}
			disc.SetNRGBA(x, y, c)
			noise.SetNRGBA(x, y, color.NRGBA{R: uint8(d.IntN(256)), G: uint8(d.IntN(256)), B: uint8(d.IntN(256)), A: 255})
		}
	}
	for _, kind := range []string{"texture", "colour"} {
		b := Background{Kind: kind}
		got := b.paint(disc, newDraw(7, kind, 1))
		colours := map[color.NRGBA]bool{}
		for y := range 24 {
			for x := range 32 {
				if c := got.NRGBAAt(x, y); inside(x, y) && c != disc.NRGBAAt(x, y) {
					t.Fatalf("%s: the disc changed at %d, %d", kind, x, y)
				} else if !inside(x, y) {
					colours[c] = true
				}
			}
		}
		if kind == "colour" && len(colours) != 1 || kind == "texture" && len(colours) < 20 {
			t.Errorf("%s: %d colours", kind, len(colours))
		}
		if again := b.paint(disc, newDraw(7, kind, 1)); !bytes.Equal(again.Pix, got.Pix) {
			t.Errorf("%s: the same draw gives another picture", kind)
		}
		if other := b.paint(noise, newDraw(7, kind, 1)); !bytes.Equal(other.Pix, noise.Pix) {
			t.Errorf("%s: a picture without a background changed", kind)
		}
	}
}

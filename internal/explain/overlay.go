package explain

import (
	"image"
	"image/color"

	"github.com/disintegration/imaging"
)

// Overlay lays a heat map over a picture: warm colours where the heat is, the picture paled where it is not. The picture may have any
// size.
func Overlay(picture image.Image, m Map) *image.NRGBA {
	out := imaging.Clone(picture)
	width, height := out.Bounds().Dx(), out.Bounds().Dy()
	grey := image.NewGray(image.Rect(0, 0, m.Width, m.Height))
	for i, v := range m.Values {
		grey.Pix[i] = uint8(255*v + 0.5)
	}
	heat := imaging.Resize(grey, width, height, imaging.Linear)
	for i := 0; i < len(out.Pix); i += 4 {
		h := float64(heat.Pix[i]) / 255
		c := warm(h)
		share := 0.3 + 0.45*h
		for k, v := range []uint8{c.R, c.G, c.B} {
			out.Pix[i+k] = uint8((1-share)*float64(out.Pix[i+k]) + share*float64(v) + 0.5)
		}
	}
	return out
}

// warm is a scale of colours whose lightness grows evenly, from deep blue over red to yellow; it is told apart in grey too.
func warm(h float64) color.RGBA {
	stops := []color.RGBA{{24, 15, 92, 255}, {114, 31, 129, 255}, {205, 64, 113, 255}, {253, 150, 70, 255}, {252, 240, 120, 255}}
	at := min(max(h, 0), 1) * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	share := at - float64(i)
	mix := func(a, b uint8) uint8 { return uint8((1-share)*float64(a) + share*float64(b) + 0.5) }
	a, b := stops[i], stops[i+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

package augment

import (
	"image"
	"math"

	"github.com/disintegration/imaging"
)

// vary makes one copy of a picture: first its sound, if it is a spectrogram whose levels span so many decibels, and its background,
// then its geometry, then its colours, then what hides parts of it.
func (p Params) vary(src *image.NRGBA, d *draw, outside fill, decibels float64) *image.NRGBA {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	if p.Sound != nil && decibels > 0 {
		src = p.Sound.vary(src, d, decibels)
	}
	if p.Background != nil && d.chance(p.Background.Probability) {
		src = p.Background.paint(src, d)
	}
	if p.Crop != nil {
		part := d.part(w, h, p.Crop.Scale, p.Crop.Ratio)
		src = imaging.Resize(imaging.Crop(src, part), w, h, imaging.Linear)
	}
	src = p.move(src, d, outside)
	if p.Rand != nil {
		src = randAugment(src, *p.Rand, d, outside)
	}
	src = p.jitter(src, d)
	if p.Grey > 0 && d.chance(p.Grey) {
		src = imaging.Grayscale(src)
	}
	if p.Blur != nil && d.chance(p.Blur.Probability) {
		src = imaging.Blur(src, d.between(p.Blur.Sigma[0], p.Blur.Sigma[1]))
	}
	if p.Erase != nil && d.chance(p.Erase.Probability) {
		part := d.part(w, h, p.Erase.Scale, Range{1 / p.Erase.Ratio[1], 1 / p.Erase.Ratio[0]})
		src = imaging.Clone(src)
		for y := part.Min.Y; y < part.Max.Y; y++ {
			for x := part.Min.X; x < part.Max.X; x++ {
				src.SetNRGBA(x, y, outside.background)
			}
		}
	}
	return src
}

// move mirrors, turns, zooms and moves, all in one resampling.
func (p Params) move(src *image.NRGBA, d *draw, outside fill) *image.NRGBA {
	if (p.Flip == "horizontal" || p.Flip == "both") && d.chance(0.5) {
		src = imaging.FlipH(src)
	}
	if (p.Flip == "vertical" || p.Flip == "both") && d.chance(0.5) {
		src = imaging.FlipV(src)
	}
	m := identity
	if p.Rotate > 0 {
		m = m.after(turn(d.about(0, p.Rotate) * 2 * math.Pi))
	}
	if p.Zoom > 0 {
		factor := 1 / d.about(1, p.Zoom)
		m = m.after(affine{a: factor, e: factor})
	}
	if p.Translate > 0 {
		x, y := d.about(0, p.Translate), d.about(0, p.Translate)
		m = m.after(affine{a: 1, c: -x * float64(src.Rect.Dx()), e: 1, f: -y * float64(src.Rect.Dy())})
	}
	return warp(src, m, outside)
}

// jitter changes the colours in an order of chance, as torchvision's
// ColorJitter.
func (p Params) jitter(src *image.NRGBA, d *draw) *image.NRGBA {
	if p.Brightness == 0 && p.Contrast == 0 && p.Saturation == 0 && p.Hue == 0 {
		return src
	}
	for _, which := range d.Perm(4) {
		switch {
		case which == 0 && p.Brightness > 0:
			src = brighten(src, d.about(1, p.Brightness))
		case which == 1 && p.Contrast > 0:
			src = contrast(src, d.about(1, p.Contrast))
		case which == 2 && p.Saturation > 0:
			src = saturate(src, d.about(1, p.Saturation))
		case which == 3 && p.Hue > 0:
			src = turnHue(src, d.about(0, p.Hue))
		}
	}
	return src
}

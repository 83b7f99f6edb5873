package augment

import (
	"image"
	"image/color"
	"math"

	"github.com/disintegration/imaging"
)

// magnitudes is the number of steps of RandAugment's magnitude, as in
// torchvision: M from 0 to 30.
const magnitudes = 30

// randAugment does N operations of the paper's list, drawn with repetition,
// at magnitude M. The ranges are torchvision's.
func randAugment(src *image.NRGBA, p Rand, d *draw, outside fill) *image.NRGBA {
	share := float64(p.M) / magnitudes
	w, h := float64(src.Rect.Dx()), float64(src.Rect.Dy())
	for range p.N {
		operation := d.IntN(14)
		way := 1.0
		if d.chance(0.5) {
			way = -1
		}
		switch operation {
		case 0: // identity
		case 1:
			src = warp(src, affine{a: 1, b: -way * 0.3 * share, e: 1}, outside)
		case 2:
			src = warp(src, affine{a: 1, d: -way * 0.3 * share, e: 1}, outside)
		case 3:
			src = warp(src, affine{a: 1, c: -math.Trunc(way * 150. / 331 * w * share), e: 1}, outside)
		case 4:
			src = warp(src, affine{a: 1, e: 1, f: -math.Trunc(way * 150. / 331 * h * share)}, outside)
		case 5:
			src = warp(src, turn(way*share*math.Pi/6), outside)
		case 6:
			src = brighten(src, 1+way*0.9*share)
		case 7:
			src = saturate(src, 1+way*0.9*share)
		case 8:
			src = contrast(src, 1+way*0.9*share)
		case 9:
			src = sharpen(src, 1+way*0.9*share)
		case 10:
			src = posterise(src, 8-int(math.Round(float64(p.M)/(magnitudes/4.))))
		case 11:
			src = solarise(src, 255*(1-share))
		case 12:
			src = autoContrast(src)
		case 13:
			src = equalise(src)
		}
	}
	return src
}

// sharpen moves each inner pixel away from the smooth of its neighbourhood
// (factor > 1) or towards it (< 1), as Pillow's ImageEnhance.Sharpness.
func sharpen(src *image.NRGBA, factor float64) *image.NRGBA {
	smooth := imaging.Convolve3x3(src, [9]float64{1, 1, 1, 1, 5, 1, 1, 1, 1}, &imaging.ConvolveOptions{Normalize: true})
	dst := imaging.Clone(src)
	w, h := src.Rect.Dx(), src.Rect.Dy()
	for y := 1; y < h-1; y++ {
		for x := 1; x < w-1; x++ {
			for i := y*dst.Stride + 4*x; i < y*dst.Stride+4*x+3; i++ {
				s := float64(smooth.Pix[i])
				dst.Pix[i] = level(s + factor*(float64(src.Pix[i])-s))
			}
		}
	}
	return dst
}

// posterise keeps the highest bits of each value.
func posterise(src *image.NRGBA, bits int) *image.NRGBA {
	mask := uint8(0xff) << (8 - min(max(bits, 0), 8))
	return imaging.AdjustFunc(src, func(c color.NRGBA) color.NRGBA {
		return color.NRGBA{c.R & mask, c.G & mask, c.B & mask, 255}
	})
}

// solarise inverts the values at or above a threshold.
func solarise(src *image.NRGBA, threshold float64) *image.NRGBA {
	flip := func(v uint8) uint8 {
		if float64(v) >= threshold {
			return 255 - v
		}
		return v
	}
	return imaging.AdjustFunc(src, func(c color.NRGBA) color.NRGBA {
		return color.NRGBA{flip(c.R), flip(c.G), flip(c.B), 255}
	})
}

// autoContrast stretches each channel to the whole range.
func autoContrast(src *image.NRGBA) *image.NRGBA {
	return byChannel(src, func(count [256]int) (table [256]uint8) {
		low, high := 0, 255
		for low < 255 && count[low] == 0 {
			low++
		}
		for high > 0 && count[high] == 0 {
			high--
		}
		for v := range table {
			table[v] = uint8(v)
			if high > low {
				table[v] = level(float64(v-low) * 255 / float64(high-low))
			}
		}
		return table
	})
}

// equalise makes the histogram of each channel flat, as Pillow's
// ImageOps.equalize.
func equalise(src *image.NRGBA) *image.NRGBA {
	return byChannel(src, func(count [256]int) (table [256]uint8) {
		sum, last := 0, 0
		for v, n := range count {
			sum += n
			if n > 0 {
				last = v
			}
		}
		step := (sum - count[last]) / 255
		n := step / 2
		for v := range table {
			table[v] = uint8(v)
			if step > 0 {
				table[v] = uint8(min(n/step, 255))
			}
			n += count[v]
		}
		return table
	})
}

// byChannel maps the values of each channel by a table made of its histogram.
func byChannel(src *image.NRGBA, make func(count [256]int) [256]uint8) *image.NRGBA {
	dst := imaging.Clone(src)
	for channel := range 3 {
		var count [256]int
		for i := channel; i < len(src.Pix); i += 4 {
			count[src.Pix[i]]++
		}
		table := make(count)
		for i := channel; i < len(dst.Pix); i += 4 {
			dst.Pix[i] = table[src.Pix[i]]
		}
	}
	return dst
}

package augment

import (
	"image"
	"image/color"
	"math"

	"github.com/disintegration/imaging"
)

// luma is the grey of a colour (ITU-R BT.601), 0 … 255.
func luma(c color.NRGBA) float64 {
	return 0.299*float64(c.R) + 0.587*float64(c.G) + 0.114*float64(c.B)
}

// meanLuma is the mean grey of a picture.
func meanLuma(src *image.NRGBA) float64 {
	sum := 0.0
	for i := 0; i < len(src.Pix); i += 4 {
		sum += luma(color.NRGBA{src.Pix[i], src.Pix[i+1], src.Pix[i+2], 255})
	}
	return sum / float64(max(len(src.Pix)/4, 1))
}

// brighten multiplies every value.
func brighten(src *image.NRGBA, factor float64) *image.NRGBA {
	return blend(src, factor, func(color.NRGBA) (r, g, b float64) { return 0, 0, 0 })
}

// contrast spreads values about the mean grey.
func contrast(src *image.NRGBA, factor float64) *image.NRGBA {
	mean := math.Round(meanLuma(src))
	return blend(src, factor, func(color.NRGBA) (r, g, b float64) { return mean, mean, mean })
}

// saturate spreads the colours of each pixel about its grey.
func saturate(src *image.NRGBA, factor float64) *image.NRGBA {
	return blend(src, factor, func(c color.NRGBA) (r, g, b float64) {
		grey := math.Round(luma(c))
		return grey, grey, grey
	})
}

// blend gives base + factor · (pixel − base) for each pixel, as Pillow's
// ImageEnhance does.
func blend(src *image.NRGBA, factor float64, base func(color.NRGBA) (r, g, b float64)) *image.NRGBA {
	return imaging.AdjustFunc(src, func(c color.NRGBA) color.NRGBA {
		r, g, b := base(c)
		return color.NRGBA{
			level(r + factor*(float64(c.R)-r)),
			level(g + factor*(float64(c.G)-g)),
			level(b + factor*(float64(c.B)-b)), 255,
		}
	})
}

// turnHue turns the hue by a share of the colour circle, at the same value
// and saturation (HSV).
func turnHue(src *image.NRGBA, share float64) *image.NRGBA {
	return imaging.AdjustFunc(src, func(c color.NRGBA) color.NRGBA {
		r, g, b := float64(c.R), float64(c.G), float64(c.B)
		high, low := max(r, g, b), min(r, g, b)
		if high == low {
			return c
		}
		spread := high - low
		var hue float64 // in sixths of the circle
		switch high {
		case r:
			hue = (g - b) / spread
		case g:
			hue = 2 + (b-r)/spread
		default:
			hue = 4 + (r-g)/spread
		}
		if hue += 6 * share; hue < 0 {
			hue += 6
		}
		channel := func(shift float64) uint8 {
			k := hue + shift
			for k >= 6 {
				k -= 6
			}
			return level(high - spread*max(0, min(k, 4-k, 1)))
		}
		return color.NRGBA{channel(5), channel(3), channel(1), 255}
	})
}

package tiff

import (
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/picture/jpeg"
)

// colours turn samples into RGB.
type colours struct {
	photometric int
	palette     [][3]uint8
	alpha       int  // which sample is the opacity; −1 for none
	multiplied  bool // colours are multiplied by it already
	background  [3]uint8

	// Of YCbCr: what RGB is of luma and chroma, and the levels that stand for black and white (luma), none and full
	// (chroma).
	coefficients [3]float32
	levels       [6]float32

	jpeg jpeg.Decoder
}

// colours finds out what the samples mean.
func (p *picture) colours(d *directory, background [3]uint8) (*colours, error) {
	c := &colours{photometric: p.photometric, alpha: -1, background: background}
	colour := 1
	switch p.photometric {
	case whiteIsZero, blackIsZero:
	case rgb, yCbCr:
		colour = 3
	case cmyk:
		colour = 4
	case palette:
		entries := d.all(tagColourMap)
		n := len(entries) / 3
		if n == 0 || p.bits > 16 {
			return nil, errors.New("TIFF: the palette is missing")
		}
		// Levels of 16 bits, but some writers have them of 8.
		shift := 0
		for _, v := range entries {
			if v > 255 {
				shift = 8
			}
		}
		for i := range n {
			c.palette = append(c.palette, [3]uint8{uint8(entries[i] >> shift), uint8(entries[n+i] >> shift), uint8(entries[2*n+i] >> shift)})
		}
	case -1:
		return nil, errors.New("TIFF: the colour model is not said")
	case 8, 9, 10:
		return nil, errors.New("TIFF: the colour model Lab is not supported")
	default:
		return nil, fmt.Errorf("TIFF: colour model %d is not supported", p.photometric)
	}
	if p.samples < colour {
		return nil, fmt.Errorf("TIFF: %d samples for %d colours", p.samples, colour)
	}
	for i, meaning := range p.extra {
		if (meaning == 1 || meaning == 2) && colour+i < p.samples {
			c.alpha, c.multiplied = colour+i, meaning == 1
			break
		}
	}
	if p.photometric == yCbCr {
		c.coefficients = [3]float32{0.299, 0.587, 0.114}
		c.levels = [6]float32{0, 255, 128, 255, 128, 255}
		for i, v := range d.fractions(tagCoefficients, 3) {
			c.coefficients[i] = float32(v)
		}
		for i, v := range d.fractions(tagReference, 6) {
			c.levels[i] = float32(v)
		}
		if c.coefficients[1] == 0 || c.levels[1] == c.levels[0] || c.levels[3] == c.levels[2] || c.levels[5] == c.levels[4] {
			return nil, errors.New("TIFF: malformed coefficients of YCbCr")
		}
	}
	return c, nil
}

// convert turns pixels of so many samples, each from 0 to 255, into RGB.
func (c *colours) convert(out []uint8, samples []float32, perPixel int) {
	for i := 0; i < len(out); i += 3 {
		s := samples[i/3*perPixel:][:perPixel]
		var r, g, b float32
		switch c.photometric {
		case whiteIsZero:
			r = 255 - s[0]
			g, b = r, r
		case blackIsZero:
			r, g, b = s[0], s[0], s[0]
		case rgb:
			r, g, b = s[0], s[1], s[2]
		case cmyk: // as Pillow has it
			white := 255 - s[3]
			r, g, b = white-s[0]*white/255, white-s[1]*white/255, white-s[2]*white/255
		case palette:
			var entry [3]uint8
			if at := int(s[0]); at < len(c.palette) {
				entry = c.palette[at]
			}
			r, g, b = float32(entry[0]), float32(entry[1]), float32(entry[2])
		case yCbCr:
			r, g, b = c.fromYCbCr(s[0], s[1], s[2])
		}
		if c.alpha >= 0 {
			a := s[c.alpha] / 255
			under := 1 - a
			if c.multiplied {
				a = 1
			}
			r = r*a + float32(c.background[0])*under
			g = g*a + float32(c.background[1])*under
			b = b*a + float32(c.background[2])*under
		}
		out[i], out[i+1], out[i+2] = level(r), level(g), level(b)
	}
}

// fromYCbCr is TIFF 6.0, section 21.
func (c *colours) fromYCbCr(y, cb, cr float32) (r, g, b float32) {
	luma := (y - c.levels[0]) * 255 / (c.levels[1] - c.levels[0])
	blue := (cb - c.levels[2]) * 127 / (c.levels[3] - c.levels[2])
	red := (cr - c.levels[4]) * 127 / (c.levels[5] - c.levels[4])
	r = red*(2-2*c.coefficients[0]) + luma
	b = blue*(2-2*c.coefficients[2]) + luma
	g = (luma - c.coefficients[2]*b - c.coefficients[0]*r) / c.coefficients[1]
	return r, g, b
}

func level(v float32) uint8 {
	return uint8(math.RoundToEven(float64(max(0, min(v, 255)))))
}

// decodeSubsampled decodes a strip or tile of YCbCr whose chroma is stored once for several pixels.
func (p *picture) decodeSubsampled(dst []uint8, data []byte, b block, c *colours, rows int) error {
	h, v := p.subH, p.subV
	if p.planar || p.bits != 8 || h < 1 || v < 1 {
		return errors.New("TIFF: chroma of lower resolution in planes, or of other than 8 bits, is not supported")
	}
	across, unit := (p.blockW+h-1)/h, h*v+2
	down := (rows + v - 1) / v
	raw, err := p.unpack(data, b.index, across*down*unit, rows)
	if err != nil {
		return err
	}
	columns := min(p.blockW, p.width-b.x)
	for y := range rows {
		for x := range columns {
			u := raw[((y/v)*across+x/h)*unit:][:unit]
			red, green, blue := c.fromYCbCr(float32(u[(y%v)*h+x%h]), float32(u[h*v]), float32(u[h*v+1]))
			at := 3 * ((b.y+y)*p.width + b.x + x)
			dst[at], dst[at+1], dst[at+2] = level(red), level(green), level(blue)
		}
	}
	return nil
}

package augment

import (
	"image"
	"image/color"
	"math"
)

// affine maps a point of the result, measured in pixels from the picture's
// centre, to the point of the source that stands there: (a·x + b·y + c,
// d·x + e·y + f).
type affine struct{ a, b, c, d, e, f float64 }

var identity = affine{a: 1, e: 1}

// after is the map that first does m, then n.
func (n affine) after(m affine) affine {
	return affine{
		n.a*m.a + n.b*m.d, n.a*m.b + n.b*m.e, n.a*m.c + n.b*m.f + n.c,
		n.d*m.a + n.e*m.d, n.d*m.b + n.e*m.e, n.d*m.c + n.e*m.f + n.f,
	}
}

// turn rotates the picture by an angle in radians.
func turn(angle float64) affine {
	sin, cos := math.Sincos(angle)
	return affine{a: cos, b: sin, d: -sin, e: cos}
}

// fill says what stands outside of a picture.
type fill struct {
	rule       string // nearest, reflect or background
	background color.NRGBA
}

// warp draws the picture through a map, between pixels bilinearly.
func warp(src *image.NRGBA, m affine, outside fill) *image.NRGBA {
	if m == identity {
		return src
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	dst := image.NewNRGBA(image.Rect(0, 0, w, h))
	cx, cy := float64(w-1)/2, float64(h-1)/2
	pixel := func(x, y int) (r, g, b float64) {
		if x < 0 || y < 0 || x >= w || y >= h {
			switch outside.rule {
			case "background":
				return float64(outside.background.R), float64(outside.background.G), float64(outside.background.B)
			case "reflect":
				x, y = mirror(x, w), mirror(y, h)
			default:
				x, y = min(max(x, 0), w-1), min(max(y, 0), h-1)
			}
		}
		p := src.Pix[y*src.Stride+4*x:]
		return float64(p[0]), float64(p[1]), float64(p[2])
	}
	for y := range h {
		for x := range w {
			dx, dy := float64(x)-cx, float64(y)-cy
			sx, sy := m.a*dx+m.b*dy+m.c+cx, m.d*dx+m.e*dy+m.f+cy
			fx, fy := math.Floor(sx), math.Floor(sy)
			u, v := sx-fx, sy-fy
			x0, y0 := int(fx), int(fy)
			r00, g00, b00 := pixel(x0, y0)
			r10, g10, b10 := pixel(x0+1, y0)
			r01, g01, b01 := pixel(x0, y0+1)
			r11, g11, b11 := pixel(x0+1, y0+1)
			out := dst.Pix[y*dst.Stride+4*x:]
			out[0] = level((r00*(1-u)+r10*u)*(1-v) + (r01*(1-u)+r11*u)*v)
			out[1] = level((g00*(1-u)+g10*u)*(1-v) + (g01*(1-u)+g11*u)*v)
			out[2] = level((b00*(1-u)+b10*u)*(1-v) + (b01*(1-u)+b11*u)*v)
			out[3] = 255
		}
	}
	return dst
}

// mirror folds a coordinate back into 0 … n-1, edges repeated: b a | a b c | c b.
func mirror(x, n int) int {
	x %= 2 * n
	if x < 0 {
		x += 2 * n
	}
	if x >= n {
		x = 2*n - 1 - x
	}
	return x
}

// level rounds to the nearest of 0 … 255.
func level(x float64) uint8 { return uint8(math.Round(min(max(x, 0), 255))) }

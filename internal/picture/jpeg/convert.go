package jpeg

import (
	"image"

	"github.com/tlpipe/tlpipe/internal/picture/sample"
)

// space is what the components mean.
type space int

const (
	spaceGrey space = iota
	spaceYCbCr
	spaceRGB
	spaceCMYK
	spaceYCCK
)

// space decides as libjpeg does: by the Adobe segment, the JFIF segment, the
// names of the components.
func (f *frame) space() space {
	switch len(f.parts) {
	case 1:
		return spaceGrey
	case 3:
		switch {
		case f.jfif:
			return spaceYCbCr
		case f.adobe && f.adobeTransform == 0:
			return spaceRGB
		case f.adobe:
			return spaceYCbCr
		case f.parts[0].id == 'R' && f.parts[1].id == 'G' && f.parts[2].id == 'B':
			return spaceRGB
		}
		return spaceYCbCr
	}
	if f.adobe && f.adobeTransform != 0 {
		return spaceYCCK
	}
	return spaceCMYK
}

// convert appends the region's pixels to dst.
func (d *Decoder) convert(dst []uint8, region image.Rectangle) []uint8 {
	f := &d.frame
	size := 3 * region.Dx() * region.Dy()
	dst = grow(dst, size)
	space := f.space()
	var rows [4][]uint8
	for y := region.Min.Y; y < region.Max.Y; y++ {
		for i := range f.parts {
			rows[i] = d.row(i, y, region.Min.X, region.Max.X)
		}
		out := dst[3*(y-region.Min.Y)*region.Dx():][:3*region.Dx()]
		switch space {
		case spaceGrey:
			for x, v := range rows[0] {
				out[3*x], out[3*x+1], out[3*x+2] = v, v, v
			}
		case spaceRGB:
			for x := range rows[0] {
				out[3*x], out[3*x+1], out[3*x+2] = rows[0][x], rows[1][x], rows[2][x]
			}
		case spaceYCbCr:
			sample.RGB(out, rows[0], rows[1], rows[2])
		case spaceYCCK:
			sample.RGB(out, rows[0], rows[1], rows[2])
			printed(out, rows[3])
		case spaceCMYK:
			for x := range rows[0] {
				out[3*x], out[3*x+1], out[3*x+2] = 255-rows[0][x], 255-rows[1][x], 255-rows[2][x]
			}
			printed(out, rows[3])
		}
	}
	return dst
}

// row returns samples left to right of component i at full resolution.
func (d *Decoder) row(i, y, left, right int) []uint8 {
	f := &d.frame
	c := &f.parts[i]
	h, v := f.maxH/c.h, f.maxV/c.v
	width, height := ceil(f.width, h), ceil(f.height, v)
	at := func(y int) []uint8 { // the row of samples that are kept
		y = min(max(y, 0), height-1) - 8*c.top
		return c.samples[y*c.stride : (y+1)*c.stride]
	}
	if h == 1 && v == 1 {
		return at(y)[left-8*c.left : right-8*c.left]
	}
	// The rows above and below a pair are its neighbours in turn.
	own, near := at(y/v), at(y/v-1)
	if y%v == 1 {
		near = at(y/v + 1)
	}
	out := grow(d.rows[i], 2*f.width+2)
	d.rows[i] = out
	switch {
	case h == 1 && v == 2:
		out = out[:right-left]
		own, near = own[left-8*c.left:][:right-left], near[left-8*c.left:][:right-left]
		bias := 1 + uint16(y%2)
		for x := range out {
			out[x] = uint8((3*uint16(own[x]) + uint16(near[x]) + bias) >> 2)
		}
		return out
	case h == 2 && v <= 2 && width > 2:
		from, to := left/2, (right-1)/2+1 // samples
		n := to - from
		// One sample more on either side; at the edges the last one again.
		d.sums = grow(d.sums, n+2)
		sums := d.sums
		inside := func(x int) int { return min(max(x, 0), width-1) - 8*c.left }
		if v == 1 {
			for j, s := range own[from-8*c.left : to-8*c.left] {
				sums[j+1] = int16(s)
			}
			sums[0], sums[n+1] = int16(own[inside(from-1)]), int16(own[inside(to)])
			sample.Double(out[:2*n], sums, 1, 2, 2)
		} else {
			sample.Weigh(sums[1:n+1], own[from-8*c.left:to-8*c.left], near[from-8*c.left:to-8*c.left])
			sum := func(x int) int16 { return 3*int16(own[x]) + int16(near[x]) }
			sums[0], sums[n+1] = sum(inside(from-1)), sum(inside(to))
			sample.Double(out[:2*n], sums, 8, 7, 4)
		}
		return out[left-2*from : right-2*from]
	default: // as libjpeg has no filter for it: repeated
		out = out[:right-left]
		for x := range out {
			out[x] = own[(left+x)/h-8*c.left]
		}
		return out
	}
}

// printed turns inks to light: the row holds cyan, magenta and yellow as they
// are, black is stored inverted, as Adobe does.
func printed(row, black []uint8) {
	for x, light := range black {
		for i := 3 * x; i < 3*x+3; i++ {
			product := uint32(row[i])*uint32(light) + 128
			row[i] = light - uint8((product>>8+product)>>8)
		}
	}
}

package picture

import (
	"encoding/binary"
	"image"
)

// Orientation is the value of the Exif tag of that name, 1 to 8: how the
// stored picture has to be turned to stand upright. 0 is taken for 1.
type Orientation uint8

// Its three bits, counted from 0: whether the stored picture is to be
// transposed last, and mirrored first.
func (o Orientation) parts() (mirrorX, mirrorY, transpose bool) {
	switch o {
	case 2:
		return true, false, false
	case 3:
		return true, true, false
	case 4:
		return false, true, false
	case 5:
		return false, false, true
	case 6:
		return false, true, true
	case 7:
		return true, true, true
	case 8:
		return true, false, true
	}
	return false, false, false
}

func (o Orientation) upright() bool { return o < 2 || o > 8 }

// size is the bounds of the upright picture.
func (o Orientation) size(width, height int) image.Rectangle {
	if _, _, transpose := o.parts(); transpose {
		width, height = height, width
	}
	return image.Rect(0, 0, width, height)
}

// stored maps a region of the upright picture to the stored one, whose size is
// width×height.
func (o Orientation) stored(r image.Rectangle, width, height int) image.Rectangle {
	mirrorX, mirrorY, transpose := o.parts()
	if transpose {
		r = image.Rect(r.Min.Y, r.Min.X, r.Max.Y, r.Max.X)
	}
	if mirrorX {
		r.Min.X, r.Max.X = width-r.Max.X, width-r.Min.X
	}
	if mirrorY {
		r.Min.Y, r.Max.Y = height-r.Max.Y, height-r.Min.Y
	}
	return r
}

// turn returns the upright picture, in dst's memory if that suffices.
func (o Orientation) turn(dst []uint8, p Picture) Picture {
	mirrorX, mirrorY, transpose := o.parts()
	size := o.size(p.Width, p.Height)
	out := Picture{Width: size.Dx(), Height: size.Dy(), Pixels: grow(dst, len(p.Pixels))}
	// The step, in the stored pixels, that goes with one to the right and one
	// down in the upright ones.
	right, down, start := 3, 3*p.Width, 0
	if mirrorX {
		start += 3 * (p.Width - 1)
		right = -right
	}
	if mirrorY {
		start += 3 * p.Width * (p.Height - 1)
		down = -down
	}
	if transpose {
		right, down = down, right
	}
	at := 0
	for y := range out.Height {
		from := start + y*down
		for range out.Width {
			out.Pixels[at], out.Pixels[at+1], out.Pixels[at+2] = p.Pixels[from], p.Pixels[from+1], p.Pixels[from+2]
			at += 3
			from += right
		}
	}
	return out
}

func grow(s []uint8, n int) []uint8 {
	if cap(s) < n {
		return make([]uint8, n)
	}
	return s[:n]
}

// exifOrientation finds the orientation in a TIFF structure, such as an Exif
// segment holds. What is malformed counts as upright.
func exifOrientation(tiff []byte) Orientation {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if tiff[0] == 'M' {
		order = binary.BigEndian
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 1
	}
	entries := uint64(order.Uint16(tiff[at:]))
	for i := range entries {
		e := at + 2 + 12*i
		if e+12 > uint64(len(tiff)) {
			return 1
		}
		const orientation, short = 0x0112, 3
		if order.Uint16(tiff[e:]) == orientation && order.Uint16(tiff[e+2:]) == short {
			if v := order.Uint16(tiff[e+8:]); v >= 1 && v <= 8 {
				return Orientation(v)
			}
			return 1
		}
	}
	return 1
}

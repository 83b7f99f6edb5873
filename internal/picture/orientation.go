package picture

import (
	"bytes"
	"encoding/binary"
	"image"
)

// Orientation is the value of the Exif tag of that name, 1 to 8: how the
// stored picture has to be turned to stand upright. 0 is taken for 1.
type Orientation uint8

// Sideways tells whether width and height change places.
func (o Orientation) Sideways() bool {
	_, _, transpose := o.parts()
	return transpose
}

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

// orientationOf is that of the Exif data or, if they do not tell any, of the XMP data; upright if neither does. Pillow
// goes by the same order.
func orientationOf(exif, xmp []byte) Orientation {
	if o := exifOrientation(exif); o != 0 {
		return o
	}
	return max(xmpOrientation(xmp), 1)
}

// exifOrientation finds the orientation in a TIFF structure, such as an Exif
// segment holds; 0 if there is none. What is malformed counts as none.
func exifOrientation(tiff []byte) Orientation {
	tiff = bytes.TrimPrefix(tiff, []byte("Exif\x00\x00")) // some writers of PNG keep what JPEG has before it
	if len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if tiff[0] == 'M' {
		order = binary.BigEndian
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	entries := uint64(order.Uint16(tiff[at:]))
	for i := range entries {
		e := at + 2 + 12*i
		if e+12 > uint64(len(tiff)) {
			return 0
		}
		const orientation, short, long = 0x0112, 3, 4
		if order.Uint16(tiff[e:]) != orientation {
			continue
		}
		value := uint32(0)
		switch order.Uint16(tiff[e+2:]) {
		case short:
			value = uint32(order.Uint16(tiff[e+8:]))
		case long:
			value = order.Uint32(tiff[e+8:])
		}
		return known(value)
	}
	return 0
}

// xmpOrientation finds tiff:Orientation in XMP data, as an attribute or as an element; 0 if there is none.
func xmpOrientation(xml []byte) Orientation {
	const name = "tiff:Orientation"
	at := bytes.Index(xml, []byte(name))
	if at < 0 {
		return 0
	}
	rest := bytes.TrimLeft(xml[at+len(name):], " \t\r\n=>\"'")
	if len(rest) < 2 || rest[1] >= '0' && rest[1] <= '9' {
		return 0
	}
	return known(uint32(rest[0]) - '0')
}

// known is the orientation of that number, 0 if there is none.
func known(value uint32) Orientation {
	if value < 1 || value > 8 {
		return 0
	}
	return Orientation(value)
}

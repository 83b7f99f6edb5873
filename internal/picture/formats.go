package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"io"

	"github.com/disintegration/imaging"
)

// plainFormat is a format that a decoder of the usual form reads.
func plainFormat(name string, config func(io.Reader) (image.Config, error), decode func(io.Reader) (image.Image, error), orientation func(data []byte) Orientation) format {
	return format{name, func(data []byte) (Info, error) {
		c, err := config(bytes.NewReader(data))
		return Info{Width: c.Width, Height: c.Height, Orientation: orientation(data)}, err
	}, func(dst []uint8, data []byte, info Info, background Colour) ([]uint8, error) {
		img, err := decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return onCanvas(dst, img, info, background)
	}}
}

func upright([]byte) Orientation { return 1 }

func pngOrientation(data []byte) Orientation { return exifOrientation(pngChunk(data, "eXIf")) }

// pngChunk returns the body of the first chunk of that kind, nil if there is
// none.
func pngChunk(data []byte, kind string) []byte {
	for at := 8; at+12 <= len(data); {
		length := int(binary.BigEndian.Uint32(data[at:]))
		if length > len(data)-at-12 {
			return nil
		}
		if string(data[at+4:at+8]) == kind {
			return data[at+8 : at+8+length]
		}
		at += 12 + length
	}
	return nil
}

// onCanvas flattens an image that may cover only a part of the picture; the
// rest is background.
func onCanvas(dst []uint8, img image.Image, info Info, background Colour) ([]uint8, error) {
	bounds, canvas := img.Bounds(), image.Rect(0, 0, info.Width, info.Height)
	if bounds == canvas {
		return flatten(dst, img, background), nil
	}
	if !bounds.In(canvas) {
		return nil, errors.New("a frame reaches beyond the picture")
	}
	dst = grow(dst, 3*info.Width*info.Height)
	for i := 0; i < len(dst); i += 3 {
		copy(dst[i:i+3], background[:])
	}
	frame := flatten(nil, img, background)
	for y := range bounds.Dy() {
		at := 3 * ((bounds.Min.Y+y)*info.Width + bounds.Min.X)
		copy(dst[at:], frame[3*y*bounds.Dx():3*(y+1)*bounds.Dx()])
	}
	return dst, nil
}

// pnmFormat is binary PGM and PPM of 8 bits a sample (netpbm's P5 and P6).
func pnmFormat() format {
	return format{"pnm", func(data []byte) (Info, error) {
		width, height, _, err := pnmHeader(data)
		return Info{Width: width, Height: height}, err
	}, func(dst []uint8, data []byte, info Info, _ Colour) ([]uint8, error) {
		_, _, samples, err := pnmHeader(data)
		if err != nil {
			return nil, err
		}
		pixels := info.Width * info.Height
		dst = grow(dst, 3*pixels)
		if data[1] == '6' {
			if len(samples) < 3*pixels {
				return nil, errors.New("PNM: the data ends early")
			}
			copy(dst, samples)
			return dst, nil
		}
		if len(samples) < pixels {
			return nil, errors.New("PNM: the data ends early")
		}
		for i, v := range samples[:pixels] {
			dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
		}
		return dst, nil
	}}
}

// pnmHeader reads "P6 width height 255" and returns what follows.
func pnmHeader(data []byte) (width, height int, samples []byte, err error) {
	malformed := errors.New("PNM: malformed header")
	var numbers [3]int
	at := 2
	for i := range numbers {
		for at < len(data) && (isSpace(data[at]) || data[at] == '#') {
			if data[at] == '#' {
				for at < len(data) && data[at] != '\n' {
					at++
				}
				continue
			}
			at++
		}
		digits := 0
		for ; at < len(data) && data[at] >= '0' && data[at] <= '9' && digits < 9; digits++ {
			numbers[i] = 10*numbers[i] + int(data[at]-'0')
			at++
		}
		if digits == 0 || at >= len(data) || !isSpace(data[at]) {
			return 0, 0, nil, malformed
		}
	}
	if numbers[2] != 255 {
		return 0, 0, nil, errors.New("PNM: only samples of 0 to 255 are supported")
	}
	return numbers[0], numbers[1], data[at+1:], nil
}

// flatten turns a decoded image into RGB over the background. 16-bit samples
// lose their lower byte.
func flatten(dst []uint8, img image.Image, background Colour) []uint8 {
	bounds := img.Bounds()
	width, height := bounds.Dx(), bounds.Dy()
	dst = grow(dst, 3*width*height)
	out := Picture{Width: width, Height: height, Pixels: dst}
	switch img := img.(type) {
	case *image.Gray:
		for y := range height {
			row := out.row(y)
			for x, v := range img.Pix[y*img.Stride:][:width] {
				row[3*x], row[3*x+1], row[3*x+2] = v, v, v
			}
		}
	case *image.Paletted:
		var table [256]Colour
		for i, c := range img.Palette {
			n := color.NRGBAModel.Convert(c).(color.NRGBA)
			over(table[i][:], n.R, n.G, n.B, n.A, background)
		}
		for y := range height {
			row := out.row(y)
			for x, v := range img.Pix[y*img.Stride:][:width] {
				copy(row[3*x:3*x+3], table[v][:])
			}
		}
	case *image.RGBA:
		if !img.Opaque() {
			return flattenAny(dst, img, background)
		}
		for y := range height {
			row, in := out.row(y), img.Pix[y*img.Stride:][:4*width]
			for x := range width {
				row[3*x], row[3*x+1], row[3*x+2] = in[4*x], in[4*x+1], in[4*x+2]
			}
		}
	case *image.NRGBA:
		for y := range height {
			row, in := out.row(y), img.Pix[y*img.Stride:][:4*width]
			for x := range width {
				over(row[3*x:3*x+3], in[4*x], in[4*x+1], in[4*x+2], in[4*x+3], background)
			}
		}
	default:
		return flattenAny(dst, img, background)
	}
	return dst
}

// flattenAny is flatten for any image, by way of NRGBA: some rows at a time,
// for large pictures are large enough once.
func flattenAny(dst []uint8, img image.Image, background Colour) []uint8 {
	whole, ok := img.(interface {
		SubImage(image.Rectangle) image.Image
	})
	if !ok {
		return flatten(dst, imaging.Clone(img), background)
	}
	const rows = 64
	bounds := img.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y += rows {
		strip := image.Rect(bounds.Min.X, y, bounds.Max.X, min(y+rows, bounds.Max.Y))
		at := 3 * bounds.Dx() * (y - bounds.Min.Y)
		flatten(dst[at:at+3*strip.Dx()*strip.Dy()], imaging.Clone(whole.SubImage(strip)), background)
	}
	return dst
}

// over composes a colour of some opacity over the background.
func over(out []uint8, r, g, b, alpha uint8, background Colour) {
	out[0] = blend(r, background[0], alpha)
	out[1] = blend(g, background[1], alpha)
	out[2] = blend(b, background[2], alpha)
}

func blend(above, below, alpha uint8) uint8 {
	return uint8((uint32(above)*uint32(alpha) + uint32(below)*uint32(255-alpha) + 127) / 255)
}

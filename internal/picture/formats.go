package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"image"
	"image/color"
	"io"
	"iter"

	"github.com/disintegration/imaging"

	"github.com/tlpipe/tlpipe/internal/picture/tiff"
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

// tiffFormat is TIFF, whose tag Orientation is that of Exif.
func tiffFormat() format {
	return format{"tiff", func(data []byte) (Info, error) {
		size, err := tiff.ReadSize(data)
		return Info{Width: size.Width, Height: size.Height, Orientation: orientationOf(data, nil), Held: size.Block * 2}, err
	}, func(dst []uint8, data []byte, _ Info, background Colour) ([]uint8, error) {
		return tiff.Decode(dst, data, background)
	}}
}

// pngOrientation looks in the chunk eXIf, in the texts in which ImageMagick and others kept Exif data before there was
// that chunk, and in the XMP data.
func pngOrientation(data []byte) Orientation {
	var exif, xmp []byte
	for kind, body := range pngChunks(data) {
		switch kind {
		case "eXIf":
			exif = body
		case "tEXt", "zTXt", "iTXt":
			// Of each the first: unpacking texts is work.
			switch keyword, _, _ := bytes.Cut(body, []byte{0}); string(keyword) {
			case "Raw profile type exif", "Raw profile type APP1":
				if exif == nil {
					exif = rawProfile(pngText(kind, body))
				}
			case "XML:com.adobe.xmp":
				if xmp == nil {
					xmp = pngText(kind, body)
				}
			}
		}
	}
	return orientationOf(exif, xmp)
}

// pngChunks yields kind and body of the chunks of a PNG file, up to one that is cut.
func pngChunks(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for at := 8; at+12 <= len(data); {
			length := int(binary.BigEndian.Uint32(data[at:]))
			if length > len(data)-at-12 || !yield(string(data[at+4:at+8]), data[at+8:at+8+length]) {
				return
			}
			at += 12 + length
		}
	}
}

// maxPNGText bounds what the compressed text of a chunk is unpacked to.
const maxPNGText = 1 << 20

// pngText returns the text of a text chunk; none if that is malformed or too long.
func pngText(kind string, body []byte) []byte {
	_, rest, ok := bytes.Cut(body, []byte{0})
	packed := kind == "zTXt"
	switch {
	case !ok:
		return []byte{}
	case kind == "tEXt":
		return rest
	case len(rest) < 2:
		return []byte{}
	case packed:
		rest = rest[1:] // the method, of which there is one
	default: // iTXt: compressed or not, method, language, translated keyword
		packed = rest[0] == 1
		parts := bytes.SplitN(rest[2:], []byte{0}, 3)
		if len(parts) < 3 {
			return []byte{}
		}
		rest = parts[2]
	}
	if !packed {
		return rest
	}
	in, err := zlib.NewReader(bytes.NewReader(rest))
	if err != nil {
		return []byte{}
	}
	value, err := io.ReadAll(io.LimitReader(in, maxPNGText+1))
	if err != nil || len(value) > maxPNGText {
		return []byte{}
	}
	return value
}

// rawProfile reads what ImageMagick writes of a profile: a name, the length, and the bytes as hexadecimal digits in lines.
func rawProfile(value []byte) []byte {
	lines := bytes.Fields(value)
	if len(lines) < 3 {
		return []byte{}
	}
	raw, err := hex.DecodeString(string(bytes.Join(lines[2:], nil)))
	if err != nil {
		return []byte{}
	}
	return raw
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

// pnmFormat is netpbm's PBM, PGM and PPM, as text or binary (P1 to P6), of up to 16 bits a sample. Levels are scaled to
// 255, those of 16 bits as Pillow does it: to 65,535, of which the lower byte is dropped.
func pnmFormat() format {
	return format{"pnm", func(data []byte) (Info, error) {
		h, err := readPNM(data)
		return Info{Width: h.width, Height: h.height}, err
	}, func(dst []uint8, data []byte, info Info, _ Colour) ([]uint8, error) {
		h, err := readPNM(data)
		if err != nil {
			return nil, err
		}
		pixels := h.width * h.height
		dst = grow(dst, 3*pixels)
		channels := 1
		if h.kind == '3' || h.kind == '6' {
			channels = 3
		}
		next := h.samples(data)
		for i := range pixels * channels {
			v, err := next()
			if err != nil {
				return nil, err
			}
			if channels == 3 {
				dst[i] = v
			} else {
				dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
			}
		}
		return dst, nil
	}}
}

// pnm is the header of a PNM file.
type pnm struct {
	kind                byte // '1' to '6'
	width, height, most int
	at                  int // where samples start
}

// readPNM reads "P6 width height 255".
func readPNM(data []byte) (h pnm, err error) {
	h = pnm{kind: data[1], most: 1, at: 2}
	numbers := []*int{&h.width, &h.height, &h.most}
	if h.kind == '1' || h.kind == '4' {
		numbers = numbers[:2]
	}
	for _, n := range numbers {
		if *n, err = pnmNumber(data, &h.at); err != nil {
			return h, err
		}
	}
	if h.at >= len(data) || !isSpace(data[h.at]) || h.most < 1 || h.most > 65535 {
		return h, errors.New("PNM: malformed header")
	}
	h.at++
	return h, nil
}

// pnmNumber reads a number behind spaces and comments.
func pnmNumber(data []byte, at *int) (n int, err error) {
	for *at < len(data) && (isSpace(data[*at]) || data[*at] == '#') {
		if data[*at] == '#' {
			for *at < len(data) && data[*at] != '\n' {
				*at++
			}
			continue
		}
		*at++
	}
	digits := 0
	for ; *at < len(data) && data[*at] >= '0' && data[*at] <= '9' && digits < 9; digits++ {
		n = 10*n + int(data[*at]-'0')
		*at++
	}
	if digits == 0 {
		return 0, errors.New("PNM: a number is missing")
	}
	return n, nil
}

// samples returns a function that reads one sample after another, as a level from 0 to 255.
func (h pnm) samples(data []byte) func() (uint8, error) {
	early := errors.New("PNM: the data ends early")
	at, column := h.at, 0
	level := func(v int) uint8 {
		v = min(v, h.most)
		if h.most > 255 {
			return uint8((v*65535 + h.most/2) / h.most >> 8)
		}
		return uint8((v*255 + h.most/2) / h.most)
	}
	switch h.kind {
	case '1':
		return func() (uint8, error) { // digits need no space between them; 1 is black
			for at < len(data) && data[at] != '0' && data[at] != '1' {
				at++
			}
			if at >= len(data) {
				return 0, early
			}
			at++
			return 255 * ('1' - data[at-1]), nil
		}
	case '2', '3':
		return func() (uint8, error) {
			v, err := pnmNumber(data, &at)
			return level(v), err
		}
	case '4':
		return func() (uint8, error) {
			if column == h.width { // rows begin with a byte of their own
				column, at = 0, at+(h.width+7)/8
			}
			here := at + column/8
			if here >= len(data) {
				return 0, early
			}
			bit := data[here] >> (7 - column%8) & 1
			column++
			return 255 * (1 - bit), nil
		}
	}
	size := 1
	if h.most > 255 {
		size = 2
	}
	return func() (uint8, error) {
		if at+size > len(data) {
			return 0, early
		}
		v := int(data[at])
		if size == 2 {
			v = v<<8 | int(data[at+1])
		}
		at += size
		return level(v), nil
	}
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

package picture

import (
	"compress/lzw"
	"encoding/binary"
	"errors"
	"image"
	"io"
)

var errGIFEarly = errors.New("GIF: the data ends early")

// gifFormat is the first frame of a GIF (89a). As in Pillow, a frame that reaches beyond the screen makes it larger, what
// the frame leaves uncovered has the first colour of the palette unless the frame has a transparent one, and
// indices without a palette are levels of grey. Data behind the last pixel is passed over.
func gifFormat() format {
	return format{"gif", func(data []byte) (Info, error) {
		f, err := readGIF(data)
		return Info{Width: f.screen.Dx(), Height: f.screen.Dy()}, err
	}, func(dst []uint8, data []byte, _ Info, background Colour) ([]uint8, error) {
		f, err := readGIF(data)
		if err != nil {
			return nil, err
		}
		return f.decode(dst, background)
	}}
}

// gifFrame is the first frame of a GIF, before its pixels are unpacked.
type gifFrame struct {
	screen      image.Rectangle
	bounds      image.Rectangle // of the frame
	palette     []byte          // red, green, blue, …; nil for none
	transparent int             // an index, −1 for none
	interlaced  bool
	bits        int    // of a pixel, in the compressed data
	blocks      []byte // the compressed data, in sub-blocks
}

func readGIF(data []byte) (f gifFrame, err error) {
	if len(data) < 13 {
		return f, errGIFEarly
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint16(data[at:])) }
	f = gifFrame{screen: image.Rect(0, 0, word(6), word(8)), transparent: -1}
	at := 13
	table := func(flags byte) error {
		if flags&0x80 == 0 {
			return nil
		}
		n := 3 << (flags&7 + 1)
		if at+n > len(data) {
			return errGIFEarly
		}
		f.palette = data[at : at+n]
		at += n
		return nil
	}
	if err := table(data[10]); err != nil {
		return f, err
	}
	for at+2 < len(data) {
		kind := data[at]
		at++
		switch kind {
		case 0x21: // an extension
			label := data[at]
			at++
			if label == 0xF9 && at+5 < len(data) && data[at] == 4 && data[at+1]&1 != 0 {
				f.transparent = int(data[at+4])
			}
			for at < len(data) && data[at] != 0 {
				at += 1 + int(data[at])
			}
			at++
		case 0x2C: // a frame
			if at+10 > len(data) {
				return f, errGIFEarly
			}
			x, y, w, h, flags := word(at), word(at+2), word(at+4), word(at+6), data[at+8]
			f.bounds = image.Rect(x, y, x+w, y+h)
			f.screen = f.screen.Union(f.bounds)
			f.screen.Min = image.Point{}
			f.interlaced = flags&0x40 != 0
			at += 9
			if err := table(flags); err != nil {
				return f, err
			}
			if at >= len(data) {
				return f, errGIFEarly
			}
			f.bits, f.blocks = int(data[at]), data[at+1:]
			if f.bits < 1 || f.bits > 8 {
				return f, errors.New("GIF: malformed frame")
			}
			return f, nil
		case 0x3B:
			return f, errors.New("GIF: there is no frame")
		}
	}
	return f, errGIFEarly
}

// decode returns RGB of the whole screen.
func (f gifFrame) decode(dst []uint8, background Colour) ([]uint8, error) {
	w, h := f.bounds.Dx(), f.bounds.Dy()
	indices := make([]byte, w*h)
	in := lzw.NewReader(&gifBlocks{rest: f.blocks}, lzw.LSB, f.bits)
	if _, err := io.ReadFull(in, indices); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errGIFEarly
		}
		return nil, err
	}
	colour := func(index int) (c Colour) {
		switch {
		case index == f.transparent:
			return background
		case f.palette == nil:
			return Colour{uint8(index), uint8(index), uint8(index)}
		case 3*index+3 <= len(f.palette):
			copy(c[:], f.palette[3*index:])
		}
		return c
	}
	var table [256]Colour
	for i := range table {
		table[i] = colour(i)
	}
	around := table[0]
	if f.transparent >= 0 {
		around = background
	}
	dst = grow(dst, 3*f.screen.Dx()*f.screen.Dy())
	if f.bounds != f.screen {
		for i := 0; i < len(dst); i += 3 {
			copy(dst[i:i+3], around[:])
		}
	}
	for row := range h {
		y := row
		if f.interlaced {
			y = interlaced(row, h)
		}
		at := 3 * ((f.bounds.Min.Y+y)*f.screen.Dx() + f.bounds.Min.X)
		for x, index := range indices[row*w : (row+1)*w] {
			copy(dst[at+3*x:at+3*x+3], table[index][:])
		}
	}
	return dst, nil
}

// interlaced is the line at which the row-th row of an interlaced frame of h rows stands: every eighth from 0, every
// eighth from 4, every fourth from 2, every second from 1.
func interlaced(row, h int) int {
	for _, pass := range [][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
		n := max(0, (h-pass[0]+pass[1]-1)/pass[1])
		if row < n {
			return pass[0] + row*pass[1]
		}
		row -= n
	}
	return 0
}

// gifBlocks joins sub-blocks: a length, so many bytes, … up to a length of 0.
type gifBlocks struct{ rest, block []byte }

func (b *gifBlocks) ReadByte() (byte, error) {
	if len(b.block) == 0 {
		if len(b.rest) == 0 || b.rest[0] == 0 {
			return 0, io.EOF
		}
		n := min(1+int(b.rest[0]), len(b.rest))
		b.block, b.rest = b.rest[1:n], b.rest[n:]
		if len(b.block) == 0 {
			return 0, io.EOF
		}
	}
	c := b.block[0]
	b.block = b.block[1:]
	return c, nil
}

func (b *gifBlocks) Read(p []byte) (int, error) {
	c, err := b.ReadByte()
	if err != nil || len(p) == 0 {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

var _ io.ByteReader = (*gifBlocks)(nil) // which lzw reads from directly

package tiff

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"io"
	"math/bits"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/picture/jpeg"
)

var errEarly = errors.New("TIFF: the data ends early")

// packed are the bytes of a strip or tile as they are stored.
func (p *picture) packed(data []byte, index int) ([]byte, error) {
	from, n := p.offsets[index], p.counts[index]
	if from > uint64(len(data)) {
		return nil, errEarly
	}
	raw := data[from:min(from+min(n, uint64(len(data))), uint64(len(data)))]
	if err := p.work.Take(budget.Steps, int64(len(raw))); err != nil {
		return nil, fmt.Errorf("TIFF: strips or tiles that share their bytes: %w", err)
	}
	if p.fillReversed && p.compression != jpegNew && p.compression != group3 && p.compression != group4 {
		turned := make([]byte, len(raw))
		for i, b := range raw {
			turned[i] = bits.Reverse8(b)
		}
		raw = turned
	}
	return raw, nil
}

// unpack returns the size bytes that a strip or tile of so many rows holds. What is behind them is left alone.
func (p *picture) unpack(data []byte, index, size, rows int) ([]byte, error) {
	raw, err := p.packed(data, index)
	if err != nil {
		return nil, err
	}
	var in io.Reader
	switch p.compression {
	case plain:
		if len(raw) < size {
			return nil, errEarly
		}
		return append([]byte(nil), raw[:size]...), nil // predictors write into it
	case packBits:
		return unpackBits(raw, size)
	case lzwPacked:
		in = lzw.NewReader(bytes.NewReader(raw), lzw.MSB, 8)
	case deflate, deflate2:
		if in, err = zlib.NewReader(bytes.NewReader(raw)); err != nil {
			return nil, fmt.Errorf("TIFF: %w", err)
		}
	case zstandard:
		z, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, fmt.Errorf("TIFF: %w", err)
		}
		defer z.Close()
		in = z
	case group3, group4:
		order, form := ccitt.MSB, ccitt.Group4
		if p.fillReversed {
			order = ccitt.LSB
		}
		if p.compression == group3 {
			if form = ccitt.Group3; p.t4&1 != 0 {
				return nil, errors.New("TIFF: CCITT Group 3 in two dimensions is not supported")
			}
		}
		// Black is 1 to CCITT; the photometric interpretation says what it is to be.
		in = ccitt.NewReader(bytes.NewReader(raw), order, form, p.blockW, rows, &ccitt.Options{Invert: true})
	case 2:
		return nil, errors.New("TIFF: CCITT run lengths (compression 2) are not supported")
	case jpegOld:
		return nil, errors.New("TIFF: JPEG of the old kind (compression 6) is not supported")
	case 34925:
		return nil, errors.New("TIFF: LZMA is not supported")
	case 50001:
		return nil, errors.New("TIFF: WebP in TIFF is not supported")
	default:
		return nil, fmt.Errorf("TIFF: compression %d is not supported", p.compression)
	}
	out, err := readUpTo(in, size)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if len(out) < size {
		return nil, errEarly
	}
	return out, nil
}

// readUpTo reads size bytes, or as many as there are. It takes memory as data comes, at most twice as much as came and
// never more than size.
func readUpTo(in io.Reader, size int) ([]byte, error) {
	out := make([]byte, 0, min(size, 64<<10))
	for {
		n, err := io.ReadFull(in, out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err != nil || len(out) == size {
			return out, err
		}
		out = append(make([]byte, 0, min(size, 2*len(out))), out...)
	}
}

// unpackBits undoes PackBits.
func unpackBits(raw []byte, size int) ([]byte, error) {
	out := make([]byte, 0, min(size, 64*len(raw)))
	for len(out) < size {
		if len(raw) == 0 {
			return nil, errEarly
		}
		n := int(int8(raw[0]))
		raw = raw[1:]
		switch {
		case n >= 0:
			if len(raw) < n+1 {
				return nil, errEarly
			}
			out, raw = append(out, raw[:n+1]...), raw[n+1:]
		case n > -128:
			if len(raw) == 0 {
				return nil, errEarly
			}
			out = append(out, bytes.Repeat(raw[:1], 1-n)...)
			raw = raw[1:]
		}
	}
	return out[:size], nil
}

// undoPredictor adds up the differences that rows may hold in the place of values.
func (p *picture) undoPredictor(raw []byte, rowBytes, perPixel int) {
	if p.predictor != 2 && p.predictor != 3 {
		return
	}
	for ; len(raw) >= rowBytes; raw = raw[rowBytes:] {
		row := raw[:rowBytes]
		switch {
		case p.predictor == 3 && p.format == float:
			for i := perPixel; i < len(row); i++ {
				row[i] += row[i-perPixel]
			}
			// The bytes of all numbers lie by significance, the highest first.
			size := p.bits / 8
			n := len(row) / size
			turned := make([]byte, len(row))
			for i := range n {
				for k := range size {
					to := size*i + k
					if p.order.String() == "LittleEndian" {
						to = size*i + size - 1 - k
					}
					turned[to] = row[k*n+i]
				}
			}
			copy(row, turned)
		case p.bits == 8:
			for i := perPixel; i < len(row); i++ {
				row[i] += row[i-perPixel]
			}
		case p.bits == 16:
			for i := 2 * perPixel; i+1 < len(row); i += 2 {
				p.order.PutUint16(row[i:], p.order.Uint16(row[i:])+p.order.Uint16(row[i-2*perPixel:]))
			}
		case p.bits == 32:
			for i := 4 * perPixel; i+3 < len(row); i += 4 {
				p.order.PutUint32(row[i:], p.order.Uint32(row[i:])+p.order.Uint32(row[i-4*perPixel:]))
			}
		}
	}
}

// decodeJPEG decodes a strip or tile that is a JPEG picture of its own, whose tables may stand in the directory.
func (p *picture) decodeJPEG(dst []uint8, data []byte, b block, c *colours) error {
	if p.planar && p.samples > 1 {
		return errors.New("TIFF: JPEG in planes is not supported")
	}
	raw, err := p.packed(data, b.index)
	if err != nil {
		return err
	}
	// Whether three components are YCbCr is for TIFF to say, not for JPEG to guess: Adobe's segment tells it.
	transform := byte(0)
	if p.photometric == yCbCr {
		transform = 1
	}
	file := []byte{0xFF, 0xD8, 0xFF, 0xEE, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, transform}
	if n := len(p.tables); n > 4 {
		file = append(file, p.tables[2:n-2]...) // without the marks of start and end
	}
	if len(raw) < 4 {
		return errEarly
	}
	file = append(file, raw[2:]...)
	h, err := jpeg.ReadHeader(file)
	if err != nil {
		return err
	}
	if h.Components == 4 {
		return errors.New("TIFF: CMYK in JPEG is not supported")
	}
	columns, rows := min(p.blockW, p.width-b.x), min(p.blockH, p.height-b.y)
	if h.Width < columns || h.Height < rows || h.Width > p.blockW || h.Height > max(p.blockH, 8) {
		return fmt.Errorf("TIFF: a strip or tile of %d×%d pixels holds a JPEG of %d×%d", columns, rows, h.Width, h.Height)
	}
	pixels, err := c.jpeg.Decode(nil, file, image.Rect(0, 0, columns, rows))
	if err != nil {
		return err
	}
	for y := range rows {
		copy(dst[3*((b.y+y)*p.width+b.x):][:3*columns], pixels[3*y*columns:])
	}
	if p.photometric == whiteIsZero {
		for y := range rows {
			row := dst[3*((b.y+y)*p.width+b.x):][:3*columns]
			for i := range row {
				row[i] = 255 - row[i]
			}
		}
	}
	return nil
}

package jpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Header is what a file says before its first scan.
type Header struct {
	Width, Height int    // pixels, as stored
	Components    int    // 1 (grey), 3 or 4 (inks)
	Blocks        int    // of 8×8 samples, of all components
	Progressive   bool   // several scans refine the whole picture
	Exif          []byte // the TIFF structure of the Exif segment, nil if there is none
	XMP           []byte // the XML of the XMP segment, nil if there is none
}

// ReadHeader reads the segments up to the frame header. It decodes nothing.
func ReadHeader(data []byte) (Header, error) {
	f := frame{headOnly: true}
	if err := f.read(data, func(marker byte) bool { return f.found && marker == markerSOS }); err != nil {
		return Header{}, err
	}
	return f.header(), nil
}

// Markers, T.81 table B.1.
const (
	markerSOF0  = 0xC0 // baseline
	markerSOF1  = 0xC1 // extended sequential, Huffman
	markerSOF2  = 0xC2 // progressive, Huffman
	markerDHT   = 0xC4
	markerSOF9  = 0xC9 // extended sequential, arithmetic
	markerSOF10 = 0xCA // progressive, arithmetic
	markerDAC   = 0xCC
	markerSOF15 = 0xCF
	markerRST0  = 0xD0
	markerRST7  = 0xD7
	markerSOI   = 0xD8
	markerEOI   = 0xD9
	markerSOS   = 0xDA
	markerDQT   = 0xDB
	markerDRI   = 0xDD
	markerAPP0  = 0xE0
	markerAPP1  = 0xE1
	markerAPP14 = 0xEE
)

var (
	errTruncated = errors.New("JPEG: the data ends early")
	errNotJPEG   = errors.New("JPEG: it does not start as a JPEG file does")
)

// component is one channel of the frame.
type component struct {
	id       byte
	h, v     int // sampling factors, 1…4
	quantity byte
	blocksX  int // in a scan of this component alone
	blocksY  int
	strideX  int // blocks a row, with the padding to whole MCUs
	strideY  int
	dc, ac   *huffman // of the scan at hand

	predicted  int // DC of the block before
	difference int // of that from the one before it, arithmetic coding

	dcTable, acTable uint8 // of the scan at hand

	coefficients []int16       // progressive: all blocks, in zigzag order
	told         [guessed]int8 // progressive: how much the scans have told of the first coefficients

	// Of the samples, only the blocks from (left, top) on are kept, a region's
	// worth.
	left, top, right, bottom int // blocks
	samples                  []uint8
	stride                   int
}

// frame is the state of a decode: headers, tables, components.
type frame struct {
	headOnly      bool // tables are passed over
	found         bool
	width, height int
	progressive   bool
	parts         []component
	maxH, maxV    int
	mcusX, mcusY  int

	quantisers [4][64]int32 // natural order
	defined    [4]bool
	tables     *tables
	interval   int // MCUs between restart markers; 0: none

	arithmeticCoded bool
	arithmetic      arithmetic
	conditioning    conditioning

	jfif           bool
	adobe          bool
	adobeTransform byte
	exif, xmp      []byte

	at int // where reading stopped: after the marker that stopped it
}

func (f *frame) header() Header {
	return Header{Width: f.width, Height: f.height, Components: len(f.parts), Blocks: f.blocks(), Progressive: f.progressive, Exif: f.exif, XMP: f.xmp}
}

// blocks is the number of blocks of all components.
func (f *frame) blocks() (n int) {
	for i := range f.parts {
		n += f.parts[i].strideX * f.parts[i].strideY
	}
	return n
}

// read reads segments from f.at on until stop says so of a marker, or the end
// of the picture.
func (f *frame) read(data []byte, stop func(marker byte) bool) error {
	if f.at == 0 {
		if len(data) < 2 || data[0] != 0xFF || data[1] != markerSOI {
			return errNotJPEG
		}
		f.at = 2
		f.conditioning = newConditioning()
	}
	for {
		marker, ok := f.nextMarker(data)
		if !ok {
			return errTruncated
		}
		if stop(marker) || marker == markerEOI {
			return nil
		}
		if marker == 0x01 || marker >= markerRST0 && marker <= markerSOI {
			continue // these have no body
		}
		body, ok := f.segment(data)
		if !ok {
			return errTruncated
		}
		var err error
		switch {
		case f.headOnly && (marker == markerDQT || marker == markerDHT):
		case marker == markerDQT:
			err = f.readQuantisers(body)
		case marker == markerDHT:
			err = f.readHuffman(body)
		case marker == markerDRI:
			if len(body) < 2 {
				return errTruncated
			}
			f.interval = int(binary.BigEndian.Uint16(body))
		case marker >= markerSOF0 && marker <= markerSOF2, marker == markerSOF9, marker == markerSOF10:
			f.progressive = marker == markerSOF2 || marker == markerSOF10
			f.arithmeticCoded = marker >= markerSOF9
			err = f.readFrame(body)
		case marker == markerDAC:
			err = f.conditioning.read(body)
		case marker > markerSOF2 && marker <= markerSOF15 && marker != 0xC8:
			return fmt.Errorf("JPEG: coding process %d (lossless or hierarchical) is not supported", marker-markerSOF0)
		case marker == markerAPP0:
			f.jfif = f.jfif || len(body) >= 5 && string(body[:5]) == "JFIF\x00"
		case marker == markerAPP1:
			if f.exif == nil && len(body) > 6 && string(body[:6]) == "Exif\x00\x00" {
				f.exif = body[6:]
			}
			if xml, ok := bytes.CutPrefix(body, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok && f.xmp == nil {
				f.xmp = xml
			}
		case marker == markerAPP14:
			if len(body) >= 12 && string(body[:5]) == "Adobe" {
				f.adobe, f.adobeTransform = true, body[11]
			}
		}
		if err != nil {
			return err
		}
	}
}

// nextMarker finds the next marker, passing over fill bytes and rubbish.
func (f *frame) nextMarker(data []byte) (byte, bool) {
	for f.at+1 < len(data) {
		if data[f.at] != 0xFF || data[f.at+1] == 0xFF || data[f.at+1] == 0 {
			f.at++
			continue
		}
		marker := data[f.at+1]
		f.at += 2
		return marker, true
	}
	return 0, false
}

// segment returns the body of the segment at f.at and goes past it.
func (f *frame) segment(data []byte) ([]byte, bool) {
	if f.at+2 > len(data) {
		return nil, false
	}
	length := int(binary.BigEndian.Uint16(data[f.at:]))
	if length < 2 || f.at+length > len(data) {
		return nil, false
	}
	body := data[f.at+2 : f.at+length]
	f.at += length
	return body, true
}

func (f *frame) readQuantisers(body []byte) error {
	for len(body) > 0 {
		wide, which := body[0]>>4, body[0]&15
		size := 64
		if wide != 0 {
			size = 128
		}
		if which > 3 || wide > 1 || len(body) < 1+size {
			return errors.New("JPEG: malformed quantisation table")
		}
		for i := range 64 {
			q := int32(body[1+i])
			if wide != 0 {
				q = int32(binary.BigEndian.Uint16(body[1+2*i:]))
			}
			f.quantisers[which][natural[i]] = q
		}
		f.defined[which] = true
		body = body[1+size:]
	}
	return nil
}

func (f *frame) readHuffman(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return errors.New("JPEG: malformed Huffman table")
		}
		class, which := body[0]>>4, body[0]&15
		if class > 1 || which > 3 {
			return errors.New("JPEG: malformed Huffman table")
		}
		total := 0
		for _, n := range body[1:17] {
			total += int(n)
		}
		if total > 256 || len(body) < 17+total {
			return errors.New("JPEG: malformed Huffman table")
		}
		table := &f.tables.dc[which]
		if class == 1 {
			table = &f.tables.ac[which]
		}
		if err := table.build([16]byte(body[1:17]), body[17:17+total], class == 1); err != nil {
			return err
		}
		body = body[17+total:]
	}
	return nil
}

func (f *frame) readFrame(body []byte) error {
	if f.found {
		return errors.New("JPEG: more than one frame")
	}
	if len(body) < 6 {
		return errTruncated
	}
	if body[0] != 8 {
		return fmt.Errorf("JPEG: %d bits a sample are not supported", body[0])
	}
	f.height, f.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	n := int(body[5])
	if f.width == 0 || f.height == 0 {
		return fmt.Errorf("JPEG: %d×%d pixels", f.width, f.height)
	}
	if n != 1 && n != 3 && n != 4 {
		return fmt.Errorf("JPEG: %d components are not supported", n)
	}
	if len(body) < 6+3*n {
		return errTruncated
	}
	f.parts = make([]component, n)
	f.maxH, f.maxV = 1, 1
	for i := range f.parts {
		b := body[6+3*i:]
		c := component{id: b[0], h: int(b[1] >> 4), v: int(b[1] & 15), quantity: b[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quantity > 3 {
			return errors.New("JPEG: malformed frame header")
		}
		if n == 1 {
			c.h, c.v = 1, 1 // nothing to sample it against
		}
		f.maxH, f.maxV = max(f.maxH, c.h), max(f.maxV, c.v)
		f.parts[i] = c
	}
	f.mcusX, f.mcusY = ceil(f.width, 8*f.maxH), ceil(f.height, 8*f.maxV)
	blocks := 0
	for i := range f.parts {
		c := &f.parts[i]
		if f.maxH%c.h != 0 || f.maxV%c.v != 0 {
			return fmt.Errorf("JPEG: sampling factors %d×%d of %d×%d are not supported", c.h, c.v, f.maxH, f.maxV)
		}
		c.blocksX, c.blocksY = ceil(ceil(f.width*c.h, f.maxH), 8), ceil(ceil(f.height*c.v, f.maxV), 8)
		c.strideX, c.strideY = f.mcusX*c.h, f.mcusY*c.v
		blocks += c.h * c.v
	}
	if n > 1 && blocks > 10 {
		return errors.New("JPEG: malformed frame header: more than 10 blocks an MCU")
	}
	f.found = true
	return nil
}

func ceil(a, b int) int { return (a + b - 1) / b }

// natural maps the zigzag order in which coefficients are coded to row-major.
var natural = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
}

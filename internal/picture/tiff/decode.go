package tiff

import (
	"errors"
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// Size is what the first picture of a file is to decode.
type Size struct {
	Width, Height int   // pixels, as stored
	Block         int64 // bytes of its largest strip or tile, unpacked, of all planes
}

// ReadSize reads the size of the first picture.
func ReadSize(data []byte) (Size, error) {
	d, err := readDirectory(data)
	if err != nil {
		return Size{}, err
	}
	p, err := d.picture()
	return Size{p.width, p.height, (int64(p.blockW)*int64(p.samples)*int64(p.bits) + 7) / 8 * int64(p.blockH)}, err
}

// Decode decodes the first picture to RGB, 3·width·height bytes, in dst's memory if that suffices. What is transparent
// is composed over the background. Samples of 9 to 16 bits lose their lower
// byte, as in Pillow: pictures of 12 bits are dark. Floats are levels from 0 to 255, or from 0
// to 1 if none is above 1.
func Decode(dst []uint8, data []byte, background [3]uint8) ([]uint8, error) {
	d, err := readDirectory(data)
	if err != nil {
		return nil, err
	}
	p, err := d.picture()
	if err != nil {
		return nil, err
	}
	if n := 3 * p.width * p.height; cap(dst) < n {
		dst = make([]uint8, n)
	} else {
		dst = dst[:n]
	}
	c, err := p.colours(d, background)
	if err != nil {
		return nil, err
	}
	if p.format == float {
		if p.unit, err = p.belowOne(data); err != nil {
			return nil, err
		}
	}
	for block := range p.blocks() {
		if err := p.decodeBlock(dst, data, block, c); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// belowOne tells whether no float of the picture is above 1.
func (p *picture) belowOne(data []byte) (bool, error) {
	if p.compression == jpegNew {
		return false, errors.New("TIFF: floats in JPEG")
	}
	perPixel := p.samples
	if p.planar {
		perPixel = 1
	}
	rowBytes := (p.blockW*perPixel*p.bits + 7) / 8
	across, down := p.grid()
	for i := range p.samples / perPixel * across * down {
		rows := p.blockH
		if j := i / across % down; !p.tiled {
			rows = min(p.blockH, p.height-j*p.blockH)
		}
		raw, err := p.unpack(data, i, rowBytes*rows, rows)
		if err != nil {
			return false, err
		}
		p.undoPredictor(raw, rowBytes, perPixel)
		for y := range rows {
			row := raw[y*rowBytes:][:rowBytes]
			for k := range p.blockW * perPixel {
				if p.order.float(row, k, p.bits) > 1 {
					return false, nil
				}
			}
		}
	}
	return true, nil
}

// picture is what the tags tell of how the pixels are stored.
type picture struct {
	width, height int
	bits, samples int // of each sample; a pixel
	format        int // of samples: unsigned or float
	compression   int
	photometric   int
	predictor     int
	planar        bool // samples in planes
	fillReversed  bool // the lowest bit comes first
	tiled         bool
	blockW        int // of a strip or tile, in pixels
	blockH        int
	offsets       []uint64
	counts        []uint64
	extra         []uint64 // meaning of samples beyond those of the colour
	tables        []byte   // of JPEG
	subH, subV    int      // of YCbCr
	t4            uint64
	unit          bool // floats are from 0 to 1
	order         byteOrder
	work          *budget.Budget // for reading strips and tiles, which may share their bytes
}

// Strips and tiles may take together so many times the size of the file, where that is much: honest files have each of
// their own, and floats are read twice.
const (
	maxShared = 8
	anyShared = 64 << 20
)

// Values of tags.
const (
	unsigned = 1
	float    = 3

	whiteIsZero = 0
	blackIsZero = 1
	rgb         = 2
	palette     = 3
	cmyk        = 5
	yCbCr       = 6

	plain     = 1
	group3    = 3
	group4    = 4
	lzwPacked = 5
	jpegOld   = 6
	jpegNew   = 7
	deflate   = 8
	deflate2  = 32946
	packBits  = 32773
	zstandard = 50000
)

// most bounds a side of a picture, strip or tile, so that products of two do not overflow.
const most = 1 << 24

// maxBlock bounds a tile that is larger than its picture, in bytes.
const maxBlock = 16 << 20

// picture reads the tags.
func (d *directory) picture() (p picture, err error) {
	p = picture{
		width: d.int(tagWidth, 0), height: d.int(tagHeight, 0),
		samples: d.int(tagSamples, 1), format: unsigned,
		compression: d.int(tagCompression, plain), photometric: d.int(tagPhotometric, -1),
		predictor: d.int(tagPredictor, 1), planar: d.int(tagPlanar, 1) == 2, fillReversed: d.int(tagFillOrder, 1) == 2,
		work:  budget.New(budget.Limit{Resource: budget.Steps, Most: budget.Proportional(int64(d.size), anyShared, maxShared)}),
		extra: d.all(tagExtraSamples), tables: d.bytes(tagJPEGTables), subH: 2, subV: 2, t4: uint64(d.int(tagT4Options, 0)), order: d.order,
	}
	switch {
	case p.width < 1 || p.height < 1:
		return p, errors.New("TIFF: no width or height")
	case p.width > most || p.height > most:
		return p, fmt.Errorf("TIFF: %d×%d pixels are too many", p.width, p.height)
	case p.samples < 1 || p.samples > 64:
		return p, fmt.Errorf("TIFF: %d samples a pixel", p.samples)
	}
	bits := d.all(tagBits)
	if len(bits) == 0 {
		bits = []uint64{1}
	}
	p.bits = int(min(bits[0], 1<<10))
	for _, b := range bits {
		if b != bits[0] {
			return p, fmt.Errorf("TIFF: samples of different sizes, %v bits, are not supported", bits)
		}
	}
	if formats := d.all(tagSampleFormat); len(formats) > 0 && formats[0] != 4 { // 4: undefined
		p.format = int(formats[0])
	}
	switch {
	case p.format == float && (p.bits == 32 || p.bits == 16 || p.bits == 64):
	case p.format == unsigned && p.bits >= 1 && p.bits <= 16, p.format == unsigned && p.bits == 32:
	case p.format == 2:
		return p, errors.New("TIFF: signed samples are not supported")
	default:
		return p, fmt.Errorf("TIFF: samples of format %d and %d bits are not supported", p.format, p.bits)
	}
	if sub := d.all(tagSubsampling); len(sub) == 2 {
		p.subH, p.subV = int(min(sub[0], 8)), int(min(sub[1], 8))
	}
	p.tiled = d.has(tagTileWidth)
	if p.tiled {
		p.blockW, p.blockH = d.int(tagTileWidth, 0), d.int(tagTileHeight, 0)
		p.offsets, p.counts = d.all(tagTileOffsets), d.all(tagTileCounts)
		if p.blockW < 1 || p.blockH < 1 || p.blockW > 1<<16 || p.blockH > 1<<16 || p.blockW*p.blockH > 1<<26 {
			return p, fmt.Errorf("TIFF: tiles of %d×%d pixels", p.blockW, p.blockH)
		}
	} else {
		p.blockW, p.blockH = p.width, p.height
		if rows := d.int(tagRowsPerStrip, p.height); rows > 0 {
			p.blockH = min(rows, p.height)
		}
		p.offsets, p.counts = d.all(tagStripOffsets), d.all(tagStripCounts)
	}
	if bytes := p.blockW * p.blockH * p.samples * p.bits / 8; bytes > maxBlock && bytes > 2*p.width*p.height*p.samples*p.bits/8 {
		return p, fmt.Errorf("TIFF: tiles of %d×%d pixels in a picture of %d×%d", p.blockW, p.blockH, p.width, p.height)
	}
	across, down := p.grid()
	planes := 1
	if p.planar {
		planes = p.samples
	}
	if want := across * down * planes; len(p.offsets) < want {
		return p, fmt.Errorf("TIFF: %d of %d strips or tiles are there", len(p.offsets), want)
	}
	if len(p.counts) == 0 && len(p.offsets) == 1 && p.compression == plain {
		p.counts = []uint64{math.MaxUint32} // some old writers leave it out: to the end of the file
	}
	if len(p.counts) < len(p.offsets) {
		return p, errors.New("TIFF: the lengths of the strips or tiles are missing")
	}
	return p, nil
}

// grid is the number of strips or tiles across and down, of a plane.
func (p *picture) grid() (across, down int) {
	return (p.width + p.blockW - 1) / p.blockW, (p.height + p.blockH - 1) / p.blockH
}

// block is a strip or tile.
type block struct{ x, y, index int }

// blocks yields the strips or tiles of the first plane.
func (p *picture) blocks() func(yield func(block) bool) {
	across, down := p.grid()
	return func(yield func(block) bool) {
		for j := range down {
			for i := range across {
				if !yield(block{i * p.blockW, j * p.blockH, j*across + i}) {
					return
				}
			}
		}
	}
}

// decodeBlock decodes a strip or tile into its place in dst.
func (p *picture) decodeBlock(dst []uint8, data []byte, b block, c *colours) error {
	rows := min(p.blockH, p.height-b.y) // of a strip or tile that are seen
	stored := p.blockH                  // and that are stored
	if !p.tiled {
		stored = rows
	}
	if p.compression == jpegNew {
		return p.decodeJPEG(dst, data, b, c)
	}
	if p.photometric == yCbCr && (p.subH > 1 || p.subV > 1) && p.samples == 3 {
		return p.decodeSubsampled(dst, data, b, c, rows)
	}
	columns := min(p.blockW, p.width-b.x)
	across, down := p.grid()
	planes, perPixel := 1, p.samples
	if p.planar {
		planes, perPixel = p.samples, 1
	}
	rowBytes := (p.blockW*perPixel*p.bits + 7) / 8
	raw := make([][]byte, planes)
	for k := range raw {
		var err error
		if raw[k], err = p.unpack(data, b.index+k*across*down, rowBytes*stored, stored); err != nil {
			return err
		}
		p.undoPredictor(raw[k], rowBytes, perPixel)
	}
	line := make([]float32, p.samples*columns)
	for y := range rows {
		for k, plane := range raw {
			p.samplesOf(line[k:], plane[y*rowBytes:(y+1)*rowBytes], columns*perPixel, p.samples/perPixel)
		}
		c.convert(dst[3*((b.y+y)*p.width+b.x):][:3*columns], line, p.samples)
	}
	return nil
}

// samplesOf reads n samples of a row as levels from 0 to 255, or as indices of a palette, to every step-th place of out.
func (p *picture) samplesOf(out []float32, row []byte, n, step int) {
	scale := float32(255)
	if p.bits < 32 {
		scale /= float32(uint32(1)<<p.bits - 1)
	}
	if p.photometric == palette {
		scale = 1
	}
	switch {
	case p.format == float:
		for i := range n {
			v := p.order.float(row, i, p.bits)
			if p.unit {
				v *= 255
			}
			out[i*step] = max(0, min(v, 255)) // not a number becomes 0
			if v != v {
				out[i*step] = 0
			}
		}
	case p.bits == 8:
		for i := range n {
			out[i*step] = float32(row[i])
		}
	case p.bits == 16 && p.photometric != palette:
		for i := range n {
			out[i*step] = float32(p.order.Uint16(row[2*i:]) >> 8)
		}
	case p.bits == 16:
		for i := range n {
			out[i*step] = float32(p.order.Uint16(row[2*i:]))
		}
	case p.bits == 32:
		for i := range n {
			out[i*step] = float32(p.order.Uint32(row[4*i:]) >> 24)
		}
	default:
		at := 0
		for i := range n {
			var v uint32
			for range p.bits {
				v = v<<1 | uint32(row[at>>3]>>(7-at&7)&1)
				at++
			}
			if p.bits > 8 && p.photometric != palette { // as samples of 16 bits, which is what Pillow takes them for
				out[i*step] = float32(v >> 8)
			} else {
				out[i*step] = float32(v) * scale
			}
		}
	}
}

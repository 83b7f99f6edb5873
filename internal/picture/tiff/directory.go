package tiff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Numbers of tags.
const (
	tagWidth        = 256
	tagHeight       = 257
	tagBits         = 258
	tagCompression  = 259
	tagPhotometric  = 262
	tagFillOrder    = 266
	tagStripOffsets = 273
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagStripCounts  = 279
	tagPlanar       = 284
	tagT4Options    = 292
	tagPredictor    = 317
	tagColourMap    = 320
	tagTileWidth    = 322
	tagTileHeight   = 323
	tagTileOffsets  = 324
	tagTileCounts   = 325
	tagExtraSamples = 338
	tagSampleFormat = 339
	tagJPEGTables   = 347
	tagCoefficients = 529
	tagSubsampling  = 530
	tagReference    = 532
)

// byteOrder is the order of bytes in a file.
type byteOrder struct{ binary.ByteOrder }

// float reads the i-th float of so many bits.
func (o byteOrder) float(data []byte, i, bits int) float32 {
	switch bits {
	case 16:
		return half(o.Uint16(data[2*i:]))
	case 64:
		return float32(math.Float64frombits(o.Uint64(data[8*i:])))
	}
	return math.Float32frombits(o.Uint32(data[4*i:]))
}

// half widens an IEEE 754 binary16.
func half(bits uint16) float32 {
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	value := math.Ldexp(1+fraction/1024, exponent-15)
	switch exponent {
	case 0:
		value = math.Ldexp(fraction, -24)
	case 31:
		value = math.Inf(1)
		if fraction > 0 {
			value = math.NaN()
		}
	}
	if bits&0x8000 != 0 {
		value = -value
	}
	return float32(value)
}

// directory is the first image file directory of a file.
type directory struct {
	order  byteOrder
	size   int // of the file, in bytes
	fields map[uint16]field
}

// field is a tag's value.
type field struct {
	kind  uint16
	count uint64
	raw   []byte
}

// readDirectory reads the tags of the first picture.
func readDirectory(data []byte) (*directory, error) {
	if len(data) < 16 {
		return nil, errors.New("TIFF: the data ends early")
	}
	d := &directory{order: byteOrder{binary.LittleEndian}, size: len(data), fields: map[uint16]field{}}
	if data[0] == 'M' {
		d.order = byteOrder{binary.BigEndian}
	}
	var at, entries, entry, inline uint64
	switch d.order.Uint16(data[2:]) {
	case 42:
		at, entry, inline = uint64(d.order.Uint32(data[4:])), 12, 4
		if at+2 > uint64(len(data)) {
			return nil, errors.New("TIFF: the directory lies behind the end")
		}
		entries = uint64(d.order.Uint16(data[at:]))
		at += 2
	case 43: // BigTIFF
		at, entry, inline = d.order.Uint64(data[8:]), 20, 8
		if at > uint64(len(data)) || at+8 > uint64(len(data)) {
			return nil, errors.New("TIFF: the directory lies behind the end")
		}
		entries = d.order.Uint64(data[at:])
		at += 8
	default:
		return nil, errors.New("not a TIFF file")
	}
	if entries > 1<<16 {
		return nil, fmt.Errorf("TIFF: a directory of %d entries", entries)
	}
	for i := range entries {
		e := at + i*entry
		if e+entry > uint64(len(data)) {
			return nil, errors.New("TIFF: the directory is cut")
		}
		f := field{kind: d.order.Uint16(data[e+2:])}
		value := data[e+entry-inline : e+entry]
		where := uint64(0)
		if inline == 4 {
			f.count, where = uint64(d.order.Uint32(data[e+4:])), uint64(d.order.Uint32(value))
		} else {
			f.count, where = d.order.Uint64(data[e+4:]), d.order.Uint64(value)
		}
		size := sizeOf(f.kind)
		if size == 0 || f.count > uint64(len(data))/size {
			continue // an unknown type, or more values than there are bytes: not one that is needed, or missed where it is
		}
		if n := f.count * size; n <= inline {
			f.raw = value[:n]
		} else if where <= uint64(len(data)) && n <= uint64(len(data))-where {
			f.raw = data[where : where+n]
		} else {
			continue
		}
		tag := d.order.Uint16(data[e:])
		if _, twice := d.fields[tag]; !twice {
			d.fields[tag] = f
		}
	}
	return d, nil
}

// sizeOf is the size of a value of a type, in bytes; 0 for unknown types.
func sizeOf(kind uint16) uint64 {
	switch kind {
	case 1, 2, 6, 7:
		return 1
	case 3, 8:
		return 2
	case 4, 9, 11, 13:
		return 4
	case 5, 10, 12, 16, 17, 18:
		return 8
	}
	return 0
}

func (d *directory) has(tag uint16) bool { return len(d.fields[tag].raw) > 0 }

func (d *directory) bytes(tag uint16) []byte { return d.fields[tag].raw }

// int is the first value of a tag, otherwise if there is none.
func (d *directory) int(tag uint16, otherwise int) int {
	if all := d.all(tag); len(all) > 0 {
		return int(min(all[0], most+1))
	}
	return otherwise
}

// all are the values of a tag that holds whole numbers.
func (d *directory) all(tag uint16) []uint64 {
	f := d.fields[tag]
	out := make([]uint64, 0, f.count)
	for i := range f.count {
		switch f.kind {
		case 1, 7:
			out = append(out, uint64(f.raw[i]))
		case 3:
			out = append(out, uint64(d.order.Uint16(f.raw[2*i:])))
		case 4, 13:
			out = append(out, uint64(d.order.Uint32(f.raw[4*i:])))
		case 16, 18:
			out = append(out, d.order.Uint64(f.raw[8*i:]))
		default:
			return nil
		}
	}
	return out
}

// fractions are the values of a tag that holds fractions; nil unless there are n.
func (d *directory) fractions(tag uint16, n int) []float64 {
	f := d.fields[tag]
	if f.kind != 5 || f.count != uint64(n) {
		return nil
	}
	out := make([]float64, n)
	for i := range out {
		below := d.order.Uint32(f.raw[8*i+4:])
		if below == 0 {
			return nil
		}
		out[i] = float64(d.order.Uint32(f.raw[8*i:])) / float64(below)
	}
	return out
}

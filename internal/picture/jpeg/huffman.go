package jpeg

import (
	"encoding/binary"
	"errors"
)

// fastBits is the length of the codes that one look into a table resolves.
// Longer ones are rare.
const fastBits = 10

// huffman is a Huffman table, in the forms that decoding wants.
type huffman struct {
	defined bool

	// symbol, by the next fastBits bits: code length<<8 | symbol; 0 if the
	// code is longer.
	symbol [1 << fastBits]uint16

	// whole (AC only), by the next fastBits bits: code and value at once, where
	// both fit: value<<16 | run<<8 | bits of both. End of block is value 0 with
	// a run of 64, a run of 16 zeros is value 0 with run 16; 0 if they do not fit.
	whole [1 << fastBits]int32

	// Codes of one length are consecutive numbers: the largest of each length
	// plus one, left-aligned to 16 bits, and where their symbols start.
	limit   [17]uint32
	offset  [17]int32
	symbols [256]uint8
}

// tables are the Huffman tables of a file, for the first coefficients of blocks
// and for the others.
type tables struct{ dc, ac [4]huffman }

// forget makes all tables undefined; their memory stays.
func (t *tables) forget() {
	for i := range t.dc {
		t.dc[i].defined, t.ac[i].defined = false, false
	}
}

const wholeBlock = 64 // the run that stands for "end of block"

func (h *huffman) build(counts [16]byte, symbols []byte, ac bool) error {
	*h = huffman{defined: true}
	copy(h.symbols[:], symbols)
	code, at := uint32(0), 0
	for length := 1; length <= 16; length++ {
		h.offset[length] = int32(at) - int32(code)
		for range counts[length-1] {
			if code >= 1<<length {
				return errors.New("JPEG: malformed Huffman table: too many codes")
			}
			if length <= fastBits {
				from := code << (fastBits - length)
				for i := range uint32(1) << (fastBits - length) {
					h.symbol[from+i] = uint16(length)<<8 | uint16(symbols[at])
				}
			}
			code++
			at++
		}
		h.limit[length] = code << (16 - length)
		code <<= 1
	}
	if ac {
		h.buildWhole()
	}
	return nil
}

func (h *huffman) buildWhole() {
	for i := range h.symbol {
		entry := h.symbol[i]
		if entry == 0 {
			continue
		}
		length, run, size := int(entry>>8), int32(entry>>4&15), int(entry&15)
		switch {
		case size == 0 && run == 15:
			h.whole[i] = 16<<8 | int32(length)
		case size == 0:
			h.whole[i] = wholeBlock<<8 | int32(length)
		case length+size <= fastBits:
			bits := int32(i) >> (fastBits - length - size) & (1<<size - 1)
			h.whole[i] = extend(bits, size)<<16 | run<<8 | int32(length+size)
		}
	}
}

// extend turns size bits into the signed value they code (T.81, F.2.2.1).
func extend(bits int32, size int) int32 {
	if bits < 1<<(size-1) {
		return bits - 1<<size + 1
	}
	return bits
}

// bits reads a scan's entropy-coded data. After its end, or a marker, it
// gives zeros, and overrun tells that some were used.
type bits struct {
	data []byte
	at   int
	acc  uint64 // the next bits, from the top
	n    int    // how many there are in acc
	fake int    // how many of those are zeros past the end
}

// fill makes sure that at least 32 bits are there: enough for one code and
// its value.
func (b *bits) fill() {
	if b.n >= 32 {
		return
	}
	if four, plain := b.four(); plain {
		b.acc |= uint64(four) << (32 - b.n)
		b.n += 32
		b.at += 4
		return
	}
	b.fillSlowly()
}

// four looks at the next 4 bytes; plain is false if there are not so many, or
// one is 0xFF, after which bytes mean something else.
func (b *bits) four() (v uint32, plain bool) {
	if b.at+4 > len(b.data) {
		return 0, false
	}
	v = binary.BigEndian.Uint32(b.data[b.at:])
	return v, (^v-0x01010101)&v&0x80808080 == 0
}

func (b *bits) fillSlowly() {
	for b.n <= 56 {
		var next byte
		switch {
		case b.at >= len(b.data):
			b.fake += 8
		case b.data[b.at] != 0xFF:
			next = b.data[b.at]
			b.at++
		case b.at+1 < len(b.data) && b.data[b.at+1] == 0: // a stuffed byte
			next = 0xFF
			b.at += 2
		default: // a marker
			b.fake += 8
		}
		b.acc |= uint64(next) << (56 - b.n)
		b.n += 8
	}
}

// overrun tells that more bits were used than there were.
func (b *bits) overrun() bool { return b.n < b.fake }

// ended tells whether no restart marker is next: what is missing does not come any more.
func (b *bits) ended() bool {
	return b.at+1 >= len(b.data) || b.data[b.at] != 0xFF || b.data[b.at+1] < markerRST0 || b.data[b.at+1] > markerRST0+7
}

func (b *bits) skip(n int) {
	b.acc <<= n
	b.n -= n
}

// take returns the next n bits, 1 ≤ n ≤ 16; fill must have been called.
func (b *bits) take(n int) int32 {
	v := int32(b.acc >> (64 - n))
	b.acc <<= n
	b.n -= n
	return v
}

// bit returns the next bit.
func (b *bits) bit() int32 {
	if b.n < 1 {
		b.fill()
	}
	return b.take(1)
}

// next decodes a symbol; fill must have been called. Bits that are no code
// give ok false.
func (b *bits) next(h *huffman) (symbol uint8, ok bool) {
	if e := h.symbol[b.acc>>(64-fastBits)]; e != 0 {
		b.skip(int(e >> 8))
		return uint8(e), true
	}
	top := uint32(b.acc >> 48)
	for length := fastBits + 1; length <= 16; length++ {
		if top < h.limit[length] {
			b.skip(length)
			return h.symbols[uint8(int32(top>>(16-length))+h.offset[length])], true
		}
	}
	return 0, false
}

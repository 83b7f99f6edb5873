package jpeg

import (
	"errors"
)

var errCode = errors.New("JPEG: malformed data: no such Huffman code")

// scan is the header of one scan.
type scan struct {
	parts      []*component
	from, to   int  // progressive: the coefficients, in zigzag order, inclusive
	high, low  int  // progressive: successive approximation
	endOfBands int  // progressive: blocks still to be passed over
	fresh      bool // the arithmetic decoder is to start
}

// readScan reads a scan header, T.81 B.2.3, at f.at.
func (f *frame) readScan(data []byte) (*scan, error) {
	body, ok := f.segment(data)
	if !ok || len(body) < 1 {
		return nil, errTruncated
	}
	n := int(body[0])
	if n < 1 || n > len(f.parts) || len(body) < 4+2*n {
		return nil, errors.New("JPEG: malformed scan header")
	}
	s := &scan{from: int(body[1+2*n]), to: int(body[2+2*n]), high: int(body[3+2*n] >> 4), low: int(body[3+2*n] & 15)}
	if !f.progressive {
		s.from, s.to, s.high, s.low = 0, 63, 0, 0
	}
	if s.from > s.to || s.to > 63 || s.from == 0 && s.to != 0 && f.progressive || s.from > 0 && n != 1 || s.low > 13 || s.high != 0 && s.high != s.low+1 {
		return nil, errors.New("JPEG: malformed scan header")
	}
	for i := range n {
		id, tables := body[1+2*i], body[2+2*i]
		var c *component
		for j := range f.parts {
			if f.parts[j].id == id {
				c = &f.parts[j]
			}
		}
		for _, other := range s.parts {
			if other == c {
				c = nil
				break
			}
		}
		if c == nil || tables>>4 > 3 || tables&15 > 3 {
			return nil, errors.New("JPEG: malformed scan header")
		}
		c.dc, c.ac = &f.tables.dc[tables>>4], &f.tables.ac[tables&15]
		c.dcTable, c.acTable = tables>>4, tables&15
		if !f.arithmeticCoded && (s.from == 0 && s.high == 0 && !c.dc.defined || s.to > 0 && !c.ac.defined) {
			return nil, errors.New("JPEG: a Huffman table is missing")
		}
		if !f.defined[c.quantity] {
			return nil, errors.New("JPEG: a quantisation table is missing")
		}
		s.parts = append(s.parts, c)
	}
	return s, nil
}

// decodeScan reads the entropy-coded data of a scan, which block takes block
// by block, and leaves f.at behind it. Where restart markers divide the data, an interval that is lost or damaged does
// not cost the rest: block is called with no bits for it, and decoding goes on behind the next marker, as in libjpeg.
func (f *frame) decodeScan(data []byte, s *scan, block func(r *bits, c *component, x, y int) error) error {
	r := &bits{data: data, at: f.at}
	across, down := f.mcusX, f.mcusY
	alone := len(s.parts) == 1
	if alone { // a scan of one component has no padding to whole MCUs
		across, down = s.parts[0].blocksX, s.parts[0].blocksY
	}
	s.restart()
	left, marker := f.interval, byte(0)
	from := r // nil in an interval that is lost
	for y := range down {
		for x := range across {
			if f.interval > 0 && left == 0 {
				here, err := r.restart(marker)
				if err != nil {
					return err
				}
				if here {
					from = r
				} else if from != nil {
					from = &bits{} // zeros: libjpeg takes one MCU of them before it gives up
				}
				s.restart()
				left, marker = f.interval, (marker+1)&7
			}
			left--
			err := f.decodeUnit(s, from, x, y, alone, block)
			if err != nil && f.interval == 0 {
				return err
			}
			if err != nil || f.interval > 0 && from != nil && from.overrun() && (from != r || !r.ended()) {
				from = nil
			}
		}
		if from != nil && r.overrun() {
			return errTruncated
		}
	}
	f.at = r.at
	return nil
}

// decodeUnit decodes one MCU, or one block of a scan of a single component.
func (f *frame) decodeUnit(s *scan, r *bits, x, y int, alone bool, block func(r *bits, c *component, x, y int) error) error {
	if alone {
		return block(r, s.parts[0], x, y)
	}
	for _, c := range s.parts {
		for v := range c.v {
			for h := range c.h {
				if err := block(r, c, x*c.h+h, y*c.v+v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *scan) restart() {
	s.endOfBands, s.fresh = 0, true
	for _, c := range s.parts {
		c.predicted, c.difference = 0, 0
	}
}

// restart passes over the restart marker RST0 + number. If it is missing, here is false, and the data of its interval is
// lost: what is next is a marker that comes later. Which of the two holds is told by the number of the marker that is
// found, by the rule of libjpeg's jpeg_resync_to_restart.
func (b *bits) restart(number byte) (here bool, err error) {
	*b = bits{data: b.data, at: b.at}
	for ; b.at+1 < len(b.data); b.at++ {
		if b.data[b.at] != 0xFF || b.data[b.at+1] == 0 || b.data[b.at+1] == 0xFF {
			continue
		}
		found := b.data[b.at+1]
		if found < markerRST0 || found > markerRST0+7 {
			if found < markerSOF0 {
				continue // no marker
			}
			return false, nil
		}
		switch (found - markerRST0 - number) & 7 {
		case 1, 2: // the one that is wanted is lost
			return false, nil
		case 6, 7: // of an interval before
			continue
		}
		b.at += 2
		return true, nil
	}
	return false, errTruncated
}

// sequentialBlock decodes one block and multiplies it by the quantiser, into
// zeroed coefficients in natural order. It returns the zigzag index behind the
// last coefficient that is not zero.
func sequentialBlock(r *bits, c *component, quantiser *[64]int32, out *[64]int32) (end int, err error) {
	r.fill()
	size, ok := r.next(c.dc)
	if !ok || size > 15 {
		return 0, errCode
	}
	if size > 0 {
		c.predicted += int(extend(r.take(int(size)), int(size)))
	}
	out[0] = int32(int16(c.predicted)) * quantiser[0]

	// The bits are kept in registers for the length of the block.
	ac, acc, n := c.ac, r.acc, r.n
	end = 1
	for k := 1; k < 64; {
		if n < 32 {
			if four, plain := r.four(); plain {
				acc |= uint64(four) << (32 - n)
				n += 32
				r.at += 4
			} else {
				r.acc, r.n = acc, n
				r.fillSlowly()
				acc, n = r.acc, r.n
			}
		}
		var value int32
		if e := ac.whole[acc>>(64-fastBits)]; e != 0 {
			length := e & 0xFF
			acc <<= length
			n -= int(length)
			k += int(e >> 8 & 0xFF)
			if value = e >> 16; value == 0 {
				continue // zeros only
			}
		} else {
			r.acc, r.n = acc, n
			symbol, ok := r.next(ac)
			if !ok {
				return 0, errCode
			}
			run, size := int(symbol>>4), int(symbol&15)
			if size > 0 {
				value = extend(r.take(size), size)
			}
			acc, n = r.acc, r.n
			if size == 0 {
				if run < 15 {
					break
				}
				k += 16
				continue
			}
			k += run
		}
		if k > 63 {
			return 0, errCode
		}
		at := natural[k] & 63
		out[at] = value * quantiser[at]
		k++
		end = k
	}
	r.acc, r.n = acc, n
	return end, nil
}

package jpeg

import (
	"errors"
)

// arithmetic decodes the binary decisions of an arithmetic-coded scan, T.81 D.2. Its bytes come from a scan's bits, of which it
// uses data and at alone.
type arithmetic struct {
	from  *bits
	c     uint32 // the code register; its upper half is compared with a
	a     uint32 // the size of the interval
	count int    // shifts until the next byte
	lost  bool   // bytes were wanted behind the end of the data

	// How probable the decisions of each context are: an index into estimates, and in the top bit the decision that is the
	// more probable.
	dc [4][49]uint8
	ac [4][245]uint8
}

// conditioning is what a file says of its arithmetic coding, T.81 B.2.4.3: bounds of the DC differences that count as small, and
// the last of the low AC coefficients.
type conditioning struct {
	lower, upper [4]uint8
	last         [4]uint8
}

func newConditioning() conditioning {
	return conditioning{upper: [4]uint8{1, 1, 1, 1}, last: [4]uint8{5, 5, 5, 5}}
}

// read reads the body of a DAC segment.
func (c *conditioning) read(body []byte) error {
	for ; len(body) >= 2; body = body[2:] {
		class, which, value := body[0]>>4, body[0]&15, body[1]
		switch {
		case which > 3 || class > 1:
			return errConditioning
		case class == 1:
			if value < 1 || value > 63 {
				return errConditioning
			}
			c.last[which] = value
		default:
			if value&15 > value>>4 {
				return errConditioning
			}
			c.lower[which], c.upper[which] = value&15, value>>4
		}
	}
	return nil
}

var (
	errConditioning = errors.New("JPEG: malformed conditioning of the arithmetic coding")
	errArithmetic   = errors.New("JPEG: malformed arithmetic-coded data")
)

// start begins to decode at the place of r, with nothing learned.
func (d *arithmetic) start(r *bits) {
	*d = arithmetic{from: r, a: 0x10000}
	d.byteIn()
	d.c <<= 8
	d.byteIn()
	d.c <<= 8
}

// byteIn takes the next byte; zeros from a marker on.
func (d *arithmetic) byteIn() {
	r := d.from
	switch {
	case r.at >= len(r.data):
		d.lost = true
	case r.data[r.at] != 0xFF:
		d.c += uint32(r.data[r.at]) << 8
		r.at++
	case r.at+1 < len(r.data) && r.data[r.at+1] == 0: // a stuffed byte
		d.c += 0xFF00
		r.at += 2
	}
}

// decide decodes one decision in a context.
func (d *arithmetic) decide(context *uint8) bool {
	state := *context & 0x7F
	likely := *context >> 7
	e := &estimates[state]
	d.a -= uint32(e.size)
	lower := d.c>>16 < d.a
	if lower && d.a >= 0x8000 {
		return likely == 1
	}
	// The larger of the two intervals is that of the likely decision, whichever it is.
	is := likely
	if lower == (d.a >= uint32(e.size)) {
		*context = likely<<7 | e.afterLikely
	} else {
		is = 1 - likely
		if e.exchange {
			likely = is
		}
		*context = likely<<7 | e.afterUnlikely
	}
	if !lower {
		d.c -= d.a << 16
		d.a = uint32(e.size)
	}
	for {
		if d.count == 0 {
			d.byteIn()
			d.count = 8
		}
		d.a <<= 1
		d.c <<= 1
		d.count--
		if d.a >= 0x8000 {
			return is == 1
		}
	}
}

// even decodes a decision of which both outcomes are as likely.
func (d *arithmetic) even() bool {
	context := uint8(evenState)
	return d.decide(&context)
}

// difference decodes the difference of a component's DC from the block before, T.81 F.2.4.1. last is that of the block before.
func (d *arithmetic) difference(table uint8, last int, c *conditioning) (int, error) {
	contexts := &d.dc[table]
	at := 0
	switch size := max(last, -last); {
	case size <= 1<<c.lower[table]>>1:
	case size <= 1<<c.upper[table]:
		at = 4
	default:
		at = 12
	}
	if at > 0 && last < 0 {
		at += 4
	}
	if !d.decide(&contexts[at]) {
		return 0, nil
	}
	negative := d.decide(&contexts[at+1])
	at += 2
	if negative {
		at++
	}
	top := 0
	if d.decide(&contexts[at]) {
		top = 1
		for at = 20; d.decide(&contexts[at]); at++ {
			if top <<= 1; top >= 0x8000 {
				return 0, errArithmetic
			}
		}
	}
	return d.magnitude(top, func(bit int) *uint8 { return &contexts[at+bit] }, negative), nil
}

// lowerBits is how far the contexts of a magnitude's lower bits are behind that of its length.
const lowerBits = 14

// magnitude decodes the bits below the top one of a magnitude less 1, and gives it its sign.
func (d *arithmetic) magnitude(top int, context func(offset int) *uint8, negative bool) int {
	v := top
	for bit := top >> 1; bit > 0; bit >>= 1 {
		if d.decide(context(lowerBits)) {
			v |= bit
		}
	}
	if v++; negative {
		return -v
	}
	return v
}

// Contexts of AC coefficients: of each there are three, and two rows for the lengths of the larger magnitudes.
const (
	lowLengths  = 189 // of coefficients up to the last of the low ones
	highLengths = 217
)

// coefficient decodes an AC coefficient that is not zero, the k-th, T.81 F.2.4.2.
func (d *arithmetic) coefficient(table uint8, k int, c *conditioning) (int, error) {
	contexts := &d.ac[table]
	negative := d.even()
	at, top := 3*(k-1)+2, 0
	if d.decide(&contexts[at]) {
		top = 1
		if d.decide(&contexts[at]) {
			top = 2
			at = highLengths
			if k <= int(c.last[table]) {
				at = lowLengths
			}
			for ; d.decide(&contexts[at]); at++ {
				if top <<= 1; top >= 0x8000 {
					return 0, errArithmetic
				}
			}
		}
	}
	return d.magnitude(top, func(offset int) *uint8 { return &contexts[at+offset] }, negative), nil
}

// band decodes the AC coefficients from … to of a block and gives each that is not zero to set.
func (d *arithmetic) band(table uint8, from, to int, c *conditioning, set func(k, value int)) error {
	contexts := &d.ac[table]
	for k := from; k <= to; k++ {
		if d.decide(&contexts[3*(k-1)]) {
			return nil // the end of the block
		}
		for !d.decide(&contexts[3*(k-1)+1]) {
			if k++; k > to {
				return errArithmetic
			}
		}
		value, err := d.coefficient(table, k, c)
		if err != nil {
			return err
		}
		set(k, value)
	}
	return nil
}

// refine adds a bit to the AC coefficients from … to of a block, T.81 G.1.3.3.
func (d *arithmetic) refine(table uint8, s *scan, block *[64]int16) error {
	contexts, one := &d.ac[table], int16(1)<<s.low
	ended := s.to // of the block, before this scan
	for ended > 0 && block[ended] == 0 {
		ended--
	}
	for k := s.from; k <= s.to; k++ {
		if k > ended && d.decide(&contexts[3*(k-1)]) {
			return nil
		}
		for ; ; k++ {
			if k > s.to {
				return errArithmetic
			}
			at := 3 * (k - 1)
			if block[k] != 0 {
				if d.decide(&contexts[at+2]) {
					if block[k] > 0 {
						block[k] += one
					} else {
						block[k] -= one
					}
				}
				break
			}
			if d.decide(&contexts[at+1]) {
				block[k] = one
				if d.even() {
					block[k] = -one
				}
				break
			}
		}
	}
	return nil
}

// arithmeticBlock decodes what a scan has of one block, into coefficients in zigzag order.
func (s *scan) arithmeticBlock(f *frame, r *bits, c *component, block *[64]int16) error {
	d := &f.arithmetic
	if s.fresh {
		d.start(r)
		s.fresh = false
	}
	var err error
	if s.from == 0 {
		if s.high == 0 {
			if c.difference, err = d.difference(c.dcTable, c.difference, &f.conditioning); err != nil {
				return err
			}
			c.predicted += c.difference
			block[0] = int16(c.predicted << s.low)
		} else if d.even() {
			block[0] |= 1 << s.low
		}
	}
	switch {
	case s.to > 0 && s.high == 0:
		err = d.band(c.acTable, max(s.from, 1), s.to, &f.conditioning, func(k, value int) { block[k] = int16(value << s.low) })
	case s.to > 0:
		err = d.refine(c.acTable, s, block)
	}
	if err == nil && d.lost {
		err = errTruncated
	}
	return err
}

// sequentialArithmetic decodes one block, as sequentialBlock does.
func (s *scan) sequentialArithmetic(f *frame, r *bits, c *component, quantiser *[64]int32, out *[64]int32) (end int, err error) {
	var block [64]int16
	if err := s.arithmeticBlock(f, r, c, &block); err != nil {
		return 0, err
	}
	out[0] = int32(block[0]) * quantiser[0] // of the block before there may be another
	end = 1
	for k := 1; k < len(block); k++ {
		if block[k] != 0 {
			at := natural[k]
			out[at] = int32(block[k]) * quantiser[at]
			end = k + 1
		}
	}
	return end, nil
}

// evenState is the estimate that never changes: both decisions as likely.
const evenState = 113

// estimate is a row of T.81 table D.3: the size of the interval of the less probable decision, and what is known after either.
type estimate struct {
	size                       uint16
	afterUnlikely, afterLikely uint8
	exchange                   bool // after the less probable decision it becomes the more probable
}

var estimates = [...]estimate{
	{0x5A1D, 1, 1, true}, {0x2586, 14, 2, false}, {0x1114, 16, 3, false}, {0x080B, 18, 4, false},
	{0x03D8, 20, 5, false}, {0x01DA, 23, 6, false}, {0x00E5, 25, 7, false}, {0x006F, 28, 8, false},
	{0x0036, 30, 9, false}, {0x001A, 33, 10, false}, {0x000D, 35, 11, false}, {0x0006, 9, 12, false},
	{0x0003, 10, 13, false}, {0x0001, 12, 13, false}, {0x5A7F, 15, 15, true}, {0x3F25, 36, 16, false},
	{0x2CF2, 38, 17, false}, {0x207C, 39, 18, false}, {0x17B9, 40, 19, false}, {0x1182, 42, 20, false},
	{0x0CEF, 43, 21, false}, {0x09A1, 45, 22, false}, {0x072F, 46, 23, false}, {0x055C, 48, 24, false},
	{0x0406, 49, 25, false}, {0x0303, 51, 26, false}, {0x0240, 52, 27, false}, {0x01B1, 54, 28, false},
	{0x0144, 56, 29, false}, {0x00F5, 57, 30, false}, {0x00B7, 59, 31, false}, {0x008A, 60, 32, false},
	{0x0068, 62, 33, false}, {0x004E, 63, 34, false}, {0x003B, 32, 35, false}, {0x002C, 33, 9, false},
	{0x5AE1, 37, 37, true}, {0x484C, 64, 38, false}, {0x3A0D, 65, 39, false}, {0x2EF1, 67, 40, false},
	{0x261F, 68, 41, false}, {0x1F33, 69, 42, false}, {0x19A8, 70, 43, false}, {0x1518, 72, 44, false},
	{0x1177, 73, 45, false}, {0x0E74, 74, 46, false}, {0x0BFB, 75, 47, false}, {0x09F8, 77, 48, false},
	{0x0861, 78, 49, false}, {0x0706, 79, 50, false}, {0x05CD, 48, 51, false}, {0x04DE, 50, 52, false},
	{0x040F, 50, 53, false}, {0x0363, 51, 54, false}, {0x02D4, 52, 55, false}, {0x025C, 53, 56, false},
	{0x01F8, 54, 57, false}, {0x01A4, 55, 58, false}, {0x0160, 56, 59, false}, {0x0125, 57, 60, false},
	{0x00F6, 58, 61, false}, {0x00CB, 59, 62, false}, {0x00AB, 61, 63, false}, {0x008F, 61, 32, false},
	{0x5B12, 65, 65, true}, {0x4D04, 80, 66, false}, {0x412C, 81, 67, false}, {0x37D8, 82, 68, false},
	{0x2FE8, 83, 69, false}, {0x293C, 84, 70, false}, {0x2379, 86, 71, false}, {0x1EDF, 87, 72, false},
	{0x1AA9, 87, 73, false}, {0x174E, 72, 74, false}, {0x1424, 72, 75, false}, {0x119C, 74, 76, false},
	{0x0F6B, 74, 77, false}, {0x0D51, 75, 78, false}, {0x0BB6, 77, 79, false}, {0x0A40, 77, 48, false},
	{0x5832, 80, 81, true}, {0x4D1C, 88, 82, false}, {0x438E, 89, 83, false}, {0x3BDD, 90, 84, false},
	{0x34EE, 91, 85, false}, {0x2EAE, 92, 86, false}, {0x299A, 93, 87, false}, {0x2516, 86, 71, false},
	{0x5570, 88, 89, true}, {0x4CA9, 95, 90, false}, {0x44D9, 96, 91, false}, {0x3E22, 97, 92, false},
	{0x3824, 99, 93, false}, {0x32B4, 99, 94, false}, {0x2E17, 93, 86, false}, {0x56A8, 95, 96, true},
	{0x4F46, 101, 97, false}, {0x47E5, 102, 98, false}, {0x41CF, 103, 99, false}, {0x3C3D, 104, 100, false},
	{0x375E, 99, 93, false}, {0x5231, 105, 102, false}, {0x4C0F, 106, 103, false}, {0x4639, 107, 104, false},
	{0x415E, 103, 99, false}, {0x5627, 105, 106, true}, {0x50E7, 108, 107, false}, {0x4B85, 109, 103, false},
	{0x5597, 110, 109, false}, {0x504F, 111, 107, false}, {0x5A10, 110, 111, true}, {0x5522, 112, 109, false},
	{0x59EB, 112, 111, true},
	evenState: {0x5A1D, evenState, evenState, false},
}

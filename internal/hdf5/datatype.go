package hdf5

import (
	"errors"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Classes of types.
const (
	wholeClass    = 0
	realClass     = 1
	textClass     = 3
	opaqueClass   = 5
	enumClass     = 8
	variableClass = 9
)

// datatype is the type of elements.
type datatype struct {
	class     int
	size      int
	numbers   stored.Type // "" if they are none
	bigEndian bool
}

func (f *file) datatype(body []byte) (datatype, error) {
	c := f.in(body)
	class := c.byte()
	flags := c.uint(3)
	d := datatype{class: int(class & 15), size: c.int(4), bigEndian: flags&1 != 0}
	switch d.class {
	case wholeClass:
		signed := flags&8 != 0
		d.numbers = map[int]stored.Type{1: stored.U8, 2: stored.U16, 4: stored.U32, 8: stored.U64}[d.size]
		if signed {
			d.numbers = map[int]stored.Type{1: stored.I8, 2: stored.I16, 4: stored.I32, 8: stored.I64}[d.size]
		}
	case realClass:
		offset, precision := c.int(2), c.int(2)
		exponentAt, exponentBits, mantissaAt, mantissaBits, bias := c.int(1), c.int(1), c.int(1), c.int(1), c.int(4)
		sign := int(flags >> 8 & 0xff)
		for t, want := range map[stored.Type][3]int{ // bits, of the exponent, its bias
			stored.F64: {64, 11, 1023}, stored.F32: {32, 8, 127}, stored.F16: {16, 5, 15}, stored.BF16: {16, 8, 127},
		} {
			if d.size*8 == want[0] && precision == want[0] && offset == 0 && sign == want[0]-1 && mantissaAt == 0 &&
				exponentBits == want[1] && bias == want[2] && mantissaBits == want[0]-1-want[1] && exponentAt == mantissaBits {
				d.numbers = t
			}
		}
	case opaqueClass:
		d.numbers = stored.Type(fmt.Sprintf("V%d", d.size)) // as NumPy calls it
	case enumClass:
		if d.size == 1 {
			d.numbers = stored.Bool
		}
	case variableClass:
		if c.err == nil && flags&15 != 1 {
			return d, errors.New("sequences of variable length are not read")
		}
		if d.size != 4+f.offsets+4 {
			return d, errors.New("a text of variable length has no place: damaged")
		}
	}
	return d, c.err
}

// maxDimensions is what the format allows.
const maxDimensions = 32

// dataspace reads a shape; that of a single value is empty, of none [0].
func (f *file) dataspace(body []byte) ([]int, error) {
	c := f.in(body)
	version, rank := c.byte(), c.int(1)
	c.skip(1) // whether the greatest shape follows
	kind := byte(1)
	switch version {
	case 1:
		c.skip(5)
	case 2:
		kind = c.byte()
	default:
		c.fail("version %d of a shape is not known", version)
	}
	if rank > maxDimensions {
		c.fail("a shape has %d dimensions", rank)
	}
	if c.err != nil {
		return nil, c.err
	}
	if kind == 2 {
		return []int{0}, nil
	}
	shape := make([]int, rank)
	for i := range shape {
		shape[i] = c.dimension(f.sizes)
	}
	if c.err != nil {
		return nil, fmt.Errorf("a shape: %w", c.err)
	}
	return shape, nil
}

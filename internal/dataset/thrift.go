package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// compact reads Thrift's compact protocol, in which Parquet's footer and page headers are written
// (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md), as far as telling what is there takes. Nothing is
// allocated for what is only announced.
type compact struct {
	data []byte
	at   int
	err  error
}

// Types of the compact protocol.
const (
	compactTrue   = 1
	compactFalse  = 2
	compactByte   = 3
	compactI16    = 4
	compactI32    = 5
	compactI64    = 6
	compactDouble = 7
	compactBinary = 8
	compactList   = 9
	compactSet    = 10
	compactMap    = 11
	compactStruct = 12
)

var errThriftShort = errors.New("the data ends early")

func (c *compact) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.at = len(c.data)
}

func (c *compact) byte() byte {
	if c.at >= len(c.data) {
		c.fail(errThriftShort)
		return 0
	}
	c.at++
	return c.data[c.at-1]
}

func (c *compact) varint() uint64 {
	v, n := binary.Uvarint(c.data[c.at:])
	switch {
	case n == 0:
		c.fail(errThriftShort)
		return 0
	case n < 0:
		c.fail(errors.New("a number is too long"))
		return 0
	}
	c.at += n
	return v
}

// int reads a number in zigzag coding.
func (c *compact) int() int64 {
	v := c.varint()
	return int64(v>>1) ^ -int64(v&1)
}

func (c *compact) advance(n uint64) {
	if n > uint64(len(c.data)-c.at) {
		c.fail(errThriftShort)
		return
	}
	c.at += int(n)
}

// maxThriftDepth is more than Parquet nests.
const maxThriftDepth = 64

// structure visits the fields of a structure; one that visit does not take is passed over.
func (c *compact) structure(depth int, visit func(field int, kind byte) (taken bool)) {
	if depth > maxThriftDepth {
		c.fail(fmt.Errorf("structures lie %d deep in each other", depth))
	}
	field := 0
	for c.err == nil {
		head := c.byte()
		kind := head & 15
		if kind == 0 {
			return
		}
		if delta := int(head >> 4); delta != 0 {
			field += delta
		} else {
			field = int(int16(c.int()))
		}
		if c.err == nil && !visit(field, kind) {
			c.skip(kind, depth)
		}
	}
}

// skip passes over a value.
func (c *compact) skip(kind byte, depth int) {
	switch kind {
	case compactTrue, compactFalse: // the value is the type
	case compactByte:
		c.byte()
	case compactI16, compactI32, compactI64:
		c.varint()
	case compactDouble:
		c.advance(8)
	case compactBinary:
		c.advance(c.varint())
	case compactList, compactSet:
		head := c.byte()
		n := uint64(head >> 4)
		if n == 15 {
			n = c.varint()
		}
		c.elements(n, depth, head&15)
	case compactMap:
		n := c.varint()
		if n > 0 {
			kinds := c.byte()
			c.elements(n, depth, kinds>>4, kinds&15)
		}
	case compactStruct:
		c.structure(depth+1, func(int, byte) bool { return false })
	default:
		c.fail(fmt.Errorf("values of type %d are not known", kind))
	}
}

// elements passes over n elements of a list or map. Each takes a byte at least, so that a count that cannot be is found
// by the end of the data.
func (c *compact) elements(n uint64, depth int, kinds ...byte) {
	if n > uint64(len(c.data)-c.at) {
		c.fail(fmt.Errorf("a list of %d entries in %d bytes", n, len(c.data)-c.at))
	}
	for i := uint64(0); i < n && c.err == nil; i++ {
		for _, kind := range kinds {
			if kind == compactTrue || kind == compactFalse {
				c.byte()
				continue
			}
			c.skip(kind, depth)
		}
	}
}

// pageHeader is what the header of a page of Parquet tells.
type pageHeader struct {
	kind                 int64 // of page
	packed, size, values int64 // bytes as they are and unpacked; values
	levels               int64 // bytes of levels before the values, which are not packed (version 2)
	unpacked             bool  // version 2: the values are not packed
}

// Kinds of pages.
const (
	dataPage       = 0
	dictionaryPage = 2
	dataPageV2     = 3
)

// readPageHeader reads a header and returns how many bytes it has.
func readPageHeader(data []byte) (h pageHeader, length int, err error) {
	c := &compact{data: data}
	number := func(to *int64) bool { *to = c.int(); return true }
	c.structure(0, func(field int, kind byte) bool {
		switch {
		case field == 1 && kind == compactI32:
			return number(&h.kind)
		case field == 2 && kind == compactI32:
			return number(&h.size)
		case field == 3 && kind == compactI32:
			return number(&h.packed)
		case (field == 5 || field == 7 || field == 8) && kind == compactStruct: // data, dictionary, data of version 2
			c.structure(1, func(inner int, kind byte) bool {
				switch {
				case inner == 1 && kind == compactI32:
					return number(&h.values)
				case field == 8 && (inner == 5 || inner == 6) && kind == compactI32:
					n := int64(0)
					number(&n)
					if n < 0 {
						c.fail(errors.New("levels of a negative size"))
					}
					h.levels += n
					return true
				case field == 8 && inner == 7:
					h.unpacked = kind == compactFalse
					return true
				}
				return false
			})
			return true
		}
		return false
	})
	return h, c.at, c.err
}

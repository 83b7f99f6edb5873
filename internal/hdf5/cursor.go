package hdf5

import (
	"bytes"
	"errors"
	"fmt"
	"math"
)

// file is the bytes of a file, beginning with its superblock.
type file struct {
	data           []byte
	offsets, sizes int    // bytes of an address and of a length
	nowhere        uint64 // the address of nothing
	budget         int    // how many more entries of tables, and bytes of names, are read
}

// spend counts n entries of tables or bytes of names. In a sound file each is read a few times at most.
func (f *file) spend(n int) error {
	if f.budget -= n; f.budget < 0 {
		return errors.New("its tables have more entries than a file of its size can hold: damaged")
	}
	return nil
}

// at begins to read at an address.
func (f *file) at(address uint64) *cursor {
	c := &cursor{file: f}
	if address > uint64(len(f.data)) {
		c.err = fmt.Errorf("the address %d is outside the file: truncated or damaged", address)
		return c
	}
	c.data = f.data[address:]
	return c
}

// slice returns size bytes from an address on.
func (f *file) slice(address, size uint64) ([]byte, error) {
	c := f.at(address)
	b := c.bytes(size)
	return b, c.err
}

// in begins to read bytes that were taken from the file.
func (f *file) in(data []byte) *cursor { return &cursor{file: f, data: data} }

// cursor reads one value after the other. After the first error all values are zero.
type cursor struct {
	file *file
	data []byte // what is left
	read int    // bytes that were read
	err  error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// bytes takes n bytes, without a copy; nil after an error.
func (c *cursor) bytes(n uint64) []byte {
	if c.err == nil && n > uint64(len(c.data)) {
		c.fail("a structure ends in the middle: truncated or damaged")
	}
	if c.err != nil {
		return nil
	}
	out := c.data[:n:n]
	c.data = c.data[n:]
	c.read += int(n)
	return out
}

func (c *cursor) skip(n int) { c.bytes(uint64(n)) }

// uint takes a number of at most eight bytes.
func (c *cursor) uint(width int) uint64 {
	v := uint64(0)
	for i, x := range c.bytes(uint64(width)) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

func (c *cursor) byte() byte { return byte(c.uint(1)) }

// int takes a number of at most four bytes.
func (c *cursor) int(width int) int { return int(c.uint(width)) }

// size takes a length.
func (c *cursor) size() uint64 { return c.uint(c.file.sizes) }

// address takes an address; there is false if it is that of nothing.
func (c *cursor) address() (at uint64, there bool) {
	at = c.uint(c.file.offsets)
	return at, at != c.file.nowhere && c.err == nil
}

// dimension takes a length that a shape may have.
func (c *cursor) dimension(width int) int {
	n := c.uint(width)
	if n > math.MaxInt {
		c.fail("a dimension of %d", n)
	}
	return int(n)
}

// signature takes the letters that a structure begins with, and its version, which must be the one.
func (c *cursor) signature(letters string, version byte) {
	if found := c.bytes(uint64(len(letters))); c.err == nil && string(found) != letters {
		c.fail("%q should stand in the place of %q: damaged", letters, found)
	}
	if found := c.byte(); c.err == nil && found != version {
		c.fail("version %d of %s is not known", found, letters)
	}
}

// text copies bytes up to a zero.
func (f *file) text(data []byte) (string, error) {
	n := bytes.IndexByte(data, 0)
	if n < 0 {
		return "", errors.New("a text has no end: damaged")
	}
	return string(data[:n]), f.spend(n)
}

// encodedIn returns how many bytes a number up to limit takes.
func encodedIn(limit uint64) int {
	n := 1
	for limit >>= 8; limit > 0; limit >>= 8 {
		n++
	}
	return n
}

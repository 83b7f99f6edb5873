package hdf5

import (
	"bytes"
	"errors"
	"fmt"
)

// Signature is how a file begins, or its second, fourth, eighth … half kibibyte.
const Signature = "\x89HDF\r\n\x1a\n"

// Parse reads the superblock and returns the root group.
func Parse(data []byte) (*Object, error) {
	begin := superblock(data)
	if begin < 0 {
		return nil, errors.New("not an HDF5 file: it has no superblock")
	}
	f := &file{data: data[begin:], budget: 2*len(data) + 4096}
	root, err := f.superblock()
	if err != nil {
		return nil, fmt.Errorf("superblock: %w", err)
	}
	return f.object(root)
}

// Is tells whether a file is in this format.
func Is(data []byte) bool { return superblock(data) >= 0 }

// superblock returns where the superblock is; -1 if there is none.
func superblock(data []byte) int {
	for at := 0; at < len(data); at = max(512, 2*at) {
		if bytes.HasPrefix(data[at:], []byte(Signature)) {
			return at
		}
	}
	return -1
}

// superblock returns the address of the root group's header.
func (f *file) superblock() (root uint64, err error) {
	c := f.at(0)
	c.skip(len(Signature))
	version := c.byte()
	switch version {
	case 0, 1:
		c.skip(4) // versions of other parts
	case 2, 3:
	default:
		return 0, fmt.Errorf("version %d is not known", version)
	}
	f.offsets, f.sizes = c.int(1), c.int(1)
	for _, width := range []int{f.offsets, f.sizes} {
		if width != 4 && width != 8 {
			return 0, fmt.Errorf("addresses or lengths of %d bytes are not known", width)
		}
	}
	f.nowhere = 1<<(8*f.offsets) - 1
	switch version {
	case 0, 1:
		c.skip(1 + 2 + 2 + 4) // sizes of tables' nodes, flags
		if version == 1 {
			c.skip(4)
		}
	default:
		c.skip(1) // flags
	}
	base, _ := c.address()
	c.address() // of free space, or of an extension
	end, _ := c.address()
	switch version {
	case 0, 1:
		c.address() // of a driver
		c.address() // of the root group's name
	}
	root, there := c.address()
	switch {
	case c.err != nil:
		return 0, c.err
	case !there:
		return 0, errors.New("there is no root group")
	case base > end || end-base > uint64(len(f.data)):
		return 0, fmt.Errorf("it tells of %d bytes, the file has %d: truncated", end-base, len(f.data))
	}
	return root, nil
}

package hdf5

import (
	"errors"
	"fmt"
	"math/bits"
)

// dense hands over what a group or object keeps in a fractal heap because it is too much for the
// header. The cursor is at the addresses of the heap and of the B-tree that tells where in the heap
// each thing is, in records that begin with skip other bytes.
func (f *file) dense(c *cursor, skip int, visit func(body []byte) error) error {
	heapAddress, there := c.address()
	tree, _ := c.address()
	if c.err != nil || !there {
		return c.err
	}
	heap, err := f.heap(heapAddress)
	if err != nil {
		return fmt.Errorf("a fractal heap: %w", err)
	}
	return f.tree2(tree, func(record []byte) error {
		r := f.in(record)
		r.skip(skip)
		body, err := heap.get(r.bytes(uint64(heap.idSize)))
		if err == nil {
			err = r.err
		}
		if err != nil {
			return fmt.Errorf("a fractal heap: %w", err)
		}
		return visit(body)
	})
}

// heap is a fractal heap: blocks of bytes in a table whose rows double in size.
type heap struct {
	file        *file
	idSize      int
	huge        uint64 // the B-tree of what is too big for a block
	maxManaged  uint64
	width       uint64 // blocks in a row
	first       uint64 // bytes of a block of the first two rows
	maxDirect   uint64 // bytes of the largest block that holds bytes, not other blocks
	offsetBytes int
	lengthBytes int
	root        uint64
	rows        int // of the root; 0 if that is a block of bytes
}

func (f *file) heap(address uint64) (*heap, error) {
	c := f.at(address)
	h := &heap{file: f}
	c.signature("FRHP", 0)
	h.idSize = c.int(2)
	filters := c.int(2)
	c.skip(1)
	h.maxManaged = c.uint(4)
	c.size() // the next huge thing
	h.huge, _ = c.address()
	c.size() // free space
	c.address()
	for range 8 {
		c.size() // statistics
	}
	h.width, h.first, h.maxDirect = c.uint(2), c.size(), c.size()
	maxBits := c.int(2)
	c.skip(2)
	h.root, _ = c.address()
	h.rows = c.int(2)
	h.offsetBytes = (maxBits + 7) / 8
	h.lengthBytes = encodedIn(min(h.maxDirect, h.maxManaged))
	switch {
	case c.err != nil:
		return nil, c.err
	case filters != 0:
		return nil, errors.New("it is packed, which is not read")
	case h.width == 0 || bits.OnesCount64(h.first) != 1 || bits.OnesCount64(h.width) != 1 || h.first > 1<<32 ||
		h.maxDirect < h.first || h.maxDirect > 1<<32 || maxBits > 64 || h.rows > 64 || h.idSize < 1+h.offsetBytes+h.lengthBytes:
		return nil, errors.New("its sizes make no sense: damaged")
	}
	return h, nil
}

// get returns the thing of that id.
func (h *heap) get(id []byte) ([]byte, error) {
	if err := h.file.spend(1); err != nil {
		return nil, err
	}
	c := h.file.in(id)
	switch kind := c.byte() >> 4; kind {
	case 0:
		offset, length := c.uint(h.offsetBytes), c.uint(h.lengthBytes)
		if c.err != nil {
			return nil, c.err
		}
		return h.managed(offset, length)
	case 1:
		return h.tooBig(c.uint(min(8, h.idSize-1)))
	case 2:
		return c.bytes(uint64(id[0]&15) + 1), c.err
	default:
		return nil, fmt.Errorf("a thing of kind %d is not known", kind)
	}
}

// managed returns bytes from an offset in the table on.
func (h *heap) managed(offset, length uint64) ([]byte, error) {
	address, rows := h.root, h.rows
	size := h.first // of the block at address, where rows is 0
	for rows > 0 {
		row, column, begin, blockSize := h.place(offset)
		if row >= rows {
			return nil, errors.New("it has fewer rows than it is used for: damaged")
		}
		c := h.file.at(address)
		c.signature("FHIB", 0)
		c.skip(h.file.offsets + h.offsetBytes)
		c.skip((row*int(h.width) + column) * h.file.offsets)
		next, there := c.address()
		if c.err != nil {
			return nil, c.err
		}
		if !there {
			return nil, errors.New("a block is not there: damaged")
		}
		if err := h.file.spend(1); err != nil {
			return nil, err
		}
		address, offset, size = next, offset-begin, blockSize
		rows = 0
		if size > h.maxDirect {
			rows = bits.Len64(size / h.first / h.width)
		}
	}
	if length > size || offset > size-length {
		return nil, errors.New("a thing reaches out of its block: damaged")
	}
	return h.file.slice(address+offset, length) // offsets count the block's own head
}

// place tells in which row and column of a table an offset is, where that block begins and its size.
func (h *heap) place(offset uint64) (row, column int, begin, size uint64) {
	size = h.first
	if over := offset / h.first / h.width; over > 0 {
		row = bits.Len64(over)
		size <<= row - 1
		begin = size * h.width
	}
	column = int((offset - begin) / size)
	return row, column, begin + uint64(column)*size, size
}

// tooBig returns what is kept outside of the blocks under a number.
func (h *heap) tooBig(number uint64) ([]byte, error) {
	var found []byte
	err := h.file.tree2(h.huge, func(record []byte) error {
		c := h.file.in(record)
		address, _ := c.address()
		size := c.size()
		if id := c.size(); c.err != nil || id != number {
			return c.err
		}
		var err error
		found, err = h.file.slice(address, size)
		return err
	})
	if err == nil && found == nil {
		err = fmt.Errorf("its thing %d is not there: damaged", number)
	}
	return found, err
}

// tree2 hands over the records of a B-tree of version 2.
func (f *file) tree2(address uint64, visit func(record []byte) error) error {
	c := f.at(address)
	c.signature("BTHD", 0)
	t := tree2{file: f, kind: c.byte(), nodeSize: c.uint(4), recordSize: c.uint(2), visit: visit}
	depth := c.int(2)
	c.skip(2)
	root, there := c.address()
	n := c.uint(2)
	const head = 4 + 1 + 1 + 4 // signature, version, kind, checksum
	switch {
	case c.err != nil:
		return c.err
	case !there || n == 0:
		return nil
	case t.recordSize == 0 || t.nodeSize < head+t.recordSize || depth > 16:
		return errors.New("a B-tree's sizes make no sense: damaged")
	}
	most := (t.nodeSize - head) / t.recordSize // records of a leaf
	t.countBytes = encodedIn(most)
	t.totalBytes = []int{0}
	for range depth {
		pointer := uint64(f.offsets + t.countBytes + t.totalBytes[len(t.totalBytes)-1])
		if t.nodeSize < head+pointer {
			return errors.New("a B-tree's sizes make no sense: damaged")
		}
		own := (t.nodeSize - head - pointer) / (t.recordSize + pointer)
		high, low := bits.Mul64(own+1, most)
		if high > 0 {
			return errors.New("a B-tree's sizes make no sense: damaged")
		}
		most = low + own
		t.totalBytes = append(t.totalBytes, encodedIn(most))
	}
	if err := t.node(root, n, depth); err != nil {
		return fmt.Errorf("a B-tree: %w", err)
	}
	return nil
}

type tree2 struct {
	file                 *file
	kind                 byte
	nodeSize, recordSize uint64
	countBytes           int   // of the number of a node's records
	totalBytes           []int // of the number of records below a node, by its height
	visit                func(record []byte) error
}

func (t *tree2) node(address, n uint64, height int) error {
	if err := t.file.spend(1 + int(n)); err != nil {
		return err
	}
	c := t.file.at(address)
	letters := "BTLF"
	if height > 0 {
		letters = "BTIN"
	}
	c.signature(letters, 0)
	if kind := c.byte(); c.err == nil && kind != t.kind {
		return errors.New("a node is of another kind: damaged")
	}
	for range n {
		record := c.bytes(t.recordSize)
		if c.err != nil {
			return c.err
		}
		if err := t.visit(record); err != nil {
			return err
		}
	}
	if height == 0 {
		return c.err
	}
	for range n + 1 {
		child, _ := c.address()
		records := c.uint(t.countBytes)
		c.skip(t.totalBytes[height-1])
		if c.err != nil {
			return c.err
		}
		if err := t.node(child, records, height-1); err != nil {
			return err
		}
	}
	return c.err
}

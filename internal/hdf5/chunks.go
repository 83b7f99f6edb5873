package hdf5

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zlib"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// chunked is a dataset in blocks of equal shape, which may be packed. It is a [stored.Content].
type chunked struct {
	shape   []int // of the dataset
	chunk   []int // shape of a chunk
	width   int   // bytes of an element
	size    int   // bytes of the dataset
	filters []filter
	chunks  []chunk // one for each place
}

// chunk is a block as it is in the file.
type chunk struct {
	at     []int // its first element
	raw    []byte
	passed uint32 // a bit for each filter that was left out
}

// filter is a step of packing.
type filter struct {
	kind  int
	value int // its first parameter
}

// Kinds of filters.
const (
	deflateFilter    = 1
	shuffleFilter    = 2
	fletcher32Filter = 3
)

// Ways to find chunks, of layouts of version 4 and 5.
const (
	singleIndex     = 1
	implicitIndex   = 2
	fixedArrayIndex = 3
)

// chunks reads where the chunks of a dataset are.
func (o *Object) chunks(c *cursor, version byte, shape []int, width, size int) (stored.Content, error) {
	d := &chunked{shape: shape, width: width, size: size}
	message, err := o.find(filterMessage)
	if err != nil {
		return nil, err
	}
	if d.filters, err = o.file.filters(message); err != nil {
		return nil, err
	}
	if version == 3 {
		err = d.indexed3(c)
	} else {
		err = d.indexed4(c)
	}
	if err != nil {
		return nil, err
	}
	if want, _ := stored.Elements(d.counts()); len(d.chunks) != want {
		return nil, fmt.Errorf("%d of its %d chunks are there: damaged", len(d.chunks), want)
	}
	if err := d.checkChunk(); err != nil {
		return nil, err
	}
	packed := 0
	for _, chunk := range d.chunks {
		packed += len(chunk.raw)
	}
	if !d.deflates() && packed < size || size/maxRatio > packed {
		return nil, fmt.Errorf("its %d bytes cannot become %d: damaged", packed, size)
	}
	return d, nil
}

// maxRatio is what deflate makes of a byte at most.
const maxRatio = 1032

func (d *chunked) deflates() bool {
	return slices.ContainsFunc(d.filters, func(f filter) bool { return f.kind == deflateFilter })
}

// checkChunk refuses chunks that would have to be unpacked whole and are far larger than the dataset, a corner of which
// may lie in a chunk of gigabytes.
func (d *chunked) checkChunk() error {
	most := budget.Proportional(int64(d.size), 16<<20, 4)
	if d.bytes() > int(most) && !d.inPart() {
		return fmt.Errorf("chunks of %s for a dataset of %s, the limit is %s", budget.Bytes(int64(d.bytes())), budget.Bytes(int64(d.size)), budget.Bytes(most))
	}
	return nil
}

// inPart tells whether the beginning of a chunk can be unpacked without the rest: shuffled bytes and checksums need all.
func (d *chunked) inPart() bool {
	return len(d.filters) == 0 || len(d.filters) == 1 && d.filters[0].kind == deflateFilter
}

// needed returns how many bytes of an unpacked chunk lie before the end of the last element that is the dataset's.
func (d *chunked) needed(c chunk) int {
	last := 0
	for i, at := range c.at {
		last = last*d.chunk[i] + min(d.chunk[i], d.shape[i]-at) - 1
	}
	return (last + 1) * d.width
}

// counts returns the number of chunks along each axis.
func (d *chunked) counts() []int {
	out := make([]int, len(d.shape))
	for i := range out {
		out[i] = (d.shape[i]-1)/d.chunk[i] + 1
	}
	return out
}

// shapeOf reads the shape of the chunks; the last of the dimensions is an element's bytes.
func (d *chunked) shapeOf(c *cursor, rank, bytes int) error {
	if c.err == nil && rank != len(d.shape)+1 {
		return fmt.Errorf("its chunks have %d dimensions, it has %d: damaged", rank-1, len(d.shape))
	}
	for range d.shape {
		d.chunk = append(d.chunk, c.dimension(bytes))
	}
	width := c.dimension(bytes)
	elements, ok := stored.Elements(d.chunk)
	switch {
	case c.err != nil:
		return c.err
	case width != d.width || !ok || elements == 0 || elements > maxBytes/d.width:
		return fmt.Errorf("chunks of shape %v, of elements of %d bytes: damaged", d.chunk, width)
	}
	return nil
}

// bytes returns the bytes of an unpacked chunk.
func (d *chunked) bytes() int { n, _ := stored.Elements(d.chunk); return n * d.width }

// add takes a chunk that begins at an element.
func (d *chunked) add(f *file, at []int, address, size uint64, passed uint32) error {
	for i, x := range at {
		if x%d.chunk[i] != 0 || x >= d.shape[i] {
			return fmt.Errorf("a chunk begins at %v, the shape is %v in chunks of %v: damaged", at, d.shape, d.chunk)
		}
	}
	raw, err := f.slice(address, size)
	if err != nil {
		return fmt.Errorf("a chunk: %w", err)
	}
	d.chunks = append(d.chunks, chunk{at, raw, passed})
	return nil
}

// indexed3 finds the chunks by a B-tree.
func (d *chunked) indexed3(c *cursor) error {
	rank := c.int(1)
	tree, there := c.address()
	if err := d.shapeOf(c, rank, 4); err != nil {
		return err
	}
	if !there {
		return errors.New("it was never written")
	}
	f := c.file
	last := []int(nil)
	return f.tree1(tree, chunkTree, 4+4+8*rank, -1, func(key []byte, address uint64) error {
		k := f.in(key)
		size, passed := k.uint(4), uint32(k.uint(4))
		at := make([]int, len(d.shape))
		for i := range at {
			at[i] = k.dimension(8)
		}
		if k.err != nil {
			return k.err
		}
		if last != nil && slices.Compare(last, at) >= 0 {
			return errors.New("its chunks are out of order: damaged")
		}
		last = at
		return d.add(f, at, address, size, passed)
	})
}

// indexed4 finds the chunks in the ways of newer files.
func (d *chunked) indexed4(c *cursor) error {
	flags, rank, bytes := c.byte(), c.int(1), c.int(1)
	if bytes > 8 {
		return errors.New("a dimension of a chunk has more than eight bytes: damaged")
	}
	if err := d.shapeOf(c, rank, bytes); err != nil {
		return err
	}
	f := c.file
	index := c.byte()
	size, passed := uint64(d.bytes()), uint32(0)
	switch index {
	case singleIndex:
		if flags&2 != 0 {
			size, passed = c.size(), uint32(c.uint(4))
		}
		address, there := c.address()
		if c.err != nil || !there {
			return errors.Join(errors.New("it was never written"), c.err)
		}
		return d.add(f, make([]int, len(d.shape)), address, size, passed)
	case implicitIndex:
		address, there := c.address()
		if c.err != nil || !there {
			return errors.Join(errors.New("it was never written"), c.err)
		}
		return d.each(func(i int, at []int) error { return d.add(f, at, address+uint64(i)*size, size, 0) })
	case fixedArrayIndex:
		c.skip(1)
		address, there := c.address()
		if c.err != nil || !there {
			return errors.Join(errors.New("it was never written"), c.err)
		}
		return d.array(f, address)
	}
	return fmt.Errorf("its chunks are found by an index of kind %d, which is not read: write it without maxshape", index)
}

// each goes through the places of chunks, row-major.
func (d *chunked) each(visit func(i int, at []int) error) error {
	counts := d.counts()
	at := make([]int, len(counts))
	for i := 0; ; i++ {
		if err := visit(i, slices.Clone(at)); err != nil {
			return err
		}
		axis := len(at) - 1
		for ; axis >= 0; axis-- {
			if at[axis] += d.chunk[axis]; at[axis] < d.shape[axis] {
				break
			}
			at[axis] = 0
		}
		if axis < 0 {
			return nil
		}
	}
}

// array reads a fixed array of chunks' addresses, which may come in pages.
func (d *chunked) array(f *file, address uint64) error {
	c := f.at(address)
	c.signature("FAHD", 0)
	packed, entry, pageBits := c.byte() == 1, c.int(1), c.int(1)
	entries := c.size()
	block, there := c.address()
	if c.err != nil || !there {
		return errors.Join(errors.New("a fixed array of chunks is not there: damaged"), c.err)
	}
	sizeBytes := entry - f.offsets - 4
	if want, ok := stored.Elements(d.counts()); !ok || uint64(want) != entries || packed && (sizeBytes < 1 || sizeBytes > 8) || pageBits > 32 {
		return errors.New("a fixed array of chunks has other sizes than the dataset: damaged")
	}
	c = f.at(block)
	c.signature("FADB", 0)
	c.skip(1)
	c.address()
	page := uint64(1) << pageBits
	paged := entries > page
	if paged {
		c.skip(int(((entries+page-1)/page + 7) / 8)) // a bit for each page that is there
		c.skip(4)                                    // checksum
	}
	return d.each(func(i int, at []int) error {
		if err := f.spend(1); err != nil {
			return err
		}
		if paged && i > 0 && uint64(i)%page == 0 {
			c.skip(4) // checksum
		}
		address, there := c.address()
		size, passed := uint64(d.bytes()), uint32(0)
		if packed {
			size, passed = c.uint(sizeBytes), uint32(c.uint(4))
		}
		if c.err != nil || !there {
			return errors.Join(errors.New("a chunk was never written"), c.err)
		}
		return d.add(f, at, address, size, passed)
	})
}

// filters reads the message of how chunks are packed.
func (f *file) filters(message []byte) ([]filter, error) {
	if message == nil {
		return nil, nil
	}
	c := f.in(message)
	version, n := c.byte(), c.int(1)
	switch version {
	case 1:
		c.skip(6)
	case 2:
	default:
		c.fail("version %d of filters is not known", version)
	}
	var out []filter
	for range n {
		kind, name := c.int(2), 0
		if version == 1 || kind >= 256 {
			name = c.int(2)
		}
		c.skip(2)
		values := c.int(2)
		if version == 1 {
			name = (name + 7) &^ 7
		}
		c.skip(name)
		one := filter{kind: kind}
		for i := range values {
			v := c.int(4)
			if i == 0 {
				one.value = v
			}
			if c.err != nil {
				break
			}
		}
		if version == 1 && values%2 == 1 {
			c.skip(4)
		}
		if c.err != nil {
			return nil, fmt.Errorf("filters: %w", c.err)
		}
		switch kind {
		case deflateFilter, shuffleFilter, fletcher32Filter:
		default:
			return nil, fmt.Errorf("it is packed with filter %d, which is not read (read are deflate, shuffle and fletcher32)", kind)
		}
		out = append(out, one)
	}
	return out, c.err
}

// Bytes implements [stored.Content].
func (d *chunked) Bytes() ([]byte, error) {
	out := make([]byte, d.size)
	for _, c := range d.chunks {
		data, err := d.unpack(c)
		if err != nil {
			return nil, fmt.Errorf("its chunk at %v: %w", c.at, err)
		}
		d.put(out, data, c.at)
	}
	return out, nil
}

// unpack undoes the filters, the last first, as far as the dataset needs the chunk.
func (d *chunked) unpack(c chunk) ([]byte, error) {
	data, need, part := c.raw, d.needed(c), d.inPart()
	for i, f := range slices.Backward(d.filters) {
		if i < 32 && c.passed>>i&1 != 0 {
			continue
		}
		var err error
		switch f.kind {
		case deflateFilter:
			if part && need < d.bytes() {
				data, err = inflateBeginning(data, need)
			} else {
				data, err = inflate(data, d.bytes()+4*len(d.filters)) // a checksum may be in it
			}
		case shuffleFilter:
			data, err = unshuffle(data, f.value)
		case fletcher32Filter:
			data, err = checked(data)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(data) < need {
		return nil, fmt.Errorf("%d bytes in the place of %d: damaged", len(data), d.bytes())
	}
	return data, nil
}

// put copies a chunk to its place; what reaches beyond the dataset is left out.
func (d *chunked) put(out, data []byte, at []int) {
	var walk func(axis, to, from int)
	walk = func(axis, to, from int) {
		n := 1
		if len(at) > 0 {
			n = min(d.chunk[axis], d.shape[axis]-at[axis])
		}
		if axis >= len(at)-1 {
			begin := to
			if len(at) > 0 {
				begin = to*d.shape[axis] + at[axis]
				from *= d.chunk[axis]
			}
			copy(out[begin*d.width:(begin+n)*d.width], data[from*d.width:])
			return
		}
		for i := range n {
			walk(axis+1, to*d.shape[axis]+at[axis]+i, from*d.chunk[axis]+i)
		}
	}
	walk(0, 0, 0)
}

// inflate unpacks at most so many bytes.
func inflate(data []byte, most int) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, io.LimitReader(r, int64(most)+1)); err != nil {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	if out.Len() > most {
		return nil, errors.New("deflate: it becomes more than a chunk: damaged")
	}
	return out.Bytes(), r.Close()
}

// inflateBeginning unpacks so many bytes, whatever follows.
func inflateBeginning(data []byte, n int) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	out := make([]byte, n)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	return out, nil
}

// unshuffle brings the bytes of elements together again.
func unshuffle(data []byte, width int) ([]byte, error) {
	if width < 1 || width > 16 {
		return nil, fmt.Errorf("shuffle: elements of %d bytes", width)
	}
	n := len(data) / width
	out := make([]byte, len(data))
	for b := range width {
		for i := range n {
			out[i*width+b] = data[b*n+i]
		}
	}
	copy(out[n*width:], data[n*width:])
	return out, nil
}

// checked holds bytes against the checksum behind them: Fletcher's, of words of 16 bits.
func checked(data []byte) ([]byte, error) {
	if len(data) < 4 {
		return nil, errors.New("fletcher32: there is no checksum: damaged")
	}
	body, want := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	a, b := uint32(0), uint32(0)
	for i := 0; i < len(body); i += 2 {
		word := uint32(body[i]) << 8
		if i+1 < len(body) {
			word |= uint32(body[i+1])
		}
		a = (a + word) % 65535
		b = (b + a) % 65535
	}
	if b<<16|a != want {
		return nil, errors.New("fletcher32: the checksum is another one: damaged")
	}
	return body, nil
}

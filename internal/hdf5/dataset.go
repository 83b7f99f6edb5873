package hdf5

import (
	"errors"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Dataset returns the numbers of a dataset under a name; false for a group. Types that the other
// formats have not are called "V4" if they are just so many bytes, else by their class.
func (o *Object) Dataset(name string) (t stored.Tensor, is bool, err error) {
	layout, err := o.find(layoutMessage)
	if layout == nil || err != nil {
		return t, false, err
	}
	if t, err = o.dataset(layout); err != nil {
		return t, true, fmt.Errorf("dataset %q: %w", name, err)
	}
	t.Name = name
	return t, true, nil
}

func (o *Object) dataset(layout []byte) (t stored.Tensor, err error) {
	shape, err := o.find(dataspaceMessage)
	if err != nil {
		return t, err
	}
	if t.Shape, err = o.file.dataspace(shape); err != nil {
		return t, err
	}
	body, err := o.find(datatypeMessage)
	if err != nil {
		return t, err
	}
	kind, err := o.file.datatype(body)
	if err != nil {
		return t, err
	}
	if external, err := o.find(externalMessage); external != nil || err != nil {
		return t, errors.Join(errors.New("its numbers are in another file, which is not read"), err)
	}
	t.Type, t.BigEndian = kind.numbers, kind.bigEndian
	if t.Type == "" {
		t.Type = stored.Type(fmt.Sprintf("HDF5 class %d", kind.class))
	}
	elements, ok := stored.Elements(t.Shape)
	if !ok || kind.size == 0 || elements > maxBytes/kind.size {
		return t, fmt.Errorf("shape %v of elements of %d bytes", t.Shape, kind.size)
	}
	t.Content, err = o.content(layout, t.Shape, kind.size, elements*kind.size)
	return t, err
}

// maxBytes is what a dataset may have, packed or not.
const maxBytes = 1 << 33

// Classes of layouts.
const (
	compactLayout    = 0
	contiguousLayout = 1
	chunkedLayout    = 2
)

// content finds the bytes of a dataset of so many.
func (o *Object) content(layout []byte, shape []int, width, size int) (stored.Content, error) {
	c := o.file.in(layout)
	version, class := c.byte(), c.byte()
	if version < 3 || version > 5 {
		return nil, fmt.Errorf("version %d of its layout is not read", version)
	}
	switch class {
	case compactLayout:
		raw := c.bytes(c.uint(2))
		if c.err == nil && len(raw) < size {
			return nil, fmt.Errorf("it has %d bytes, its shape %d: damaged", len(raw), size)
		}
		return stored.Raw(raw), c.err
	case contiguousLayout:
		address, there := c.address()
		found := c.size()
		switch {
		case c.err != nil:
			return nil, c.err
		case size == 0:
			return stored.Raw{}, nil
		case !there:
			return nil, errors.New("it was never written")
		case found < uint64(size):
			return nil, fmt.Errorf("it has %d bytes, its shape %d: damaged", found, size)
		}
		raw, err := o.file.slice(address, uint64(size))
		return stored.Raw(raw), err
	case chunkedLayout:
		if size == 0 {
			return stored.Raw{}, nil
		}
		return o.chunks(c, version, shape, width, size)
	}
	return nil, fmt.Errorf("class %d of its layout is not read", class)
}

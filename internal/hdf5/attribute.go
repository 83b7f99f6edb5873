package hdf5

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Texts returns the texts of an attribute, row-major; false if there is no attribute of that name.
func (o *Object) Texts(name string) (texts []string, there bool, err error) {
	err = o.attributes(func(a attribute) error {
		if a.name != name {
			return nil
		}
		there = true
		texts, err = a.texts(o.file)
		if err != nil {
			return fmt.Errorf("attribute %q: %w", name, err)
		}
		return nil
	})
	return texts, there, err
}

// attribute is a value beside an object's own.
type attribute struct {
	name     string
	datatype datatype
	shape    []int
	data     []byte
}

// attributes hands over the object's attributes.
func (o *Object) attributes(visit func(attribute) error) error {
	one := func(body []byte) error {
		a, err := o.file.attribute(body)
		if err != nil {
			return fmt.Errorf("an attribute: %w", err)
		}
		return visit(a)
	}
	for _, m := range o.messages {
		if m.kind != attributeMessage || m.shared {
			continue
		}
		if err := one(m.body); err != nil {
			return err
		}
	}
	info, err := o.find(attributeInfoMessage)
	if info == nil || err != nil {
		return err
	}
	c := o.file.in(info)
	c.signature("", 0)
	if flags := c.byte(); flags&1 != 0 {
		c.skip(2) // greatest order of creation
	}
	return o.file.dense(c, 0, one)
}

// attribute reads the message of an attribute, whose data are left as they are.
func (f *file) attribute(body []byte) (a attribute, err error) {
	c := f.in(body)
	version, flags := c.byte(), c.byte()
	sizes := [3]uint64{c.uint(2), c.uint(2), c.uint(2)} // of name, type and shape
	switch version {
	case 1:
		for i, n := range sizes {
			sizes[i] = (n + 7) &^ 7
		}
		flags = 0
	case 2:
	case 3:
		c.skip(1) // character set
	default:
		c.fail("version %d is not known", version)
	}
	if flags != 0 {
		c.fail("its type is shared with other objects, which is not read")
	}
	name := c.bytes(sizes[0])
	kind, shape := c.bytes(sizes[1]), c.bytes(sizes[2])
	if c.err != nil {
		return a, c.err
	}
	if a.name, err = f.text(append(bytes.Clone(name), 0)); err != nil {
		return a, err
	}
	if a.datatype, err = f.datatype(kind); err != nil {
		return a, err
	}
	a.shape, err = f.dataspace(shape)
	a.data = c.data
	return a, err
}

// texts reads the attribute's value.
func (a attribute) texts(f *file) ([]string, error) {
	n, ok := stored.Elements(a.shape)
	if width := a.datatype.size; !ok || width == 0 || n > len(a.data)/width {
		return nil, fmt.Errorf("shape %v does not fit %d bytes: damaged", a.shape, len(a.data))
	}
	if err := f.spend(n); err != nil {
		return nil, err
	}
	var texts []string
	for i := range n {
		raw := a.data[i*a.datatype.size:][:a.datatype.size]
		if a.datatype.class == variableClass {
			var err error
			if raw, err = f.global(raw); err != nil {
				return nil, err
			}
		} else if a.datatype.class != textClass {
			return nil, errors.New("it is no text")
		}
		if err := f.spend(len(raw)); err != nil {
			return nil, err
		}
		texts = append(texts, strings.TrimRight(string(raw), "\x00"))
	}
	return texts, nil
}

// global returns the bytes in the global heap that an element of variable length refers to.
func (f *file) global(element []byte) ([]byte, error) {
	c := f.in(element)
	length := c.uint(4)
	address, there := c.address()
	index := c.uint(4)
	if c.err != nil || !there || length == 0 {
		return nil, c.err
	}
	c = f.at(address)
	c.signature("GCOL", 1)
	c.skip(3)
	size := c.size()
	if uint64(c.read) > size || size-uint64(c.read) > uint64(len(c.data)) {
		return nil, errors.New("a global heap reaches beyond the end of the file: truncated or damaged")
	}
	c = f.in(c.data[:size-uint64(c.read)])
	for len(c.data) >= 8+f.sizes {
		if err := f.spend(1); err != nil {
			return nil, err
		}
		found := c.uint(2)
		c.skip(2 + 4)
		size := c.size()
		if found == 0 {
			break // the rest is free
		}
		data := c.bytes(size)
		if c.err != nil {
			return nil, c.err
		}
		if found == index {
			if length > size {
				return nil, errors.New("a text reaches out of the global heap: damaged")
			}
			return data[:length], nil
		}
		c.skip(min(int(-size&7), len(c.data)))
	}
	return nil, fmt.Errorf("the global heap has nothing under the number %d: damaged", index)
}

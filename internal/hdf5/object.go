package hdf5

import (
	"errors"
	"fmt"
)

// Object is a group or a dataset.
type Object struct {
	file     *file
	address  uint64
	messages []message
}

// Address tells where the object is. Links that lead to one address lead to one object.
func (o *Object) Address() uint64 { return o.address }

// message is a part of an object's header.
type message struct {
	kind   int
	shared bool // the body tells where the message is
	body   []byte
}

// Kinds of messages.
const (
	dataspaceMessage     = 0x01
	linkInfoMessage      = 0x02
	datatypeMessage      = 0x03
	linkMessage          = 0x06
	externalMessage      = 0x07
	layoutMessage        = 0x08
	filterMessage        = 0x0b
	attributeMessage     = 0x0c
	continuationMessage  = 0x10
	symbolTableMessage   = 0x11
	attributeInfoMessage = 0x15
)

// find returns the body of the object's only message of a kind; nil if there is none.
func (o *Object) find(kind int) ([]byte, error) {
	for _, m := range o.messages {
		if m.kind == kind {
			if m.shared {
				return nil, fmt.Errorf("a message of kind %#x is shared with other objects, which is not read", kind)
			}
			return m.body, nil
		}
	}
	return nil, nil
}

// maxMessages is more than any header has.
const maxMessages = 1 << 16

// object reads the header at an address.
func (f *file) object(address uint64) (*Object, error) {
	if err := f.spend(1); err != nil {
		return nil, err
	}
	o := &Object{file: f, address: address}
	c := f.at(address)
	var err error
	if len(c.data) >= 4 && string(c.data[:4]) == "OHDR" {
		err = o.header2(c)
	} else {
		err = o.header1(c)
	}
	if err != nil {
		return nil, fmt.Errorf("the object at %d: %w", address, err)
	}
	return o, nil
}

// header1 reads a header of version 1.
func (o *Object) header1(c *cursor) error {
	if version := c.byte(); version != 1 && c.err == nil {
		return fmt.Errorf("no object is there (version %d): damaged", version)
	}
	c.skip(1)
	c.skip(2 + 4) // number of messages, of links to it
	size := c.uint(4)
	c.skip(4)
	block := c.bytes(size)
	if c.err != nil {
		return c.err
	}
	return o.blocks(block, func(c *cursor) (message, bool) {
		kind, size, flags := c.int(2), c.uint(2), c.byte()
		c.skip(3)
		return message{kind, flags&2 != 0, c.bytes(size)}, len(c.data) >= 8
	}, func(block []byte) ([]byte, error) { return block, nil })
}

// header2 reads a header of version 2.
func (o *Object) header2(c *cursor) error {
	c.signature("OHDR", 2)
	flags := c.byte()
	if flags&0x20 != 0 {
		c.skip(16) // times
	}
	if flags&0x10 != 0 {
		c.skip(4) // when attributes move
	}
	block := c.bytes(c.uint(1 << (flags & 3)))
	if c.err != nil {
		return c.err
	}
	head := 4
	if flags&4 != 0 {
		head += 2
	}
	return o.blocks(block, func(c *cursor) (message, bool) {
		kind, size, shared := c.int(1), c.uint(2), c.byte()&2 != 0
		c.skip(head - 4) // order of creation
		return message{kind, shared, c.bytes(size)}, len(c.data) >= head
	}, func(block []byte) ([]byte, error) {
		if len(block) < 8 || string(block[:4]) != "OCHK" {
			return nil, errors.New("its header goes on where nothing is: damaged")
		}
		return block[4 : len(block)-4], nil // the last four are a checksum
	})
}

// blocks reads the messages of the first block, and of those that it says follow.
func (o *Object) blocks(block []byte, next func(*cursor) (message, bool), open func([]byte) ([]byte, error)) error {
	waiting := [][]byte{block}
	for len(waiting) > 0 {
		c := o.file.in(waiting[0])
		waiting = waiting[1:]
		for more := len(c.data) >= 8; more; {
			var m message
			m, more = next(c)
			if c.err != nil {
				return c.err
			}
			if err := o.file.spend(1); err != nil {
				return err
			}
			if m.kind != continuationMessage {
				o.messages = append(o.messages, m)
				continue
			}
			where := o.file.in(m.body)
			address, _ := where.address()
			size := where.size()
			if where.err != nil {
				return where.err
			}
			block, err := o.file.slice(address, size)
			if err == nil {
				block, err = open(block)
			}
			if err != nil {
				return err
			}
			waiting = append(waiting, block)
		}
		if len(o.messages) > maxMessages {
			return fmt.Errorf("its header has more than %d messages", maxMessages)
		}
	}
	return nil
}

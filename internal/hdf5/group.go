package hdf5

import (
	"errors"
	"fmt"
)

// Link is a name in a group, and the object that it leads to.
type Link struct {
	Name    string
	address uint64
}

// Open reads the object that a link of the group leads to.
func (o *Object) Open(l Link) (*Object, error) { return o.file.object(l.address) }

// Child opens the object of that name; nil if there is none.
func (o *Object) Child(name string) (*Object, error) {
	links, err := o.Links()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if l.Name == name {
			return o.Open(l)
		}
	}
	return nil, nil
}

// Links lists the hard links of a group, in the order in which they are stored; nil for a dataset.
func (o *Object) Links() ([]Link, error) {
	table, err := o.find(symbolTableMessage)
	if err != nil {
		return nil, err
	}
	if table != nil {
		return o.symbols(table)
	}
	var links []Link
	for _, m := range o.messages {
		if m.kind != linkMessage {
			continue
		}
		l, hard, err := o.file.link(m.body)
		if err != nil {
			return nil, err
		}
		if hard {
			links = append(links, l)
		}
	}
	info, err := o.find(linkInfoMessage)
	if info == nil || err != nil {
		return links, err
	}
	c := o.file.in(info)
	c.signature("", 0)
	if flags := c.byte(); flags&1 != 0 {
		c.skip(8) // greatest order of creation
	}
	err = o.file.dense(c, 4, func(body []byte) error { // a record is the name's hash and where the link is
		l, hard, err := o.file.link(body)
		if hard {
			links = append(links, l)
		}
		return err
	})
	return links, err
}

// link reads the message of a link; hard is false for one that leads to a name.
func (f *file) link(body []byte) (l Link, hard bool, err error) {
	c := f.in(body)
	c.signature("", 1)
	flags := c.byte()
	kind := byte(0)
	if flags&8 != 0 {
		kind = c.byte()
	}
	if flags&4 != 0 {
		c.skip(8) // order of creation
	}
	if flags&0x10 != 0 {
		c.skip(1) // character set
	}
	name := c.bytes(c.uint(1 << (flags & 3)))
	if err := f.spend(1 + len(name)); err != nil {
		return Link{}, false, err
	}
	l.Name = string(name)
	if kind == 0 {
		l.address, hard = c.address()
	}
	if c.err != nil {
		return Link{}, false, fmt.Errorf("a link: %w", c.err)
	}
	return l, hard, nil
}

// symbols reads a symbol table: a B-tree of nodes whose names are in a heap.
func (o *Object) symbols(message []byte) ([]Link, error) {
	c := o.file.in(message)
	tree, there := c.address()
	heap, _ := c.address()
	if c.err != nil || !there {
		return nil, c.err
	}
	names, err := o.file.localHeap(heap)
	if err != nil {
		return nil, fmt.Errorf("names of links: %w", err)
	}
	var links []Link
	err = o.file.tree1(tree, groupTree, o.file.sizes, -1, func(_ []byte, node uint64) error {
		c := o.file.at(node)
		c.signature("SNOD", 1)
		c.skip(1)
		n := c.int(2)
		if err := o.file.spend(n); err != nil {
			return err
		}
		for range n {
			name := c.uint(o.file.offsets)
			address, there := c.address()
			kind := c.uint(4)
			c.skip(4 + 16)
			if c.err != nil {
				return c.err
			}
			if !there || kind == 2 { // leads to a name
				continue
			}
			if name > uint64(len(names)) {
				return errors.New("a name lies outside of its heap: damaged")
			}
			text, err := o.file.text(names[name:])
			if err != nil {
				return err
			}
			links = append(links, Link{text, address})
		}
		return c.err
	})
	return links, err
}

// localHeap returns the bytes of a heap.
func (f *file) localHeap(address uint64) ([]byte, error) {
	c := f.at(address)
	c.signature("HEAP", 0)
	c.skip(3)
	size := c.size()
	c.size() // of the list of free space
	begin, _ := c.address()
	if c.err != nil {
		return nil, c.err
	}
	return f.slice(begin, size)
}

// Kinds of B-trees of version 1.
const (
	groupTree = 0
	chunkTree = 1
)

// tree1 walks over the leaves of a B-tree of version 1, whose keys have so many bytes. Its level must
// be the one given, -1 for any.
func (f *file) tree1(address uint64, kind byte, keySize, level int, leaf func(key []byte, child uint64) error) error {
	c := f.at(address)
	if found := c.bytes(4); c.err == nil && string(found) != "TREE" {
		return fmt.Errorf("a B-tree should be in the place of %q: damaged", found)
	}
	if found := c.byte(); c.err == nil && found != kind {
		return fmt.Errorf("a B-tree of kind %d is in the place of one of kind %d: damaged", found, kind)
	}
	found, n := c.int(1), c.int(2)
	if level >= 0 && found != level {
		return errors.New("a B-tree is not of one height: damaged")
	}
	c.address() // of siblings
	c.address()
	if err := f.spend(n + 1); err != nil {
		return err
	}
	for range n {
		key := c.bytes(uint64(keySize))
		child, _ := c.address()
		if c.err != nil {
			return c.err
		}
		var err error
		if found == 0 {
			err = leaf(key, child)
		} else {
			err = f.tree1(child, kind, keySize, found-1, leaf)
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

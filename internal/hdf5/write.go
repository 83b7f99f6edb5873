package hdf5

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Group is a group that is to be written. Names are unique within it, not empty, and have no slash.
type Group struct {
	Name     string
	Texts    []Text // attributes
	Groups   []Group
	Datasets []Dataset
}

// Text is an attribute of one text.
type Text struct{ Name, Value string }

// Dataset is an array of numbers that is to be written, row-major, as F32 or F16.
type Dataset struct {
	Name  string
	Shape []int
	Type  stored.Type
	Data  []float32
}

// Write writes a file of the root group: a superblock of version 2, object headers of version 2 that list the links of a group, and
// contiguous datasets. Equal groups give equal bytes.
func Write(w io.Writer, root Group) error {
	top, err := place(&root, superblockSize)
	if err != nil {
		return fmt.Errorf("write HDF5: %w", err)
	}
	end := top.end
	var datasets []*placed
	for _, o := range top.all() {
		if o.dataset != nil {
			end = (end + 7) &^ 7
			o.numbers = end
			end += o.dataset.bytes()
			datasets = append(datasets, o)
		}
	}
	out := &counted{w: bufio.NewWriterSize(w, 1<<16)}
	out.write(superblock2(top.at, end))
	for _, o := range top.all() {
		out.write(o.header())
	}
	for _, o := range datasets {
		out.write(make([]byte, o.numbers-out.n))
		out.numbers(*o.dataset)
	}
	if out.err == nil {
		out.err = out.w.Flush()
	}
	if out.err != nil {
		return fmt.Errorf("write HDF5: %w", out.err)
	}
	return nil
}

// superblockSize is the bytes of a superblock of version 2 with addresses and lengths of 8 bytes.
const superblockSize = 48

// nowhere is the address of nothing.
const nowhere = math.MaxUint64

func superblock2(root, end uint64) []byte {
	b := append([]byte(Signature), 2, 8, 8, 0)
	for _, address := range []uint64{0, nowhere, end, root} {
		b = binary.LittleEndian.AppendUint64(b, address)
	}
	return withChecksum(b)
}

// placed is an object with the address of its header.
type placed struct {
	name     string
	at, end  uint64 // of the header of the object; end is that of all headers below it, too
	group    *Group
	children []*placed
	dataset  *Dataset
	numbers  uint64 // address of a dataset's
}

// place gives addresses to the headers of a group and of all that is in it.
func place(g *Group, at uint64) (*placed, error) {
	o := &placed{name: g.Name, at: at, group: g}
	seen := map[string]bool{}
	add := func(child *placed) error {
		switch {
		case child.name == "" || len(child.name) > 255 || slices.Contains([]byte(child.name), '/'):
			return fmt.Errorf("%q is no name of a link", child.name)
		case seen[child.name]:
			return fmt.Errorf("two links are called %q", child.name)
		}
		seen[child.name] = true
		o.children = append(o.children, child)
		return nil
	}
	// The size of a header depends on the names of its links, not on their addresses.
	for i := range g.Groups {
		if err := add(&placed{name: g.Groups[i].Name}); err != nil {
			return nil, err
		}
	}
	for i := range g.Datasets {
		d := &g.Datasets[i]
		if n, ok := stored.Elements(d.Shape); !ok || n != len(d.Data) || d.Type != stored.F32 && d.Type != stored.F16 || len(d.Shape) > maxDimensions {
			return nil, fmt.Errorf("dataset %q: %d numbers of type %s for the shape %v", d.Name, len(d.Data), d.Type, d.Shape)
		}
		if err := add(&placed{name: d.Name, dataset: d}); err != nil {
			return nil, err
		}
	}
	at += uint64(len(o.header()))
	for i := range g.Groups {
		child, err := place(&g.Groups[i], at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.Groups[i].Name, err)
		}
		o.children[i], at = child, child.end
	}
	for _, child := range o.children[len(g.Groups):] {
		child.at = at
		at += uint64(len(child.header()))
		child.end = at
	}
	o.end = at
	return o, nil
}

// all lists the object and what is in it, in the order of their headers.
func (o *placed) all() []*placed {
	out := []*placed{o}
	for _, child := range o.children {
		out = append(out, child.all()...)
	}
	return out
}

// header is the object's header, of version 2.
func (o *placed) header() []byte {
	var m []byte
	message := func(kind byte, body []byte) {
		m = append(m, kind)
		m = binary.LittleEndian.AppendUint16(m, uint16(len(body)))
		m = append(m, 0)
		m = append(m, body...)
	}
	if o.dataset != nil {
		message(dataspaceMessage, shapeOf(o.dataset.Shape))
		message(datatypeMessage, typeOf(o.dataset.Type))
		message(fillMessage, []byte{3, 0x0a}) // written late, and only if one is set
		layout := []byte{3, contiguousLayout}
		layout = binary.LittleEndian.AppendUint64(layout, o.numbers)
		message(layoutMessage, binary.LittleEndian.AppendUint64(layout, o.dataset.bytes()))
	} else {
		info := binary.LittleEndian.AppendUint64([]byte{0, 0}, nowhere) // no heap of links: they are here
		message(linkInfoMessage, binary.LittleEndian.AppendUint64(info, nowhere))
		message(groupInfoMessage, []byte{0, 0})
		for _, t := range o.group.Texts {
			message(attributeMessage, t.message())
		}
		for _, child := range o.children {
			link := append([]byte{1, 0, byte(len(child.name))}, child.name...)
			message(linkMessage, binary.LittleEndian.AppendUint64(link, child.at))
		}
	}
	b := append([]byte("OHDR"), 2, 2) // the size has four bytes
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m)))
	return withChecksum(append(b, m...))
}

// Kinds of messages that are written alone.
const (
	fillMessage      = 0x05
	groupInfoMessage = 0x0a
)

// shapeOf is the message of a shape, that of one value for none.
func shapeOf(shape []int) []byte {
	b := []byte{2, byte(len(shape)), 0, 1}
	if len(shape) == 0 {
		b[3] = 0
	}
	for _, d := range shape {
		b = binary.LittleEndian.AppendUint64(b, uint64(d))
	}
	return b
}

// typeOf is the message of a floating-point type, little-endian.
func typeOf(t stored.Type) []byte {
	if t == stored.F16 {
		return []byte{0x10 | realClass, 0x20, 15, 0, 2, 0, 0, 0, 0, 0, 16, 0, 10, 5, 0, 10, 15, 0, 0, 0}
	}
	return []byte{0x10 | realClass, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}
}

// message is that of an attribute, a text in UTF-8 of its own length.
func (t Text) message() []byte {
	const nullPadded, utf8 = 1, 1
	kind := binary.LittleEndian.AppendUint32([]byte{0x10 | textClass, nullPadded | utf8<<4, 0, 0}, uint32(max(len(t.Value), 1)))
	space := shapeOf(nil)
	b := []byte{3, 0}
	for _, n := range []int{len(t.Name) + 1, len(kind), len(space)} {
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
	}
	b = append(append(append(b, utf8), t.Name...), 0)
	b = append(append(append(b, kind...), space...), t.Value...)
	if t.Value == "" {
		b = append(b, 0)
	}
	return b
}

func (d Dataset) bytes() uint64 {
	if d.Type == stored.F16 {
		return uint64(2 * len(d.Data))
	}
	return uint64(4 * len(d.Data))
}

// counted is a writer that knows how much it wrote.
type counted struct {
	w   *bufio.Writer
	n   uint64
	err error
}

func (c *counted) write(b []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(b)
	}
	c.n += uint64(len(b))
}

func (c *counted) numbers(d Dataset) {
	var b [4]byte
	for _, v := range d.Data {
		if d.Type == stored.F16 {
			binary.LittleEndian.PutUint16(b[:], stored.Float16(v))
			c.write(b[:2])
			continue
		}
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		c.write(b[:])
	}
}

package arrowmeta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	flatbuffers "github.com/google/flatbuffers/go"
)

// ErrMalformed is metadata that cannot be what a writer wrote.
var ErrMalformed = errors.New("malformed: its schema has more fields than bytes")

// CheckFile refuses an Arrow IPC file of so many bytes whose schema says that it has more fields, or metadata, than the
// footer's bytes can hold. What has no footer at all passes: the library says what it lacks.
func CheckFile(file io.ReaderAt, size int64) error {
	const head = 8
	var tail [4 + 6]byte // the footer's length, and a mark
	if size < head+int64(len(tail)) {
		return nil
	}
	end := size - int64(len(tail))
	if _, err := file.ReadAt(tail[:], end); err != nil {
		return err
	}
	length := int64(int32(binary.LittleEndian.Uint32(tail[:])))
	if length < 8 || length > end {
		return nil
	}
	footer := make([]byte, length)
	if _, err := file.ReadAt(footer, end-length); err != nil {
		return err
	}
	return checkFooter(footer)
}

func checkFooter(footer []byte) (err error) {
	defer malformed(&err)
	schema, ok := child(Root(footer), 1)
	if !ok {
		return nil
	}
	return checkSchema(schema)
}

// CheckMessage refuses the metadata of a message whose schema says that it has more fields, or metadata, than its bytes can
// hold, and returns how many bytes its body has.
func CheckMessage(metadata []byte) (body int64, err error) {
	defer malformed(&err)
	message := Root(metadata)
	if at := flatbuffers.UOffsetT(message.Offset(Slot(3))); at != 0 {
		body = message.GetInt64(message.Pos + at)
	}
	if body < 0 {
		return 0, fmt.Errorf("malformed: a body of %d bytes", body)
	}
	const isSchema = 1
	if kind := message.GetByteSlot(Slot(1), 0); kind != isSchema {
		return body, nil
	}
	schema, ok := child(message, 2)
	if !ok {
		return body, nil
	}
	return body, checkSchema(schema)
}

func checkSchema(schema flatbuffers.Table) error {
	c := &count{left: len(schema.Bytes) / 4}
	if err := c.vector(schema, 2, nil); err != nil {
		return err
	}
	return c.vector(schema, 1, func(field flatbuffers.Table) error { return c.field(field, 0) })
}

// count is of the elements that a schema may still have.
type count struct{ left int }

// maxDepth is how deep fields may stand in each other.
const maxDepth = 64

func (c *count) field(field flatbuffers.Table, depth int) error {
	if depth > maxDepth {
		return ErrMalformed
	}
	if err := c.vector(field, 6, nil); err != nil {
		return err
	}
	return c.vector(field, 5, func(child flatbuffers.Table) error { return c.field(child, depth+1) })
}

// vector checks field i of a table, a vector of tables, and calls a function with each.
func (c *count) vector(t flatbuffers.Table, i int, each func(flatbuffers.Table) error) error {
	at := flatbuffers.UOffsetT(t.Offset(Slot(i)))
	if at == 0 {
		return nil
	}
	n, begin := t.VectorLen(at), t.Vector(at)
	if n < 0 || n > c.left || n > (len(t.Bytes)-int(begin))/4 {
		return ErrMalformed
	}
	c.left -= n
	if each == nil {
		return nil
	}
	for j := range n {
		if err := each(flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(begin + 4*flatbuffers.UOffsetT(j))}); err != nil {
			return err
		}
	}
	return nil
}

// Root is the table that a flatbuffer begins with. Like all accesses to it, it panics where an offset leads out of the bytes.
func Root(raw []byte) flatbuffers.Table {
	return flatbuffers.Table{Bytes: raw, Pos: flatbuffers.GetUOffsetT(raw)}
}

// Slot is the place of field i of a table in its vtable.
func Slot(i int) flatbuffers.VOffsetT { return flatbuffers.VOffsetT(4 + 2*i) }

// child is field i of a table, a table.
func child(t flatbuffers.Table, i int) (flatbuffers.Table, bool) {
	at := flatbuffers.UOffsetT(t.Offset(Slot(i)))
	if at == 0 {
		return t, false
	}
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + t.Pos)}, true
}

func malformed(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("malformed: %v", p)
	}
}

package record

import (
	"encoding/binary"
	"errors"

	flatbuffers "github.com/google/flatbuffers/go"
)

// maxDepth is how deep fields may stand in each other.
const maxDepth = 64

// checkFooter refuses an Arrow IPC file whose schema says that it has more fields, or metadata, than its bytes can hold: the
// library makes room for as many as a length says.
func checkFooter(data []byte) (err error) {
	defer recoverAs(&err, "open an Arrow file")
	const tail, head = 4 + 6, 8
	if len(data) < head+tail {
		return nil // the library says what it lacks
	}
	length := int64(int32(binary.LittleEndian.Uint32(data[len(data)-tail:])))
	end := int64(len(data) - tail)
	if length < 8 || length > end {
		return nil
	}
	footer := root(data[end-length : end])
	schema, ok := tableOf(footer, 1)
	if !ok {
		return nil
	}
	c := &footerCheck{left: len(footer.Bytes) / 4}
	if err := c.vector(schema, 2, nil); err != nil {
		return err
	}
	return c.vector(schema, 1, func(field flatbuffers.Table) error { return c.field(field, 0) })
}

// footerCheck counts what a footer says it holds.
type footerCheck struct{ left int }

var errLies = errors.New("open an Arrow file: malformed: its schema has more fields than bytes")

func (c *footerCheck) field(field flatbuffers.Table, depth int) error {
	if depth > maxDepth {
		return errLies
	}
	if err := c.vector(field, 6, nil); err != nil {
		return err
	}
	return c.vector(field, 5, func(child flatbuffers.Table) error { return c.field(child, depth+1) })
}

// vector checks field i of a table, a vector of tables, and calls a function with each.
func (c *footerCheck) vector(t flatbuffers.Table, i int, each func(flatbuffers.Table) error) error {
	at := flatbuffers.UOffsetT(t.Offset(slot(i)))
	if at == 0 {
		return nil
	}
	n, begin := t.VectorLen(at), t.Vector(at)
	if n < 0 || n > c.left || n > (len(t.Bytes)-int(begin))/4 {
		return errLies
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

// tableOf is field i of a table, a table.
func tableOf(t flatbuffers.Table, i int) (flatbuffers.Table, bool) {
	at := flatbuffers.UOffsetT(t.Offset(slot(i)))
	if at == 0 {
		return t, false
	}
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + t.Pos)}, true
}

package segment

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// Digests hashes what each row says in these columns together. Names and
// types have no part in it.
func Digests(columns ...arrow.Array) cache.RowDigests {
	if len(columns) == 0 {
		return nil
	}
	n := columns[0].Len()
	values := make([]func(i int) []byte, len(columns))
	for c, column := range columns {
		values[c] = cellBytes(column)
	}
	out := make(cache.RowDigests, 0, n*len(cache.RowDigest{}))
	hash := sha256.New()
	var frame, sum []byte
	for i := range n {
		hash.Reset()
		for c, column := range columns {
			if column.IsNull(i) {
				hash.Write([]byte{0})
				continue
			}
			value := values[c](i)
			frame = binary.AppendUvarint(append(frame[:0], 1), uint64(len(value)))
			hash.Write(frame)
			hash.Write(value)
		}
		sum = hash.Sum(sum[:0])
		out = append(out, sum[:len(cache.RowDigest{})]...)
	}
	return out
}

// cellBytes returns what gives the bytes of a value of the column: those at
// rest where that is plain, else its text.
func cellBytes(column arrow.Array) func(i int) []byte {
	switch a := column.(type) {
	case *array.String:
		return func(i int) []byte { return []byte(a.Value(i)) }
	case *array.Binary:
		return a.Value
	case *array.FixedSizeList:
		size := int(a.DataType().(*arrow.FixedSizeListType).Len())
		if raw, ok := plainBytes(a.ListValues(), size); ok {
			first := a.Data().Offset()
			return func(i int) []byte { return raw(first + i) }
		}
	default:
		if raw, ok := plainBytes(column, 1); ok {
			return raw
		}
	}
	return func(i int) []byte { return []byte(column.ValueStr(i)) }
}

// plainBytes gives runs of so many values as they rest, for types of whole
// bytes without nulls.
func plainBytes(values arrow.Array, size int) (func(i int) []byte, bool) {
	t, ok := values.DataType().(arrow.FixedWidthDataType)
	if !ok || t.BitWidth()%8 != 0 || size > 1 && values.NullN() > 0 {
		return nil, false
	}
	if _, nested := t.(arrow.NestedType); nested || len(values.Data().Buffers()) != 2 {
		return nil, false
	}
	width := t.BitWidth() / 8 * size
	offset := values.Data().Offset() * (t.BitWidth() / 8)
	var raw []byte
	if b := values.Data().Buffers()[1]; b != nil {
		raw = b.Bytes()
	}
	return func(i int) []byte { return raw[offset+i*width:][:width] }, true
}

// Sum is the digest of bytes that stand for a row.
func Sum(raw []byte) cache.RowDigest {
	sum := sha256.Sum256(raw)
	return cache.RowDigest(sum[:len(cache.RowDigest{})])
}

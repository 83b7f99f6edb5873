package record

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/tlpipe/tlpipe/internal/arrowmeta"
)

// View returns the records of an Arrow IPC file without copying them: their
// buffers are views of data, which must stay as it is until the last of them
// is released. So a file that is mapped into memory can be read row by row. As
// for [Decode], data is meant to be a file whose digest was verified; lengths
// that lead out of it give an error.
//
// The Arrow library copies what it reads, so the places of the buffers are
// read here: from the footer (Arrow's File.fbs) and from the header of each
// batch (Message.fbs). Files that [Writer] writes have no dictionaries and are
// not compressed; others are refused.
func View(data []byte) (records []arrow.Record, err error) {
	schema, err := DecodeSchema(data)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, rec := range records {
				rec.Release()
			}
			records = nil
		}
	}()
	defer recoverAs(&err, "view an Arrow file")
	blocks, err := blocksOf(data)
	if err != nil {
		return nil, fmt.Errorf("view an Arrow file: %w", err)
	}
	for i, b := range blocks {
		rec, err := b.view(data, schema)
		if err != nil {
			return records, fmt.Errorf("view batch %d of an Arrow file: %w", i, err)
		}
		records = append(records, rec)
	}
	return records, nil
}

// block is where a batch lies in a file: its header and, behind it, its body.
type block struct{ offset, header, body int64 }

// Lengths, in bytes, of the structs of Arrow's File.fbs and Message.fbs.
const (
	blockSize  = 24 // offset int64, metaDataLength int32, padding, bodyLength int64
	nodeSize   = 16 // length int64, null_count int64
	bufferSize = 16 // offset int64, length int64
)

// blocksOf reads the footer.
func blocksOf(data []byte) ([]block, error) {
	const tail = 4 + 6 // length of the footer, magic
	length := int64(binary.LittleEndian.Uint32(data[len(data)-tail:]))
	end := int64(len(data) - tail)
	footer := arrowmeta.Root(data[end-length : end])
	if n := structs(footer, 2, blockSize); len(n) > 0 {
		return nil, errors.New("it has dictionaries")
	}
	var out []block
	for _, raw := range structs(footer, 3, blockSize) {
		out = append(out, block{
			offset: int64(binary.LittleEndian.Uint64(raw)),
			header: int64(int32(binary.LittleEndian.Uint32(raw[8:]))),
			body:   int64(binary.LittleEndian.Uint64(raw[16:])),
		})
	}
	return out, nil
}

// structs returns the elements of field i, a vector of structs of that size.
func structs(t flatbuffers.Table, i, size int) [][]byte {
	at := flatbuffers.UOffsetT(t.Offset(arrowmeta.Slot(i)))
	if at == 0 {
		return nil
	}
	n, begin := t.VectorLen(at), int(t.Vector(at))
	if n > (len(t.Bytes)-begin)/size { // else a length that lies takes the memory
		panic("a vector leads out of its table") // like the accesses around it
	}
	out := make([][]byte, n)
	for j := range out {
		out[j] = t.Bytes[begin+j*size:][:size]
	}
	return out
}

// view makes the record of a batch.
func (b block) view(data []byte, schema *arrow.Schema) (arrow.Record, error) {
	const prefix = 8 // continuation mark, length of the message
	message := arrowmeta.Root(data[b.offset+prefix : b.offset+b.header])
	header := flatbuffers.UOffsetT(message.Offset(arrowmeta.Slot(2)))
	if header == 0 {
		return nil, errors.New("it has no header")
	}
	var batch flatbuffers.Table
	message.Union(&batch, header)
	if batch.Offset(arrowmeta.Slot(3)) != 0 {
		return nil, errors.New("it is compressed")
	}
	v := viewer{
		body:    data[b.offset+b.header:][:b.body],
		nodes:   structs(batch, 1, nodeSize),
		buffers: structs(batch, 2, bufferSize),
	}
	columns := make([]arrow.Array, 0, schema.NumFields())
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	for _, f := range schema.Fields() {
		values, err := v.array(f.Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
		columns = append(columns, array.MakeFromData(values))
		values.Release()
	}
	rows := batch.GetInt64Slot(arrowmeta.Slot(0), 0)
	return array.NewRecord(schema, columns, rows), nil
}

// viewer takes a batch's arrays in the order in which they lie in it: depth
// first.
type viewer struct {
	body           []byte
	nodes, buffers [][]byte
}

func (v *viewer) array(t arrow.DataType) (arrow.ArrayData, error) {
	switch t.(type) {
	case arrow.FixedWidthDataType, arrow.BinaryDataType, *arrow.FixedSizeListType, *arrow.ListType, *arrow.StructType:
	default:
		return nil, fmt.Errorf("%s cannot be viewed", t)
	}
	node := v.nodes[0]
	v.nodes = v.nodes[1:]
	length, nulls := int(binary.LittleEndian.Uint64(node)), int(binary.LittleEndian.Uint64(node[8:]))
	buffers := make([]*memory.Buffer, len(t.Layout().Buffers))
	for i := range buffers {
		at, size := binary.LittleEndian.Uint64(v.buffers[0]), binary.LittleEndian.Uint64(v.buffers[0][8:])
		v.buffers = v.buffers[1:]
		if size > 0 {
			buffers[i] = memory.NewBufferBytes(v.body[at:][:size:size])
		}
	}
	var children []arrow.ArrayData
	if nested, ok := t.(arrow.NestedType); ok {
		for _, f := range nested.Fields() {
			child, err := v.array(f.Type)
			if err != nil {
				return nil, err
			}
			defer child.Release()
			children = append(children, child)
		}
	}
	return array.NewData(t, length, buffers, children, nulls, 0), nil
}

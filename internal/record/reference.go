package record

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
)

// Reference is what a model told of a sample of rows that it did not learn from, so that its answers to other rows can be
// held against them. Package drift makes and reads it.
type Reference struct {
	Split   string `json:"split"` // that the rows are of
	Columns int    `json:"columns"`
	Values  string `json:"values"` // [rows][columns] probabilities times 65535, as little-endian uint16 in base64
}

// mostReference is the size of the largest reference, in bytes.
const mostReference = 1 << 20

// NewReference makes a reference of values, [rows][columns].
func NewReference(split string, columns int, values []uint16) *Reference {
	text := make([]byte, 0, 2*len(values))
	for _, v := range values {
		text = binary.LittleEndian.AppendUint16(text, v)
	}
	return &Reference{Split: split, Columns: columns, Values: base64.StdEncoding.EncodeToString(text)}
}

// Sample gives the values, [rows][Columns].
func (r *Reference) Sample() ([]uint16, error) {
	if r.Columns < 1 || r.Columns > mostReference || len(r.Values) > 2*mostReference {
		return nil, fmt.Errorf("a reference of %d columns and %d characters is none", r.Columns, len(r.Values))
	}
	text, err := base64.StdEncoding.DecodeString(r.Values)
	if err != nil {
		return nil, fmt.Errorf("read the answers that a model is held against: %w", err)
	}
	if len(text) == 0 || len(text)%(2*r.Columns) != 0 {
		return nil, fmt.Errorf("%d bytes are no rows of %d answers", len(text), r.Columns)
	}
	out := make([]uint16, 0, len(text)/2)
	for pair := range slices.Chunk(text, 2) {
		out = append(out, binary.LittleEndian.Uint16(pair))
	}
	return out, nil
}

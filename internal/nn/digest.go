package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math"
	"slices"
)

// Digest returns the hexadecimal SHA-256 of the tensors, their names and shapes.
func (w Weights) Digest() string {
	hash := sha256.New()
	var buffer []byte
	for _, name := range slices.Sorted(maps.Keys(w)) {
		t := w[name]
		buffer = append(binary.AppendUvarint(buffer[:0], uint64(len(name))), name...)
		buffer = binary.AppendUvarint(buffer, uint64(len(t.Shape)))
		for _, n := range t.Shape {
			buffer = binary.AppendUvarint(buffer, uint64(n))
		}
		hash.Write(buffer)
		for values := range slices.Chunk(t.Data, 4096) {
			buffer = buffer[:0]
			for _, x := range values {
				buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(x))
			}
			hash.Write(buffer)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

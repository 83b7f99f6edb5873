package hdf5

import (
	"encoding/binary"
	"math/bits"
)

// withChecksum appends the checksum of a structure to it: the hash lookup3 of Bob Jenkins (2006, in the public domain), begun with 0.
func withChecksum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

func checksum(data []byte) uint32 {
	start := 0xdeadbeef + uint32(len(data))
	x, y, z := start, start, start
	for len(data) > 12 {
		x += binary.LittleEndian.Uint32(data)
		y += binary.LittleEndian.Uint32(data[4:])
		z += binary.LittleEndian.Uint32(data[8:])
		data = data[12:]
		for _, turn := range [2][3]int{{4, 6, 8}, {16, 19, 4}} {
			x = x - z ^ bits.RotateLeft32(z, turn[0])
			z += y
			y = y - x ^ bits.RotateLeft32(x, turn[1])
			x += z
			z = z - y ^ bits.RotateLeft32(y, turn[2])
			y += x
		}
	}
	if len(data) == 0 {
		return z
	}
	var last [12]byte
	copy(last[:], data)
	x += binary.LittleEndian.Uint32(last[:])
	y += binary.LittleEndian.Uint32(last[4:])
	z += binary.LittleEndian.Uint32(last[8:])
	z = z ^ y - bits.RotateLeft32(y, 14)
	x = x ^ z - bits.RotateLeft32(z, 11)
	y = y ^ x - bits.RotateLeft32(x, 25)
	z = z ^ y - bits.RotateLeft32(y, 16)
	x = x ^ z - bits.RotateLeft32(z, 4)
	y = y ^ x - bits.RotateLeft32(x, 14)
	return z ^ y - bits.RotateLeft32(y, 24)
}

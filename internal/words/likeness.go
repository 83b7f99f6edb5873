package words

import (
	"encoding/binary"
	"hash/fnv"

	"github.com/tlpipe/tlpipe/internal/picture/likeness"
)

// shortest is how many words a text has at least that is told by its likeness.
const shortest = 8

// Likeness is a hash of a text of which few bits differ for texts of nearly the same words in the same order, by Charikar's
// similarity hash ("Similarity Estimation Techniques from Rounding Algorithms", 2002) of all pairs of words that follow each
// other. ok is false for a text of a few words.
func Likeness(text string) (h likeness.Hash, ok bool) {
	var sums [likeness.Bits]int32
	count, before := 0, ""
	for word := range In(text) {
		count++
		if before != "" {
			add(&sums, before, word)
		}
		before = word
	}
	if count < shortest {
		return h, false
	}
	for i, sum := range sums {
		if sum > 0 {
			h[i/64] |= 1 << (i % 64)
		}
	}
	return h, true
}

// add adds the bits of a pair of words.
func add(sums *[likeness.Bits]int32, a, b string) {
	hash := fnv.New128a()
	_, _ = hash.Write([]byte(a))
	_, _ = hash.Write([]byte{0})
	_, _ = hash.Write([]byte(b))
	var raw [16]byte
	hash.Sum(raw[:0])
	seeds := [2]uint64{binary.LittleEndian.Uint64(raw[:]), binary.LittleEndian.Uint64(raw[8:])}
	for i := range 4 {
		bits := mix(seeds[i%2] + uint64(i)*0x9E3779B97F4A7C15)
		for j := range 64 {
			sums[64*i+j] += int32(bits>>j&1)*2 - 1
		}
	}
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// Package likeness tells whether two pictures look alike, by perceptual hashes: 256 bits a picture, of which few differ if one
// is the other stored again, scaled or slightly brighter, and about half if they are two pictures. Cropped, mirrored and
// turned pictures are others.
//
// A hash is made as PDQ's is (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019): of the
// brightness at 64×64 places, the 16×16 lowest frequencies of the cosine transform without the constant ones, each above their
// median or not. All is computed in whole numbers, so that hashes are the same on every machine.
package likeness

import (
	"encoding/hex"
	"math"
	"math/bits"
	"slices"
)

// Hash is the hash of a picture.
type Hash [4]uint64

// Bits is the length of a hash.
const Bits = 256

// Near is how many bits may differ between pictures that look alike, as PDQ's authors advise.
const Near = 31

const (
	side        = 64 // places a side whose brightness is taken
	frequencies = 16 // a side
)

// cosines are those of the transform, times 2^14: [frequency][place].
var cosines = func() (c [frequencies][side]int64) {
	for k := range c {
		for x := range c[k] {
			c[k][x] = int64(math.Round(math.Cos(math.Pi/side*(float64(x)+0.5)*float64(k+1)) * (1 << 14)))
		}
	}
	return c
}()

// flat is the variance of brightness, in levels of 255 squared, below which a picture shows nothing to tell it by.
const flat = 16

// Of hashes a picture of height × width RGB pixels, 3 bytes each, row by row. ok is false for a picture that shows next to
// nothing.
func Of(pixels []byte, height, width int) (h Hash, ok bool) {
	if height < 1 || width < 1 || len(pixels) < 3*height*width {
		return h, false
	}
	var grey [side][side]int64 // 16 times the brightness
	sum, squares := int64(0), int64(0)
	for y := range side {
		top, bottom := span(y, height)
		for x := range side {
			left, right := span(x, width)
			total := int64(0)
			for i := top; i < bottom; i++ {
				line := pixels[3*(i*width+left) : 3*(i*width+right)]
				for ; len(line) >= 3; line = line[3:] {
					total += 299*int64(line[0]) + 587*int64(line[1]) + 114*int64(line[2])
				}
			}
			v := total * 16 / (1000 * int64((bottom-top)*(right-left)))
			grey[y][x] = v
			sum += v
			squares += v * v
		}
	}
	const places = side * side
	if squares/places-(sum/places)*(sum/places) < flat*16*16 {
		return h, false
	}
	// The transform, along the rows and then along the columns.
	var rows [side][frequencies]int64
	for y := range side {
		for k := range frequencies {
			for x := range side {
				rows[y][k] += grey[y][x] * cosines[k][x]
			}
			rows[y][k] >>= 10
		}
	}
	values := make([]int64, 0, Bits)
	for k := range frequencies {
		for j := range frequencies {
			v := int64(0)
			for y := range side {
				v += rows[y][j] * cosines[k][y]
			}
			values = append(values, v)
		}
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	median := sorted[Bits/2]
	for i, v := range values {
		if v >= median {
			h[i/64] |= 1 << (i % 64)
		}
	}
	return h, true
}

// span is the part of n pixels that one of the places covers, at least one pixel.
func span(place, n int) (from, to int) {
	from, to = place*n/side, (place+1)*n/side
	return from, max(to, from+1)
}

// Distance is how many bits differ.
func (h Hash) Distance(other Hash) int {
	d := 0
	for i, word := range h {
		d += bits.OnesCount64(word ^ other[i])
	}
	return d
}

// String writes a hash as 64 hexadecimal digits.
func (h Hash) String() string {
	var raw [Bits / 8]byte
	for i, word := range h {
		for j := range 8 {
			raw[8*i+j] = byte(word >> (8 * j))
		}
	}
	return hex.EncodeToString(raw[:])
}

// Parse reads what String wrote.
func Parse(text string) (h Hash, ok bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != Bits/8 {
		return h, false
	}
	for i, b := range raw {
		h[i/8] |= uint64(b) << (8 * (i % 8))
	}
	return h, true
}

// Index finds the nearest of many hashes.
type Index struct {
	hashes []Hash
	bands  [bandCount]map[uint16][]int32 // by 16 bits of the hash: those that have them
}

const bandCount = Bits / 16

// mostInBand bounds how many hashes of one band are looked at: simple drawings share many bits.
const mostInBand = 2000

// NewIndex makes an index of hashes, which it keeps.
func NewIndex(hashes []Hash) *Index {
	x := &Index{hashes: hashes}
	for b := range x.bands {
		x.bands[b] = map[uint16][]int32{}
		for i, h := range hashes {
			key := h.band(b)
			x.bands[b][key] = append(x.bands[b][key], int32(i))
		}
	}
	return x
}

func (h Hash) band(b int) uint16 { return uint16(h[b/4] >> (16 * (b % 4))) }

// Nearest finds the hash from which the fewest bits differ, at most Near: the first of several. It finds each up to 15 bits
// away; of those further away it may miss some (at 31 bits about one in eight), for it looks only at hashes that agree in one
// of 16 bands. at is −1 if there is none.
func (x *Index) Nearest(h Hash) (at, distance int) {
	at, distance = -1, Near+1
	for b := range x.bands {
		band := x.bands[b][h.band(b)]
		for _, i := range band[:min(len(band), mostInBand)] {
			if d := h.Distance(x.hashes[i]); d < distance || d == distance && int(i) < at {
				at, distance = int(i), d
			}
		}
	}
	return at, distance
}

package augment

import (
	"crypto/sha256"
	"encoding/binary"
	"image"
	"math"
	"math/rand/v2"
)

// newDraw is the chance of one copy of one row.
func newDraw(seed uint64, content string, copy int) *draw {
	var head [16]byte
	binary.LittleEndian.PutUint64(head[:], seed)
	binary.LittleEndian.PutUint64(head[8:], uint64(copy))
	sum := sha256.Sum256(append(append([]byte("augment 1:"), head[:]...), content...))
	return &draw{rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])))}
}

type draw struct{ *rand.Rand }

// between draws evenly from low … high.
func (d *draw) between(low, high float64) float64 { return low + (high-low)*d.Float64() }

// about draws evenly from centre ± spread.
func (d *draw) about(centre, spread float64) float64 { return d.between(centre-spread, centre+spread) }

// chance is true with probability p.
func (d *draw) chance(p float64) bool { return d.Float64() < p }

// part draws a rectangle within w × h pixels: its share of the area evenly
// from scale, its ratio of width to height log-evenly from ratio. After ten
// rectangles that do not fit, it is the largest in the middle that does
// (torchvision, RandomResizedCrop).
func (d *draw) part(w, h int, scale, ratio Range) image.Rectangle {
	area := float64(w * h)
	for range 10 {
		share := d.between(scale[0], scale[1]) * area
		aspect := math.Exp(d.between(math.Log(ratio[0]), math.Log(ratio[1])))
		pw, ph := int(math.Round(math.Sqrt(share*aspect))), int(math.Round(math.Sqrt(share/aspect)))
		if pw < 1 || ph < 1 || pw > w || ph > h {
			continue
		}
		x, y := d.IntN(w-pw+1), d.IntN(h-ph+1)
		return image.Rect(x, y, x+pw, y+ph)
	}
	pw, ph := w, h
	switch whole := float64(w) / float64(h); {
	case whole < ratio[0]:
		ph = max(1, min(h, int(math.Round(float64(w)/ratio[0]))))
	case whole > ratio[1]:
		pw = max(1, min(w, int(math.Round(float64(h)*ratio[1]))))
	}
	x, y := (w-pw)/2, (h-ph)/2
	return image.Rect(x, y, x+pw, y+ph)
}

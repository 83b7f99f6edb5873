package picture

import "github.com/tlpipe/tlpipe/internal/record"

// Normaliser turns RGB pixels into what a network sees.
type Normaliser struct {
	table       [3][256]float32 // by output channel
	first, last int             // channels of the pixels that become the first and the last
}

// NewNormaliser makes a normaliser: (v/divisor − mean) / std, in the order of the step's channels, which is also that of
// mean and std.
func NewNormaliser(s record.NormaliseStep) Normaliser {
	n := Normaliser{last: 2}
	for c := range n.table {
		for v := range n.table[c] {
			n.table[c][v] = float32((float64(v)/s.Divisor - float64(s.Mean[c])) / float64(s.Std[c]))
		}
	}
	if s.Channels == "bgr" {
		n.first, n.last = 2, 0
	}
	return n
}

// Apply normalises pixels. dst must be as long as pixels.
func (n *Normaliser) Apply(dst []float32, pixels []uint8) {
	for i := 0; i+2 < len(pixels); i += 3 {
		dst[i] = n.table[0][pixels[i+n.first]]
		dst[i+1] = n.table[1][pixels[i+1]]
		dst[i+2] = n.table[2][pixels[i+n.last]]
	}
}

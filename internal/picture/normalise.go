package picture

import "github.com/tlpipe/tlpipe/internal/record"

// Normalise turns RGB pixels into what a network sees, (v/255 − mean) / std, in
// the order of the preprocessing's channels, which is also that of mean and
// std. dst must be as long as pixels.
func Normalise(dst []float32, pixels []uint8, p record.Preprocessing) {
	var table [3][256]float32 // by output channel
	for c := range table {
		for v := range table[c] {
			table[c][v] = float32((float64(v)/255 - float64(p.Mean[c])) / float64(p.Std[c]))
		}
	}
	first, last := 0, 2
	if p.Channels == "bgr" {
		first, last = 2, 0
	}
	for i := 0; i+2 < len(pixels); i += 3 {
		dst[i] = table[0][pixels[i+first]]
		dst[i+1] = table[1][pixels[i+1]]
		dst[i+2] = table[2][pixels[i+last]]
	}
}

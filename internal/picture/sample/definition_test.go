package sample

import "math"

// definition is the inverse DCT as T.81 defines it, shifted and bounded.
func definition(in [64]int32) (out [64]float64) {
	basis := func(x, u int) float64 {
		c := math.Cos(float64(2*x+1) * float64(u) * math.Pi / 16)
		if u == 0 {
			c *= math.Sqrt2 / 2
		}
		return c / 2
	}
	for y := range 8 {
		for x := range 8 {
			sum := 128.0
			for v := range 8 {
				for u := range 8 {
					sum += basis(x, u) * basis(y, v) * float64(in[8*v+u])
				}
			}
			out[8*y+x] = min(max(sum, 0), 255)
		}
	}
	return out
}

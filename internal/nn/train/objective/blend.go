package objective

import "slices"

// Blend is how the examples of a batch are mixed with each other: example i keeps the share Keep of itself
// and takes the rest from example Partner[i]. The zero value mixes nothing.
type Blend struct {
	Partner []int
	Keep    float64
}

// Apply mixes targets, [examples][width], in place.
func (b Blend) Apply(x []float32, width int) {
	if b.Partner == nil {
		return
	}
	before := slices.Clone(x)
	for i, p := range b.Partner {
		b.Pair(x[i*width:(i+1)*width], before[p*width:(p+1)*width])
	}
}

// Pair makes Keep·own + (1−Keep)·other of own.
func (b Blend) Pair(own, other []float32) {
	for i, v := range other {
		own[i] = float32(b.Keep*float64(own[i]) + (1-b.Keep)*float64(v))
	}
}

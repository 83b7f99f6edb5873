package backbone

import (
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// placement is how learned positions of a square of patches become those of another rectangle: by bicubic interpolation of
// Keys' kernel with a = -3/4, as PyTorch's interpolate has it for a given size (corners are not aligned, nothing is smoothed
// before), which is what transformers does. Tokens before the patches keep their own positions.
type placement struct {
	from  grid
	to    [2]int // height and width, in patches
	width int    // of a vector
}

// fits tells whether a tensor of that shape has positions of a square of patches.
func (p placement) fits(shape []int) bool {
	s := slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })
	if len(s) != 2 || s[1] != p.width || p.to[0] == 0 {
		return false
	}
	side := p.sideOf(s[0])
	return side > 0 && side*side == s[0]-p.from.before
}

func (p placement) sideOf(rows int) int {
	return int(math.Round(math.Sqrt(float64(max(rows-p.from.before, 0)))))
}

func (p placement) apply(data []float32) []float32 {
	side := p.sideOf(len(data) / p.width)
	out := kernel.Memory((p.from.here + p.to[0]*p.to[1]) * p.width)
	before := p.from.before * p.width
	copy(out, data[:before])
	patches, places := data[before:], out[p.from.here*p.width:]
	if p.to == [2]int{side, side} {
		copy(places, patches)
		return out
	}
	lines, columns := cubics(side, p.to[0]), cubics(side, p.to[1])
	sum := make([]float64, p.width)
	for y, line := range lines {
		for x, column := range columns {
			clear(sum)
			for _, a := range line {
				for _, b := range column {
					by := a.factor * b.factor
					for c, v := range patches[(a.at*side+b.at)*p.width:][:p.width] {
						sum[c] += by * float64(v)
					}
				}
			}
			to := places[(y*p.to[1]+x)*p.width:][:p.width]
			for c, v := range sum {
				to[c] = float32(v)
			}
		}
	}
	return out
}

// share is what an old place gives to a new one.
type share struct {
	at     int
	factor float64
}

// cubics are the shares of old places, from 0 to from-1, in each of so many new ones; beyond the ends the last one counts.
func cubics(from, to int) [][4]share {
	const a = -0.75
	near := func(x float64) float64 { return ((a+2)*x-(a+3))*x*x + 1 }
	far := func(x float64) float64 { return ((a*x-5*a)*x+8*a)*x - 4*a }
	out := make([][4]share, to)
	for i := range out {
		x := (float64(i)+0.5)*float64(from)/float64(to) - 0.5
		first := math.Floor(x)
		t := x - first
		for k, factor := range []float64{far(t + 1), near(t), near(1 - t), far(2 - t)} {
			out[i][k] = share{min(max(int(first)+k-1, 0), from-1), factor}
		}
	}
	return out
}

package graph

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Draw says which random numbers a run draws: the same Draw gives the same ones.
type Draw struct {
	Seed  uint64
	Epoch int
	Step  int
}

// SetDraw chooses the random numbers of the next run.
func (g *Graph) SetDraw(d Draw) { g.run.draw = d }

// Stream returns random numbers of the draw for one purpose, such as a layer's name. The parts are
// mixed, so that no two purposes, steps or epochs share a stream, nor have related ones.
func (d Draw) Stream(purpose string) *rand.PCG {
	name := fnv.New64a()
	name.Write([]byte(purpose)) // never fails
	return rand.NewPCG(
		mix(mix(d.Seed)^uint64(d.Epoch)<<32^uint64(d.Step)),
		mix(mix(d.Seed+1)^name.Sum64()))
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014), a bijection that spreads every
// bit over all.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Dropout sets each element to zero with probability rate, 0 ≤ rate < 1, and multiplies the others
// by 1/(1−rate) (Srivastava et al. 2014). What is dropped follows from the graph's [Draw] and the
// layer's name.
func (g *Graph) Dropout(x *Node, rate float32, layer string) *Node {
	if rate == 0 {
		return x
	}
	mask := make([]float32, x.Shape().TotalSize())
	return g.add(operation{
		name:   "dropout",
		output: x.Shape().Clone(),
		forward: func(y []float32, v [][]float32) error {
			fillMask(mask, rate, g.run.draw.Stream(layer))
			kernel.Mul(g.run.pool, y, v[0], mask)
			return nil
		},
		again: func(y []float32, v [][]float32) error {
			kernel.Mul(g.run.pool, y, v[0], mask)
			return nil
		},
		over: []int{0},
		backward: func(_ gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			// The order with y is what the mask is drawn by.
			dx, err := g.apply(operation{
				name:   "dropout, gradient",
				output: x.Shape().Clone(),
				forward: func(dx []float32, v [][]float32) error {
					kernel.Mul(g.run.pool, dx, v[0], mask)
					return nil
				},
				over: []int{0}, order: 1,
			}, dy, y)
			return gorgonia.Nodes{dx}, err
		},
	}, x)
}

// fillMask draws what is kept, 1/(1−rate), and what is dropped, 0: two elements a number.
func fillMask(mask []float32, rate float32, random *rand.PCG) {
	drop := uint64(min(float64(rate)*(1<<32), math.MaxUint32))
	keep := math.Float32bits(1 / (1 - rate))
	choose := func(bits uint64) float32 { // without a branch, which would be foretold wrongly too often
		below := uint32((bits - drop) >> 63) // 1 if bits < drop
		return math.Float32frombits(keep & (below - 1))
	}
	for len(mask) >= 2 {
		bits := random.Uint64()
		mask[0], mask[1] = choose(bits&math.MaxUint32), choose(bits>>32)
		mask = mask[2:]
	}
	if len(mask) > 0 {
		mask[0] = choose(random.Uint64() & math.MaxUint32)
	}
}

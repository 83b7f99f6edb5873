package calibration

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tlpipe/tlpipe/internal/dataset/emoji"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
)

// How many pictures there are of each sort.
const (
	drawn  = 12
	leaves = 12
)

// Options returns those that compile a network with a precision: with the ranges, found by so many
// threads, if the precision needs them. p tells how the network's pictures are prepared.
func Options(precision frozen.Precision, net *nn.Network, w nn.Weights, p record.Preprocessing, threads int) (frozen.Options, error) {
	o := frozen.Options{Precision: precision}
	if precision != frozen.Int8 {
		return o, nil
	}
	x, err := Pictures(p)
	if err != nil {
		return o, fmt.Errorf("pictures to calibrate on: %w", err)
	}
	pool := kernel.NewPool(threads)
	defer pool.Close()
	o.Ranges, err = o.Calibrate(net, w, pool, x, drawn+leaves)
	return o, err
}

// Pictures returns the pictures, prepared.
func Pictures(p record.Preprocessing) ([]float32, error) {
	preparation, err := picture.Prepare(p.Transforms().OfPictures())
	if err != nil {
		return nil, err
	}
	size := preparation.Size()
	out := make([]float32, (drawn+leaves)*size)
	levels := make([]uint8, size)
	set, err := emoji.Open()
	if err != nil {
		return nil, err
	}
	rows := set.Rows()
	decoder := picture.NewDecoder()
	for i := range drawn {
		data, err := set.Read(rows[i*len(rows)/drawn].ID)
		if err != nil {
			return nil, err
		}
		if err := preparation.Pixels(decoder, levels, data); err != nil {
			return nil, err
		}
		preparation.Normalise(out[i*size:], levels)
	}
	for i := range leaves {
		drawLeaves(levels, p.Height, p.Width, rand.New(rand.NewPCG(uint64(i), 0)))
		preparation.Normalise(out[(drawn+i)*size:(drawn+i+1)*size], levels)
	}
	return out, nil
}

// drawLeaves covers a picture with discs, from the nearest to the farthest. The number of discs with a
// radius above r falls as 1/r², from a third of the picture down to two pixels.
func drawLeaves(levels []uint8, height, width int, random *rand.Rand) {
	covered := make([]bool, height*width)
	left := len(covered)
	largest := float64(min(height, width)) / 3
	for left > len(covered)/1000 {
		r := min(2/math.Sqrt(random.Float64()), largest)
		x, y := random.Float64()*float64(width), random.Float64()*float64(height)
		colour := [3]uint8{uint8(random.IntN(256)), uint8(random.IntN(256)), uint8(random.IntN(256))}
		for row := max(int(y-r), 0); row < min(int(y+r)+1, height); row++ {
			half := math.Sqrt(max(r*r-(float64(row)-y)*(float64(row)-y), 0))
			for column := max(int(x-half), 0); column < min(int(x+half)+1, width); column++ {
				at := row*width + column
				if covered[at] {
					continue
				}
				covered[at] = true
				left--
				copy(levels[3*at:], colour[:])
			}
		}
	}
	for at, done := range covered { // the background is grey
		if !done {
			copy(levels[3*at:], []uint8{128, 128, 128})
		}
	}
}

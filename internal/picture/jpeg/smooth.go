package jpeg

import "slices"

// What the scans of a progressive picture have told of a coefficient.
const (
	untold = -1 // nothing
	exact  = 0  // all bits; a number above 0 is how many low bits are still to come
)

// guessed is the number of coefficients, in zigzag order, that are guessed where a file ends before it has told them.
const guessed = 10

// unfinished says whether coefficients are to be guessed: when a progressive picture has no scans for some of the first
// ones. Then libjpeg shows what the mean brightness of the blocks around suggests ("block smoothing", after T.81 K.8), and
// not blocks of even colour. Every component needs its mean brightness and divisors for that.
func (f *frame) unfinished() bool {
	any := false
	for i := range f.parts {
		c := &f.parts[i]
		if c.told[0] == untold {
			return false
		}
		for k, bits := range c.told {
			if f.quantisers[c.quantity][natural[k]] == 0 {
				return false
			}
			any = any || k > 0 && bits != exact
		}
	}
	return any
}

// brightnessAlone says that no scan has told of another coefficient that could be guessed.
func (c *component) brightnessAlone() bool {
	return !slices.ContainsFunc(c.told[1:], func(bits int8) bool { return bits != untold })
}

// A kernel weighs the mean brightness (the DC coefficient) of the 5×5 blocks around one, in 256ths, to a coefficient.
type kernel [5][5]int

func (k kernel) transposed() (out kernel) {
	for y, row := range k {
		for x, w := range row {
			out[x][y] = w
		}
	}
	return out
}

// kernels gives those of libjpeg-turbo (since version 2.1) by the coefficient's place in zigzag order, horizontal
// frequencies and, turned over, vertical ones. Where nothing but brightness is known, alone, they fit a smooth surface, which
// changes the brightness itself; else they are those of T.81 K.8, widened to 5×5, for five coefficients.
func kernels(alone bool) (of [guessed]kernel) {
	pair := func(horizontal, vertical int, k kernel) {
		of[horizontal], of[vertical] = k, k.transposed()
	}
	if !alone {
		pair(1, 2, kernel{2: {-7, 50, 0, -50, 7}})
		pair(5, 3, kernel{2: {-1, 13, -24, 13, -1}})
		of[4] = kernel{{0, -1, 0, 1, 0}, {-1, 10, 0, -10, 1}, {}, {1, -10, 0, 10, -1}, {0, 1, 0, -1, 0}}
		return of
	}
	of[0] = kernel{{-2, -6, -8, -6, -2}, {-6, 6, 42, 6, -6}, {-8, 42, 152, 42, -8}, {-6, 6, 42, 6, -6}, {-2, -6, -8, -6, -2}}
	pair(1, 2, kernel{{-1, -1, 0, 1, 1}, {-3, 13, 0, -13, 3}, {-3, 38, 0, -38, 3}, {-3, 13, 0, -13, 3}, {-1, -1, 0, 1, 1}})
	pair(5, 3, kernel{1: {0, 2, -5, 2, 0}, 2: {1, 7, -14, 7, 1}, 3: {0, 2, -5, 2, 0}})
	of[4] = kernel{{-1, 0, 0, 0, 1}, {0, 9, 0, -9, 0}, {}, {0, -9, 0, 9, 0}, {1, 0, 0, 0, -1}}
	pair(6, 9, kernel{1: {0, 1, 0, -1, 0}, 2: {0, 2, 0, -2, 0}, 3: {0, 1, 0, -1, 0}})
	pair(8, 7, kernel{1: {0, 1, 0, -1, 0}, 2: {0, -3, 0, 3, 0}, 3: {0, 1, 0, -1, 0}})
	return of
}

// guess fills in coefficients of a block that are zero because no scan has told them.
func (c *component) guess(block *[64]int16, x, y int, quantiser *[64]int32, of *[guessed]kernel) {
	around := c.around(x, y)
	for k := range of {
		if c.told[k] == exact && k > 0 || block[k] != 0 && k > 0 || of[k] == (kernel{}) {
			continue
		}
		sum := 0
		for j, row := range of[k] {
			for i, w := range row {
				sum += w * around[j][i]
			}
		}
		divisor := int(quantiser[natural[k]])
		sum *= int(quantiser[0])
		value := (divisor<<7 + max(sum, -sum)) / (divisor << 8)
		if bits := c.told[k]; k > 0 && bits > 0 { // the bits above are known to be zero
			value = min(value, 1<<bits-1)
		}
		if sum < 0 {
			value = -value
		}
		block[k] = int16(value)
	}
}

// around gives the mean brightness of the blocks around one. Beyond the picture the last block counts again. What is the
// last row of blocks follows libjpeg, to the letter: it counts those of the last row of MCUs, of which there may be fewer.
func (c *component) around(x, y int) (out [5][5]int) {
	row, rows := y, c.strideY
	mcu, mcus := y/c.v, c.strideY/c.v
	if left := c.blocksY % c.v; mcu == mcus-1 && left > 0 {
		row, rows = mcu*left+y%c.v, mcus*left
	}
	for j := range out {
		at := y + min(max(j-2, -row), rows-1-row)
		for i := range out[j] {
			out[j][i] = int(c.coefficients[64*(at*c.strideX+min(max(x+i-2, 0), c.blocksX-1))])
		}
	}
	return out
}

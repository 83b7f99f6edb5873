package stored

import "math"

// Int8 quantises numbers to −127 … 127 steps of a size for each of some rows of equal length: the largest magnitude of the
// row is 127 steps, so that 0 is a step. The sizes have 16 significant bits: a number of steps times its size is exact in
// float32, and quantising what [Numbers] gives gives the same again.
func Int8(data []float32, rows int) (steps []int8, sizes []float32) {
	each := len(data) / max(rows, 1)
	steps, sizes = make([]int8, len(data)), make([]float32, rows)
	for r := range sizes {
		row := data[r*each : (r+1)*each]
		var largest float32
		for _, v := range row {
			largest = max(largest, v, -v)
		}
		sizes[r] = roundUp(largest / 127)
		for i, v := range row {
			steps[r*each+i] = int8(min(max(math.RoundToEven(float64(v/sizes[r])), -127), 127))
		}
	}
	return steps, sizes
}

// Numbers are what steps stand for.
func Numbers(steps []int8, sizes []float32) []float32 {
	out := make([]float32, len(steps))
	each := len(steps) / max(len(sizes), 1)
	for i, s := range steps {
		out[i] = float32(s) * sizes[i/each]
	}
	return out
}

// smallest is the least size of steps: products of smaller ones could be subnormal.
const smallest = 0x1p-100

// roundUp keeps 16 significant bits, rounding up, so that the largest number stays within 127 steps.
func roundUp(x float32) float32 {
	if !(x >= smallest) {
		return smallest
	}
	bits := math.Float32bits(x)
	if rest := bits & 0xff; rest != 0 {
		bits += 0x100 - rest
	}
	return math.Float32frombits(bits)
}

// BFloat16 rounds a number to the upper half of a float32, to the nearest, ties to even.
func BFloat16(x float32) uint16 {
	bits := math.Float32bits(x)
	if x != x {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

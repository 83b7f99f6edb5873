package quantise

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// Range is where the numbers of a value lie. It contains 0.
type Range struct {
	Low  float32 `json:"low"`
	High float32 `json:"high"`
}

// With is the smallest range that holds both.
func (r Range) With(other Range) Range { return Range{min(r.Low, other.Low), max(r.High, other.High)} }

// Steps are what bytes stand for: number = Size·(step − Zero), of steps −128 … 127.
type Steps struct {
	Size float32
	Zero int8
}

// Steps divides the range into 255 equal steps, of which 0 is one.
func (r Range) Steps() Steps {
	if !(r.High > r.Low) {
		return Steps{Size: 1}
	}
	size := (r.High - r.Low) / 255
	return Steps{size, int8(math.RoundToEven(float64(-r.Low/size)) - 128)}
}

// Round gives the number of the nearest step, ties to even; what lies beyond is cut off.
func (s Steps) Round(x float32) float32 {
	v := math.RoundToEven(float64(x/s.Size)) + float64(s.Zero)
	return s.Size * float32(min(max(v, -128), 127)-float64(s.Zero))
}

// Weight quantises a weight: its steps, row-major, and their size by output channel. The sizes have 16 significant bits, so
// that a number of steps times its size is exact in float32, and quantising what [Weight.Numbers] gives gives the same again.
func Weight(w nn.Tensor) (steps []int8, sizes []float32) {
	channels := w.Shape[0]
	each := len(w.Data) / channels
	steps, sizes = make([]int8, len(w.Data)), make([]float32, channels)
	for c := range sizes {
		row := w.Data[c*each : (c+1)*each]
		var largest float32
		for _, v := range row {
			largest = max(largest, v, -v)
		}
		size := roundUp(largest / 127)
		sizes[c] = size
		for i, v := range row {
			steps[c*each+i] = int8(min(max(math.RoundToEven(float64(v/size)), -127), 127))
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

// Rounded is the weight as it is after it was quantised.
func Rounded(w nn.Tensor) nn.Tensor {
	steps, sizes := Weight(w)
	return nn.Tensor{Shape: w.Shape, Data: Numbers(steps, sizes)}
}

// smallest is the least size of steps: below it their products with others could be subnormal.
const smallest = 0x1p-100

// roundUp keeps 16 significant bits, rounding up, so that the largest number stays within 127 steps.
func roundUp(x float32) float32 {
	if x < smallest {
		return smallest
	}
	bits := math.Float32bits(x)
	if rest := bits & 0xff; rest != 0 {
		bits += 0x100 - rest
	}
	return math.Float32frombits(bits)
}

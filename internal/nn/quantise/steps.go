package quantise

import (
	"math"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/stored"
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

// Within tells whether x is rounded to a step that there is, and not cut off.
func (s Steps) Within(x float32) bool {
	v := math.RoundToEven(float64(x/s.Size)) + float64(s.Zero)
	return v >= -128 && v <= 127
}

// Weight quantises a weight: its steps, row-major, and their size by output channel; see [stored.Int8].
func Weight(w nn.Tensor) (steps []int8, sizes []float32) { return stored.Int8(w.Data, w.Shape[0]) }

// Rounded is the weight as it is after it was quantised.
func Rounded(w nn.Tensor) nn.Tensor {
	return nn.Tensor{Shape: w.Shape, Data: stored.Numbers(Weight(w))}
}

// Weighted is a weight and a bias, quantised for inputs in given steps.
type Weighted struct {
	Steps []int8    // of the weight, row-major
	Sizes []float32 // of the weight's steps, by output channel
	Bias  []int32   // in steps of the input's size times Sizes
}

// For quantises a weight and a bias, which may be nil, for an input. The steps of a channel whose weights are so small that its
// bias would not fit into 32 bits are made larger.
func For(input Steps, weight nn.Tensor, bias []float32) Weighted {
	const most = 1 << 30
	steps, sizes := Weight(weight)
	out := Weighted{steps, sizes, make([]int32, len(sizes))}
	each := len(steps) / len(sizes)
	for c, b := range bias {
		if least := math.Abs(float64(b)) / (most * float64(input.Size)); float64(sizes[c]) < least {
			sizes[c] = float32(2 * least)
			for i := c * each; i < (c+1)*each; i++ {
				steps[i] = int8(math.RoundToEven(float64(weight.Data[i] / sizes[c])))
			}
		}
		out.Bias[c] = int32(math.RoundToEven(float64(b) / (float64(input.Size) * float64(sizes[c]))))
	}
	return out
}

// BiasSizes are those of the bias' steps.
func (w Weighted) BiasSizes(input Steps) []float32 {
	out := make([]float32, len(w.Sizes))
	for c, s := range w.Sizes {
		out[c] = input.Size * s
	}
	return out
}

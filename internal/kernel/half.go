package kernel

import "math"

// Weights of 16 bits under tensors of float32, for processors that have no product of bfloat16: half the memory, at
// nearly the speed of float32.
//
// Plain convolutions round their weights to bfloat16. Winograd's method, whose transforms magnify rounding about ten
// times, rounds its transformed weights to float16, which has three bits more. Either way the error of an output is
// about two thousandths of the outputs' root mean square; at the last output of each of Winograd's squares, which sees
// some numbers times 64, it is a few times that.
//
// AVX2 keeps weights so and widens them as it multiplies. Other instructions keep the rounded numbers as float32.

// HasHalfWeights tells whether the instructions in use keep weights in 16 bits; see [PackOptions].
func HasHalfWeights() bool { return active().multiplies(elementHalf) }

// halve makes a convolution, of which nothing is packed yet, one whose weights are rounded.
func (p *PackedConv) halve() { p.halved = !p.conv.Depthwise() && !p.gradient }

// pairsHalves tells whether the weights are kept as words of two numbers.
func (p *PackedConv) pairsHalves() bool {
	return p.halved && p.winograd == nil && p.set.multiplies(elementHalf) && p.in/p.conv.Groups%2 == 0
}

// halfWeights returns weights rounded to bfloat16, by twos where they are kept so.
func (p *PackedConv) halfWeights(weights []float32) []float32 {
	if p.kind == elementHalf {
		return p.roundWeights(weights)
	}
	rounded := make([]float32, len(weights))
	for i, w := range weights {
		rounded[i] = RoundBFloat16(w).Float32()
	}
	return rounded
}

// float16 is IEEE 754's binary16.
type float16 uint16

// roundFloat16 rounds x to the nearest number, ties to even.
func roundFloat16(x float32) float16 {
	bits := math.Float32bits(x)
	sign := float16(bits >> 16 & 0x8000)
	switch magnitude := bits & 0x7fffffff; {
	case magnitude > 0x7f800000: // NaN
		return sign | 0x7e00 | float16(magnitude>>13&0x3ff)
	case magnitude >= 0x477ff000: // the middle of the largest number and what would follow it, and more
		return sign | 0x7c00
	case magnitude < 0x38800000: // below the smallest normal number: multiples of 2⁻²⁴
		return sign | float16(math.RoundToEven(float64(math.Float32frombits(magnitude))*(1<<24)))
	default:
		magnitude -= (127 - 15) << 23
		return sign | float16((magnitude+0xfff+magnitude>>13&1)>>13)
	}
}

func (x float16) float32() float32 {
	sign, exponent, fraction := uint32(x)&0x8000<<16, uint32(x)>>10&31, uint32(x)&0x3ff
	switch exponent {
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)/(1<<24)))
	case 31:
		bits := sign | 0x7f800000 | fraction<<13
		if fraction != 0 {
			bits |= 1 << 22
		}
		return math.Float32frombits(bits)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// roundFloat16s rounds len(dst) numbers.
func roundFloat16s(set isa, dst []float16, src []float32) {
	for i := roundFloat16Assembly(set, dst, src); i < len(dst); i++ {
		dst[i] = roundFloat16(src[i])
	}
}

// expandFloat16s widens len(dst) numbers.
func expandFloat16s(set isa, dst []float32, src []float16) {
	for i := expandFloat16Assembly(set, dst, src); i < len(dst); i++ {
		dst[i] = src[i].float32()
	}
}

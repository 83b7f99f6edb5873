package kernel

// winogradFrame is what the assembly reads, at the offsets that winograd_test.go pins. Distances are
// in bytes.
type winogradFrame struct {
	src, dst, bias, temporary *float32
	srcLine, srcPixel         int
	dstLine, dstPixel         int
	n                         int
	low, high                 float32
}

// assembly runs the transform in assembly; false means that the set has none.
func (t *winogradTile) assembly(set isa, m int, step winogradStep) bool {
	if set == portable {
		return false
	}
	f := winogradFrame{
		src: &t.in[0], dst: &t.out[0], temporary: t.temporary,
		srcLine: 4 * t.srcLine, srcPixel: 4 * t.srcPixel, dstLine: 4 * t.dstLine, dstPixel: 4 * t.dstPixel,
		n: t.n, low: t.low, high: t.high,
	}
	if step == winogradOutput {
		f.bias = &t.bias[:t.n][0]
	}
	switch {
	case set == avx512 && m == 2:
		switch step {
		case winogradInput:
			winogradInput2AVX512(&f)
		case winogradWeights:
			winogradWeights2AVX512(&f)
		case winogradOutput:
			winogradOutput2AVX512(&f)
		}
	case set == avx512:
		switch step {
		case winogradInput:
			winogradInput4AVX512(&f)
		case winogradWeights:
			winogradWeights4AVX512(&f)
		case winogradOutput:
			winogradOutput4AVX512(&f)
		}
	case m == 2:
		switch step {
		case winogradInput:
			winogradInput2AVX2(&f)
		case winogradWeights:
			winogradWeights2AVX2(&f)
		case winogradOutput:
			winogradOutput2AVX2(&f)
		}
	default:
		switch step {
		case winogradInput:
			winogradInput4AVX2(&f)
		case winogradWeights:
			winogradWeights4AVX2(&f)
		case winogradOutput:
			winogradOutput4AVX2(&f)
		}
	}
	return true
}

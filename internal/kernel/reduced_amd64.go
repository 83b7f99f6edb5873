package kernel

func roundBFloat16Assembly(set isa, dst []BFloat16, src []float32) bool {
	if !set.multiplies(elementBFloat16) {
		return false
	}
	roundBFloat16AVX512(&dst[0], &src[:len(dst)][0], len(dst))
	return true
}

func pairBFloat16Assembly(set isa, dst, low, high []float32) bool {
	if !set.multiplies(elementBFloat16) || len(dst) == 0 {
		return false
	}
	pairBFloat16AVX512(&dst[0], &low[:len(dst)][0], &high[:len(dst)][0], len(dst))
	return true
}

func expandBFloat16Assembly(set isa, dst []float32, src []BFloat16) bool {
	if set != avx512 {
		return false
	}
	expandBFloat16AVX512(&dst[0], &src[:len(dst)][0], len(dst))
	return true
}

// quantizeAssembly returns how many of the numbers it has computed.
func quantizeAssembly(set isa, dst []uint8, src []float32, scale, shift float32) int {
	n := wholeVectors(set, len(dst))
	switch {
	case n == 0:
	case set == avx512:
		quantizeAVX512(&dst[0], &src[:n][0], n, scale, shift)
	default:
		quantizeAVX2(&dst[0], &src[:n][0], n, scale, shift)
	}
	return n
}

// dequantizeAssembly returns how many of the numbers it has computed.
func dequantizeAssembly(set isa, dst []float32, src []uint8, scale, shift float32) int {
	n := wholeVectors(set, len(dst))
	switch {
	case n == 0:
	case set == avx512:
		dequantizeAVX512(&dst[0], &src[:n][0], n, scale, shift)
	default:
		dequantizeAVX2(&dst[0], &src[:n][0], n, scale, shift)
	}
	return n
}

// extremesAssembly returns what [extremes] does, of the first n numbers.
func extremesAssembly(set isa, x []float32) (low, high, finite float32, n int) {
	switch set {
	case avx512:
		if n = len(x) &^ 15; n > 0 {
			low, high, finite = extremesAVX512(&x[0], n)
		}
	case avx2:
		if n = len(x) &^ 7; n > 0 {
			low, high, finite = extremesAVX2(&x[0], n)
		}
	}
	return low, high, finite, n
}

// wholeVectors is how many of n numbers a conversion computes: AVX-512 has masks for the last ones, AVX2 takes eight at
// a time.
func wholeVectors(set isa, n int) int {
	switch set {
	case avx512:
		return n
	case avx2:
		return n &^ 7
	}
	return 0
}

// roundFloat16Assembly returns how many of the numbers it has computed.
func roundFloat16Assembly(set isa, dst []float16, src []float32) int {
	n := len(dst) &^ 7
	if n == 0 || !set.multiplies(elementHalf) {
		return 0
	}
	roundFloat16AVX2(&dst[0], &src[:n][0], n)
	return n
}

// expandFloat16Assembly returns how many of the numbers it has computed.
func expandFloat16Assembly(set isa, dst []float32, src []float16) int {
	n := len(dst) &^ 7
	if n == 0 || !set.multiplies(elementHalf) {
		return 0
	}
	expandFloat16AVX2(&dst[0], &src[:n][0], n)
	return n
}

func quantizeThreesAssembly(set isa, dst []uint8, src []float32, scale, shift float32) bool {
	if set != avx512 || len(dst) == 0 {
		return false
	}
	quantizeThreesAVX512(&dst[0], &src[:len(dst)/4*3][0], len(dst), scale, shift)
	return true
}

func roundThreesBFloat16Assembly(set isa, dst []BFloat16, src []float32) bool {
	if !set.multiplies(elementBFloat16) || len(dst) == 0 {
		return false
	}
	roundThreesBFloat16AVX512(&dst[0], &src[:len(dst)/4*3][0], len(dst))
	return true
}

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

func quantizeAssembly(set isa, dst []uint8, src []float32, scale, shift float32) bool {
	if set != avx512 {
		return false
	}
	quantizeAVX512(&dst[0], &src[:len(dst)][0], len(dst), scale, shift)
	return true
}

func dequantizeAssembly(set isa, dst []float32, src []uint8, scale, shift float32) bool {
	if set != avx512 {
		return false
	}
	dequantizeAVX512(&dst[0], &src[:len(dst)][0], len(dst), scale, shift)
	return true
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

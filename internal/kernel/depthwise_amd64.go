package kernel

// lineKernel returns the kernel for a window, or nil.
func lineKernel(set isa, kernel, stride int) func(*depthwiseLine) {
	if set == portable || stride > 2 || kernel != 3 && kernel != 5 {
		return nil
	}
	kernels := [2][2][2]func(*depthwiseLine){
		{{depthwise3x3s1AVX2, depthwise3x3s2AVX2}, {depthwise5x5s1AVX2, depthwise5x5s2AVX2}},
		{{depthwise3x3s1AVX512, depthwise3x3s2AVX512}, {depthwise5x5s1AVX512, depthwise5x5s2AVX512}},
	}
	return kernels[set-avx2][kernel/2-1][stride-1]
}

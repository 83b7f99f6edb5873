package kernel

// lineKernel returns the kernel for a window, or nil.
func lineKernel(set isa, kernel, stride int, wide bool) func(*depthwiseLine) {
	if set == portable || stride > 2 || kernel != 3 && kernel != 5 {
		return nil
	}
	kernels := [2][2][2]func(*depthwiseLine){
		{{depthwise3x3s1NarrowAVX2, depthwise3x3s2NarrowAVX2}, {depthwise5x5s1NarrowAVX2, depthwise5x5s2NarrowAVX2}},
		{{depthwise3x3s1NarrowAVX512, depthwise3x3s2NarrowAVX512}, {depthwise5x5s1NarrowAVX512, depthwise5x5s2NarrowAVX512}},
	}
	if wide {
		kernels = [2][2][2]func(*depthwiseLine){
			{{depthwise3x3s1WideAVX2, depthwise3x3s2WideAVX2}, {depthwise5x5s1WideAVX2, depthwise5x5s2WideAVX2}},
			{{depthwise3x3s1WideAVX512, depthwise3x3s2WideAVX512}, {depthwise5x5s1WideAVX512, depthwise5x5s2WideAVX512}},
		}
	}
	return kernels[set-avx2][kernel/2-1][stride-1]
}

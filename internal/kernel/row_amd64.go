package kernel

func layerNormAssembly(set isa, r *normRow) bool {
	switch set {
	case avx512:
		layerNormAVX512(r)
	case avx2:
		layerNormAVX2(r)
	default:
		return false
	}
	return true
}

func layerNormBackwardAssembly(set isa, r *normRow) bool {
	switch set {
	case avx512:
		layerNormBackwardAVX512(r)
	case avx2:
		layerNormBackwardAVX2(r)
	default:
		return false
	}
	return true
}

func softmaxRowAssembly(set isa, r *softmaxRow) bool {
	switch set {
	case avx512:
		softmaxRowAVX512(r)
	case avx2:
		softmaxRowAVX2(r)
	default:
		return false
	}
	return true
}

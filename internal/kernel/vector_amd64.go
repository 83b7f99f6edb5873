package kernel

// assembly runs the sweep in assembly; false means that the set has none.
func (s *sweep) assembly(set isa, o operation) bool {
	switch set {
	case avx512:
		s.avx512(o)
	case avx2:
		s.avx2(o)
	default:
		return false
	}
	return true
}

func (s *sweep) avx512(o operation) {
	switch o {
	case opAdd:
		addAVX512(s)
	case opCopy:
		copyAVX512(s)
	case opMul:
		mulAVX512(s)
	case opMulAdd:
		mulAddAVX512(s)
	case opAccumulate:
		accumulateAVX512(s)
	case opMaximum:
		maximumAVX512(s)
	case opMaximumUint8:
		maximumUint8AVX512(s)
	case opMaximumBFloat16:
		maximumBFloat16AVX512(s)
	case opScale:
		scaleAVX512(s)
	case opScaleShift:
		scaleShiftAVX512(s)
	case opAddSquare:
		addSquareAVX512(s)
	case opAddCentred:
		addCentredAVX512(s)
	case opCombine:
		combineAVX512(s)
	case opRoute:
		routeAVX512(s)
	case opBound:
		boundAVX512(s)
	case opBoundBackward:
		boundBackwardAVX512(s)
	case opSiLU:
		siluAVX512(s)
	case opHardSwish:
		hardSwishAVX512(s)
	case opSigmoid:
		sigmoidAVX512(s)
	case opTanh:
		tanhAVX512(s)
	case opGELU:
		geluAVX512(s)
	case opGELUTanh:
		geluTanhAVX512(s)
	case opQuickGELU:
		quickGELUAVX512(s)
	case opSiLUBackward:
		siluBackwardAVX512(s)
	case opHardSwishBackward:
		hardSwishBackwardAVX512(s)
	case opSigmoidBackward:
		sigmoidBackwardAVX512(s)
	case opTanhBackward:
		tanhBackwardAVX512(s)
	case opGELUBackward:
		geluBackwardAVX512(s)
	case opGELUTanhBackward:
		geluTanhBackwardAVX512(s)
	case opQuickGELUBackward:
		quickGELUBackwardAVX512(s)
	case opExp2:
		exp2AVX512(s)
	case opRescale:
		rescaleAVX512(s)
	case opRescaleAdd:
		rescaleAddAVX512(s)
	case opAddNormalised:
		addNormalisedAVX512(s)
	}
}

func (s *sweep) avx2(o operation) {
	switch o {
	case opAdd:
		addAVX2(s)
	case opCopy:
		copyAVX2(s)
	case opMul:
		mulAVX2(s)
	case opMulAdd:
		mulAddAVX2(s)
	case opAccumulate:
		accumulateAVX2(s)
	case opMaximum:
		maximumAVX2(s)
	case opMaximumUint8:
		maximumUint8AVX2(s)
	case opMaximumBFloat16:
		maximumBFloat16AVX2(s)
	case opScale:
		scaleAVX2(s)
	case opScaleShift:
		scaleShiftAVX2(s)
	case opAddSquare:
		addSquareAVX2(s)
	case opAddCentred:
		addCentredAVX2(s)
	case opCombine:
		combineAVX2(s)
	case opRoute:
		routeAVX2(s)
	case opBound:
		boundAVX2(s)
	case opBoundBackward:
		boundBackwardAVX2(s)
	case opSiLU:
		siluAVX2(s)
	case opHardSwish:
		hardSwishAVX2(s)
	case opSigmoid:
		sigmoidAVX2(s)
	case opTanh:
		tanhAVX2(s)
	case opGELU:
		geluAVX2(s)
	case opGELUTanh:
		geluTanhAVX2(s)
	case opQuickGELU:
		quickGELUAVX2(s)
	case opSiLUBackward:
		siluBackwardAVX2(s)
	case opHardSwishBackward:
		hardSwishBackwardAVX2(s)
	case opSigmoidBackward:
		sigmoidBackwardAVX2(s)
	case opTanhBackward:
		tanhBackwardAVX2(s)
	case opGELUBackward:
		geluBackwardAVX2(s)
	case opGELUTanhBackward:
		geluTanhBackwardAVX2(s)
	case opQuickGELUBackward:
		quickGELUBackwardAVX2(s)
	case opExp2:
		exp2AVX2(s)
	case opRescale:
		rescaleAVX2(s)
	case opRescaleAdd:
		rescaleAddAVX2(s)
	case opAddNormalised:
		addNormalisedAVX2(s)
	}
}

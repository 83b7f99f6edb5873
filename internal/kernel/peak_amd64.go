package kernel

// peakPerRound is how many float32 operations a round of the set's peak has.
func (s isa) peakPerRound() int {
	switch s {
	case avx512:
		return 24 * 16 * 2
	case avx2:
		return 12 * 8 * 2
	}
	return plainPeakRound * 2
}

func peakRounds(set isa, rounds int) {
	switch {
	case rounds < 1:
	case set == avx512:
		peakAVX512(rounds)
	case set == avx2:
		peakAVX2(rounds)
	default:
		plainPeak(rounds)
	}
}

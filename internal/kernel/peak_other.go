//go:build !amd64

package kernel

func (isa) peakPerRound() int { return plainPeakRound * 2 }

func peakRounds(_ isa, rounds int) { plainPeak(rounds) }

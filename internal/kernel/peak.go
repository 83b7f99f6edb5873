package kernel

// PeakFLOPs is how many float32 operations a piece of [Peak] makes.
func PeakFLOPs(rounds int) int64 { return int64(rounds) * int64(active().peakPerRound()) }

// Peak makes products and sums in registers, on every thread of the pool: as fast as the instruction set in use multiplies, with no memory in the
// way. It does pieces times [PeakFLOPs] operations.
func Peak(pool *Pool, pieces, rounds int) {
	set := active()
	pool.Each(pieces, func(int, int) { peakRounds(set, rounds) })
}

// plainPeakRound is how many independent sums plain Go keeps.
const plainPeakRound = 8

// plainPeak is Peak in plain Go. Its result keeps the sums alive.
//
//go:noinline
func plainPeak(rounds int) float32 {
	var s [plainPeakRound]float32
	const x, y = 0.5, 0.25
	for range rounds {
		for i := range s {
			s[i] = s[i]*x + y
		}
	}
	return s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7]
}

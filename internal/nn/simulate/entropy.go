package simulate

import "math"

// Levels of a byte for magnitudes: all of them if no number is negative, else half.
const (
	levelsUnsigned = 256
	levelsSigned   = 128
)

// threshold is where magnitudes are cut off so that rounding them changes their distribution least: how many parts of the histogram stay
// (Migacz 2017). For each number of parts from that of the levels on, P is the distribution of the magnitudes, those beyond in the last part; Q is
// that of the rounded ones, the numbers of a level spread evenly over those of its parts that have any. The least Kullback-Leibler
// divergence of Q from P wins, of equal ones the widest range. Zeros are left out, as in NVIDIA's pytorch-quantization, which puts the second part
// in the place of the first: they stay exact in every range, and of what a ReLU gives they are so many that all narrower ranges
// would look better than wider ones.
func threshold(magnitudes []float64, unsigned bool) float64 {
	levels := levelsSigned
	if unsigned {
		levels = levelsUnsigned
	}
	counts := append([]float64(nil), magnitudes...)
	counts[0] = counts[1]
	var total float64
	for _, n := range counts {
		total += n
	}
	best, least, within := len(counts), math.Inf(1), 0.0
	for _, n := range counts[:levels-1] {
		within += n
	}
	for parts := levels; parts <= len(counts); parts++ {
		within += counts[parts-1]
		if d := divergence(counts[:parts], total-within, levels); d <= least {
			best, least = parts, d
		}
	}
	return float64(best)
}

// divergence is that of the rounded magnitudes from all, those beyond in the last part.
func divergence(counts []float64, beyond float64, levels int) float64 {
	parts := len(counts)
	var all float64
	for _, n := range counts {
		all += n
	}
	if all == 0 {
		return math.Inf(1)
	}
	total := all + beyond
	var sum float64
	for level, from := 0, 0; level < levels; level++ {
		to := ((level+1)*parts + levels - 1) / levels
		var mass, filled float64
		for _, n := range counts[from:to] {
			mass += n
			if n > 0 {
				filled++
			}
		}
		for i := from; i < to; i++ {
			p := counts[i]
			if i == parts-1 {
				p += beyond
			}
			if p == 0 {
				continue
			}
			if counts[i] == 0 {
				return math.Inf(1) // nothing is rounded to where all beyond would be
			}
			p /= total
			sum += p * math.Log(p/(mass/filled/all))
		}
		from = to
	}
	return sum
}

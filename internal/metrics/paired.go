package metrics

import (
	"cmp"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Discordant counts the rows that one of two classifiers has right and the
// other wrong. Both slices are over the same rows.
func Discordant(rightA, rightB []bool) (onlyA, onlyB int) {
	for i := range rightA {
		switch {
		case rightA[i] && !rightB[i]:
			onlyA++
		case rightB[i] && !rightA[i]:
			onlyB++
		}
	}
	return onlyA, onlyB
}

// McNemar is the two-sided p-value of the exact test that two classifiers err
// equally often (McNemar 1947): of the rows that one alone has right, each has
// them by an even chance.
func McNemar(onlyA, onlyB int) float64 {
	fewer, more := float64(min(onlyA, onlyB)), float64(max(onlyA, onlyB))
	if fewer == more {
		return 1
	}
	// The probability of at most fewer heads in fewer + more tosses.
	return min(1, 2*mathext.RegIncBeta(more, fewer+1, 0.5))
}

// Holm adjusts p-values for their number, so that the chance of any false
// alarm among them stays below the level they are held against (Holm 1979).
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	adjusted := make([]float64, len(p))
	largest := 0.0
	for rank, i := range order {
		largest = max(largest, min(1, p[i]*float64(len(p)-rank)))
		adjusted[i] = largest
	}
	return adjusted
}

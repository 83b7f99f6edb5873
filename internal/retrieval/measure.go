package retrieval

import (
	"cmp"
	"math"
	"slices"
)

// Measures sum up the answers to queries. Those that were not asked do not count.
type Measures struct {
	Recall               []float64 // share of the queries with a relevant row among the first k, for each k
	MedianRank           float64   // of the first relevant row, from 1
	ReciprocalRank       float64   // mean of 1/rank of the first relevant row
	MeanAveragePrecision float64
	Gain                 float64
}

// Sum sums up answers, each as often as its weight says; nil: once. Without an answer that counts the measures are not numbers.
func Sum(answers []Answer, weights []float64, at []int) Measures {
	m := Measures{Recall: make([]float64, len(at)), MedianRank: math.NaN()}
	var total float64
	weight := func(i int) float64 {
		switch {
		case !answers[i].Asked():
			return 0
		case weights == nil:
			return 1
		}
		return weights[i]
	}
	for i, a := range answers {
		w := weight(i)
		if w == 0 {
			continue
		}
		total += w
		for j, k := range at {
			if a.First <= k {
				m.Recall[j] += w
			}
		}
		m.ReciprocalRank += w / float64(a.First)
		m.MeanAveragePrecision += w * a.AveragePrecision
		m.Gain += w * a.Gain
	}
	for j := range m.Recall {
		m.Recall[j] /= total
	}
	m.ReciprocalRank /= total
	m.MeanAveragePrecision /= total
	m.Gain /= total
	order := make([]int, len(answers))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(answers[a].First, answers[b].First) })
	var below float64
	for n, i := range order {
		below += weight(i)
		if below > total/2 {
			m.MedianRank = float64(answers[i].First)
			break
		}
		if below == total/2 && below > 0 { // between two
			next := i
			for _, j := range order[n+1:] {
				if weight(j) > 0 {
					next = j
					break
				}
			}
			m.MedianRank = float64(answers[i].First+answers[next].First) / 2
			break
		}
	}
	return m
}

// Hubness is the skewness of how often the rows of a gallery of so many are among the first of all queries: 0 if all are found alike
// often, and large if a few rows, the hubs, are near to many queries (Radovanović, Nanopoulos and Ivanović 2010). It is not a
// number if every row is found as often as every other.
func Hubness(answers []Answer, gallery int) float64 {
	counts := make([]float64, gallery)
	for _, a := range answers {
		for _, f := range a.Found {
			counts[f.Row]++
		}
	}
	var mean, square, cube float64
	for _, c := range counts {
		mean += c / float64(gallery)
	}
	for _, c := range counts {
		d := c - mean
		square += d * d / float64(gallery)
		cube += d * d * d / float64(gallery)
	}
	if square <= 1e-12*mean*mean {
		return math.NaN()
	}
	return cube / math.Pow(square, 1.5)
}

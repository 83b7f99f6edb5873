package confident

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Issue is a row that is likely to be labelled wrongly.
type Issue struct {
	Row         int
	Given       int
	Suggested   int     // the most probable class
	Probability float64 // of the given class
	Confidence  float64 // the probability of the suggested class
}

// Find lists the rows that are likely to be labelled wrongly, those with the least probability of their label first. labels are the
// classes given, from 0; probabilities are [rows, classes], of a classifier that was not fitted to the row.
//
// How many rows of given class i are really of class j is estimated by the confident joint, scaled to the number of rows of
// each given class. That many of them are taken, those in which j is more probable than i by most ("prune by noise rate" in
// the paper), unless the given class is the most probable all the same. One row of each class always stays.
func Find(labels []int, probabilities []float32, classes int) ([]Issue, error) {
	if classes < 1 || len(probabilities) != len(labels)*classes {
		return nil, fmt.Errorf("%d probabilities for %d rows of %d classes", len(probabilities), len(labels), classes)
	}
	for i, class := range labels {
		if class < 0 || class >= classes {
			return nil, fmt.Errorf("row %d is of class %d; there are %d", i, class, classes)
		}
	}
	counts := estimate(joint(labels, probabilities, classes), labels)
	rows := make([][]int, classes) // by given class
	for i, class := range labels {
		rows[class] = append(rows[class], i)
	}
	wrong := make([]bool, len(labels))
	for given, of := range rows {
		for actual, n := range counts[given] {
			if actual == given || n == 0 {
				continue
			}
			margin := func(row int) float64 {
				return float64(probabilities[row*classes+actual]) - float64(probabilities[row*classes+given])
			}
			order := slices.Clone(of)
			slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(margin(b), margin(a)) })
			for _, row := range order[:min(n, len(order))] {
				wrong[row] = true
			}
		}
	}
	var out []Issue
	for row, given := range labels {
		p := probabilities[row*classes : (row+1)*classes]
		if likeliest := mostProbable(p); wrong[row] && likeliest != given {
			out = append(out, Issue{row, given, likeliest, float64(p[given]), float64(p[likeliest])})
		}
	}
	slices.SortStableFunc(out, func(a, b Issue) int { return cmp.Compare(a.Probability, b.Probability) })
	return out, nil
}

// thresholds are the mean probability of each class over the rows labelled so; +Inf for a class without rows.
func thresholds(labels []int, probabilities []float32, classes int) []float64 {
	sums, rows := make([]float64, classes), make([]float64, classes)
	for i, class := range labels {
		sums[class] += float64(probabilities[i*classes+class])
		rows[class]++
	}
	for class := range sums {
		if sums[class] /= rows[class]; rows[class] == 0 {
			sums[class] = math.Inf(1)
		}
	}
	return sums
}

// joint counts rows by given class and the class that they are confidently of. Rows that are confidently of none do not count.
func joint(labels []int, probabilities []float32, classes int) [][]int {
	least := thresholds(labels, probabilities, classes)
	out := make([][]int, classes)
	for class := range out {
		out[class] = make([]int, classes)
	}
	for i, given := range labels {
		p := probabilities[i*classes : (i+1)*classes]
		likeliest := -1
		for class, x := range p {
			// A hair below the threshold is at it: means are rounded.
			if float64(x) >= least[class]-1e-6 && (likeliest < 0 || x > p[likeliest]) {
				likeliest = class
			}
		}
		if likeliest >= 0 {
			out[given][likeliest]++
		}
	}
	return out
}

// estimate scales the confident joint so that each given class has the rows that are labelled so, in whole rows, one of them at
// least labelled rightly.
func estimate(joint [][]int, labels []int) [][]int {
	labelled := make([]int, len(joint))
	for _, class := range labels {
		labelled[class]++
	}
	out := make([][]int, len(joint))
	for given, row := range joint {
		out[given] = make([]int, len(row))
		if labelled[given] == 0 {
			continue
		}
		row = slices.Clone(row)
		row[given] = max(row[given], 1)
		total := 0
		for _, n := range row {
			total += n
		}
		type remainder struct {
			class int
			rest  float64
		}
		var rests []remainder
		left := labelled[given]
		for class, n := range row {
			exact := float64(n) * float64(labelled[given]) / float64(total)
			whole := math.Floor(exact)
			out[given][class] = int(whole)
			left -= int(whole)
			rests = append(rests, remainder{class, exact - whole})
		}
		slices.SortStableFunc(rests, func(a, b remainder) int { return cmp.Compare(b.rest, a.rest) })
		for _, r := range rests[:min(max(left, 0), len(rests))] {
			out[given][r.class]++
		}
		for out[given][given] < 1 { // at the cost of the largest other
			largest := 0
			for class, n := range out[given] {
				if class != given && (largest == given || n > out[given][largest]) {
					largest = class
				}
			}
			if largest == given || out[given][largest] == 0 {
				break
			}
			out[given][largest]--
			out[given][given]++
		}
	}
	return out
}

func mostProbable(p []float32) int {
	best := 0
	for class, x := range p {
		if x > p[best] {
			best = class
		}
	}
	return best
}

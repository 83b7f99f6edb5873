package metrics

import (
	"math"
	"slices"

	"github.com/sourcegraph/conc/iter"
)

// Ranking holds the rows of a sample in the order of each class's
// probability, from which areas under ROC curves are quick for any weights.
type Ranking struct {
	classes []classRanking
	ones    []float64 // the weights of rows that all weigh alike
}

// classRanking is the order of the rows for one class.
type classRanking struct {
	rows   []int32    // least probable first
	groups []tieGroup // those with a row of the class, in order
	inside []bool     // of the rows in groups, one after another: it is of the class
}

// tieGroup is a run of rows with equal probability: rows[from:to].
type tieGroup struct{ from, to int32 }

// Ranking sorts the rows for every class.
func (s *Sample) Ranking(threads int) *Ranking {
	r := &Ranking{classes: make([]classRanking, s.classes), ones: make([]float64, s.Rows())}
	for i := range r.ones {
		r.ones[i] = 1
	}
	each := iter.Iterator[classRanking]{MaxGoroutines: max(threads, 1)}
	each.ForEachIdx(r.classes, func(class int, into *classRanking) { *into = s.rankFor(class) })
	return r
}

// rankFor sorts the rows for one class.
func (s *Sample) rankFor(class int) classRanking {
	// A number that is not negative sorts like its bits; the row breaks ties.
	keys := make([]uint64, s.Rows())
	for i := range keys {
		p := s.probabilities[i*s.classes+class] + 0 // no minus zero
		keys[i] = uint64(math.Float32bits(p))<<32 | uint64(i)
	}
	slices.Sort(keys)
	r := classRanking{rows: make([]int32, len(keys))}
	for from := 0; from < len(keys); {
		to, any := from, false
		for ; to < len(keys) && keys[to]>>32 == keys[from]>>32; to++ {
			row := int32(uint32(keys[to]))
			r.rows[to] = row
			any = any || s.truth[row] == class
		}
		if any {
			r.groups = append(r.groups, tieGroup{int32(from), int32(to)})
			for _, row := range r.rows[from:to] {
				r.inside = append(r.inside, s.truth[row] == class)
			}
		}
		from = to
	}
	return r
}

// AUC is the area under the ROC curve of one class against all others: the
// probability that a row of the class is ranked above a row of another, a tie
// counting half. NaN if the class, or all others, have no row.
func (r *Ranking) AUC(class int, weights []float64) float64 {
	if weights == nil {
		weights = r.ones
	}
	c := r.classes[class]
	below, positives, wins := 0.0, 0.0, 0.0 // below: weight of the others passed so far
	passed, inside := int32(0), c.inside
	for _, group := range c.groups {
		below += sumOf(weights, c.rows[passed:group.from])
		in, out := 0.0, 0.0
		for k, row := range c.rows[group.from:group.to] {
			if inside[k] {
				in += weights[row]
			} else {
				out += weights[row]
			}
		}
		wins += in * (below + out/2)
		positives += in
		below += out
		passed, inside = group.to, inside[group.to-group.from:]
	}
	below += sumOf(weights, c.rows[passed:])
	if positives == 0 || below == 0 {
		return math.NaN()
	}
	return wins / (positives * below)
}

func sumOf(weights []float64, rows []int32) float64 {
	sum := 0.0
	for _, row := range rows {
		sum += weights[row]
	}
	return sum
}

// AUCs gives the area of every class, and their mean over the classes that
// have one.
func (r *Ranking) AUCs(weights []float64) (byClass []float64, macro float64) {
	byClass = make([]float64, len(r.classes))
	sum, n := 0.0, 0.0
	for class := range byClass {
		byClass[class] = r.AUC(class, weights)
		if !math.IsNaN(byClass[class]) {
			sum += byClass[class]
			n++
		}
	}
	return byClass, sum / n
}

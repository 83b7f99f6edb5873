package metrics

import (
	"cmp"
	"math"
	"slices"

	"github.com/sourcegraph/conc/iter"
)

// Ranking holds the rows of a sample in the order of each class's
// probability, from which areas under ROC curves are quick for any weights.
type Ranking struct {
	sample *Sample
	orders [][]int32 // by class: rows, least probable first
}

// Ranking sorts the rows for every class.
func (s *Sample) Ranking(threads int) *Ranking {
	r := &Ranking{sample: s, orders: make([][]int32, s.classes)}
	each := iter.Iterator[[]int32]{MaxGoroutines: max(threads, 1)}
	each.ForEachIdx(r.orders, func(class int, order *[]int32) {
		*order = make([]int32, s.Rows())
		for i := range *order {
			(*order)[i] = int32(i)
		}
		slices.SortFunc(*order, func(a, b int32) int {
			return cmp.Or(cmp.Compare(r.probability(a, class), r.probability(b, class)), cmp.Compare(a, b))
		})
	})
	return r
}

// AUC is the area under the ROC curve of one class against all others: the
// probability that a row of the class is ranked above a row of another, a tie
// counting half. NaN if the class, or all others, have no row.
func (r *Ranking) AUC(class int, weights []float64) float64 {
	below, positives, wins := 0.0, 0.0, 0.0 // below: weight of the others passed so far
	order := r.orders[class]
	for from := 0; from < len(order); {
		tied := r.probability(order[from], class)
		in, out := 0.0, 0.0
		to := from
		for ; to < len(order) && r.probability(order[to], class) == tied; to++ {
			w := weightOf(weights, int(order[to]))
			if r.sample.truth[order[to]] == class {
				in += w
			} else {
				out += w
			}
		}
		wins += in * (below + out/2)
		positives += in
		below += out
		from = to
	}
	if positives == 0 || below == 0 {
		return math.NaN()
	}
	return wins / (positives * below)
}

// AUCs gives the area of every class, and their mean over the classes that
// have one.
func (r *Ranking) AUCs(weights []float64) (byClass []float64, macro float64) {
	byClass = make([]float64, r.sample.classes)
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

func (r *Ranking) probability(row int32, class int) float32 {
	return r.sample.probabilities[int(row)*r.sample.classes+class]
}
